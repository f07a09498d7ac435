"""A sandbox engine that goes away: waited for, gone on with where it was, and no escalation."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal

import pytest

from swe_router.breaker import Breaker, Patience
from swe_router.errors import (
    EngineGone,
    ImageMissing,
    Lost,
    UsageError,
    VerifierError,
    WouldNotStart,
)
from swe_router.sandboxes.waiting_factory import WaitingSandboxes
from swe_router.solve.engine import solve
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    FakeSandbox,
    Ladder,
    ListMemory,
    Plays,
    Says,
    context,
    outcome_ids,
    plan,
)

QUICK = Patience(first_wait=0.01, longest_wait=0.02, give_up_seconds=600.0)


class GoesAway:
    """Sandboxes of an engine that is away for the given number of openings."""

    def __init__(self, away=()):
        self.away, self.opened = list(away), 0

    @contextmanager
    def open(self, instance):
        self.opened += 1
        if self.away:
            raise self.away.pop(0)
        yield FakeSandbox()


def solved(tmp_path, **parts):
    policy = Ladder((plan("local"), plan("cloud")))
    sandboxes = parts.pop("sandboxes", GoesAway())
    breaker = Breaker(tmp_path, lambda name: QUICK)
    held = WaitingSandboxes(lambda: sandboxes, breaker)
    made = context(open_sandbox=held.open, **parts)
    return solve(INSTANCE, FEATURES, policy=policy, context=made, run_name="r")


def test_an_engine_that_is_away_when_a_sandbox_is_opened_is_waited_for(tmp_path):
    sandboxes = GoesAway([EngineGone("refused")] * 5)
    record = solved(tmp_path, sandboxes=sandboxes)
    assert outcome_ids(record.outcomes) == ["1-local"]
    assert record.outcomes[0].attempt.failure is None
    assert sandboxes.opened == 6


def test_an_engine_that_is_gone_before_the_first_sandbox_is_waited_for(tmp_path):
    tries = iter([UsageError("no Docker engine answers"), UsageError("no Docker engine answers")])

    def connected():
        error = next(tries, None)
        if error is not None:
            raise error
        return GoesAway()

    with WaitingSandboxes(connected, Breaker(tmp_path, lambda name: QUICK)).open(
        INSTANCE
    ) as sandbox:
        assert sandbox.identity == "double"


def test_an_attempt_whose_engine_went_away_goes_on_with_its_paid_steps(tmp_path):
    memory, broken = ListMemory(), []

    def breaks():
        if not broken:
            broken.append(1)
            raise EngineGone("the sandbox went away: the Docker engine does not answer")

    record = solved(tmp_path, memory=memory, scaffold=Plays(steps=3, before_end=breaks))
    assert outcome_ids(record.outcomes) == ["1-local"], "made anew, or escalated"
    (outcome,) = record.outcomes
    assert outcome.attempt.failure is None
    assert outcome.attempt.trajectory.steps == 3
    assert record.usd == Decimal("0.03"), "a step was paid twice"


def test_a_sandbox_that_died_by_itself_is_still_an_attempt_made_again(tmp_path):
    broken = []

    def breaks():
        if not broken:
            broken.append(1)
            raise Lost("its container ran out of memory")

    record = solved(tmp_path, scaffold=Plays(before_end=breaks))
    assert outcome_ids(record.outcomes) == ["1-local", "1-local.2"]


def test_an_engine_that_goes_away_under_a_verifier_makes_no_doubtful_patch(tmp_path):
    class Interrupted(Says):
        asked = 0

        def verify(self, outcome, peers, instance, context):
            self.asked += 1
            if self.asked == 1:
                raise EngineGone("refused")
            return super().verify(outcome, peers, instance, context)

    record = solved(tmp_path, verifiers=[("says", Interrupted())])
    assert outcome_ids(record.outcomes) == ["1-local"], "escalated because of the engine"


@pytest.mark.parametrize(
    ("errors", "asked"),
    [
        ([Lost("killed by signal 9")], 2),
        ([WouldNotStart("killed by signal 9")], 2),
        ([Lost("killed"), Lost("killed")], 2),
        ([ImageMissing("no such image")], 1),
        ([VerifierError("cannot be read")], 1),
    ],
)
def test_a_sandbox_that_dies_once_under_a_verifier_is_no_unknown_verdict(tmp_path, errors, asked):
    class Breaks(Says):
        asked = 0

        def verify(self, outcome, peers, instance, context):
            self.asked += outcome.attempt.id == "1-local"
            if outcome.attempt.id == "1-local" and self.asked <= len(errors):
                raise errors[self.asked - 1]
            return super().verify(outcome, peers, instance, context)

    says = Breaks()
    record = solved(tmp_path, verifiers=[("says", says)])
    [verdict] = record.outcomes[0].verdicts
    assert says.asked == asked
    assert ("broke" in verdict.evidence) == (asked <= len(errors))
