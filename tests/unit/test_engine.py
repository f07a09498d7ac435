"""The engine: what it escalates, rescues, resumes and never pays twice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from swe_router.errors import Lost, NoAnswer, Overloaded, VerifierError
from swe_router.records import Outcome, Stop, Try
from swe_router.solve.engine import solve
from swe_router.solve.moves import Interrupted
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    ExactPurse,
    FakeSandbox,
    Ladder,
    ListMemory,
    Patches,
    Plays,
    Says,
    context,
    outcome_ids,
    plan,
    step_of,
)

TWO = Ladder([plan("local"), plan("cloud")])


def run(bench_, policy=TWO):
    return solve(INSTANCE, FEATURES, policy=policy, context=bench_, run_name="test")


class Breaks:
    """A scaffold that breaks after one paid step."""

    def __init__(self, error):
        self.error = error

    def solve(self, instance, model, sandbox, budget, context):
        context.record(step_of(0).sealed(""))
        raise self.error


def by_arm(**scaffolds):
    return lambda arm: scaffolds[arm.model]


def test_an_accepted_cheap_patch_ends_the_instance():
    record = run(context())
    assert outcome_ids(record.outcomes) == ["1-local"]
    assert (record.status, record.chosen, record.usd) == ("candidate", "1-local", Decimal("0.02"))


def test_a_rejected_patch_escalates_and_the_better_one_is_handed_in():
    patches = iter(["wrong", "right"])
    record = run(context(snapshot=lambda sandbox: Patches(next(patches))))
    assert outcome_ids(record.outcomes) == ["1-local", "2-cloud"]
    assert record.patch == "right"


def test_a_broken_provider_is_data_and_its_diff_is_rescued():
    broken = context(snapshot=lambda sandbox: Patches("right but unfinished"))
    scaffold = by_arm(local=Breaks(Overloaded("down")), cloud=Plays())
    record = run(replace(broken, scaffold_for=scaffold))
    first: Outcome = record.outcomes[0]
    assert first.attempt.failure.kind == "Overloaded"
    assert first.attempt.trajectory.exit == "broke"
    assert first.attempt.trajectory.usd == Decimal("0.01"), "the paid step is not lost"
    assert first.candidate.patch == "right but unfinished"


def test_a_lost_sandbox_is_tried_once_more_under_its_own_id():
    opened = []

    @contextmanager
    def open_sandbox(instance):
        opened.append(instance.id)
        if len(opened) == 1:
            raise Lost("container killed")
        yield FakeSandbox()

    record = run(context(open_sandbox=open_sandbox))
    assert outcome_ids(record.outcomes) == ["1-local", "1-local.2"]
    assert record.status == "candidate"


def test_the_sandbox_of_the_checks_is_announced_before_the_patch_is_taken():
    told = []

    class Taken(Patches):
        def candidate(self, sandbox, attempt_id):
            told.append("patch")
            return super().candidate(sandbox, attempt_id)

    parts = {
        "snapshot": lambda sandbox: Taken("right"),
        "before_verification": lambda of: told.append(of.id),
    }
    run(context(**parts))
    assert told == [INSTANCE.id, "patch"]
    told.clear()
    run(context(**parts, verifiers=[]))
    assert told == ["patch", "patch"], "nobody looks at what no verifier is asked of"


def test_nothing_but_weather_on_every_tier_is_infra_not_empty():
    dead = replace(
        context(snapshot=lambda sandbox: Patches("")),
        scaffold_for=lambda arm: Breaks(NoAnswer("gone")),
    )
    assert run(dead).status == "infra"


def test_no_money_for_a_first_attempt_is_budget():
    record = run(context(purse=ExactPurse(budget=Decimal("0.5"))))
    assert record.status == "budget"
    assert record.usd == 0


def test_a_verifier_that_breaks_says_unknown_and_does_not_accept():
    class Broken:
        def verify(self, outcome, peers, instance, context):
            raise VerifierError("no tests found")

        def check(self, verdict):
            return "unknown"

    record = run(context(verifiers=[("broken", Broken())]))
    assert [v.outcome for o in record.outcomes for v in o.verdicts] == ["unknown", "unknown"]
    assert len(record.outcomes) == 2, "unknown is not accepted: the next tier was tried"


def test_a_kill_between_moves_resumes_with_the_finished_attempt_not_again():
    memory, purse = ListMemory(), ExactPurse()
    patches = iter(["wrong", "right"])

    def snapshot(sandbox):
        return Patches(next(patches))

    class Killed(BaseException):
        pass

    def dies(arm):
        if arm.model == "cloud":
            raise Killed
        return Plays()

    with pytest.raises(Killed):
        run(replace(context(memory, purse, snapshot=snapshot), scaffold_for=dies))
    record = run(context(memory, purse, snapshot=lambda sandbox: Patches("right")))
    assert outcome_ids(record.outcomes) == ["1-local", "2-cloud"]
    assert purse.held.count("demo__x-1/1-local") == 1
    assert memory.closed == ["1-local", "2-cloud"]


def test_a_kill_inside_an_attempt_keeps_its_paid_steps():
    memory = ListMemory()

    class Killed(BaseException):
        pass

    def die_at_second():
        if len(memory.told["1-local"]) == 2:
            raise Killed

    with pytest.raises(Killed):
        run(context(memory, scaffold=Plays(steps=3, before_end=die_at_second)))
    record = run(context(memory, scaffold=Plays(steps=3)))
    assert [step.index for step in memory.steps("1-local")] == [0, 1, 2], "no step paid twice"
    assert record.outcomes[0].attempt.trajectory.steps == 3


def test_a_stop_rescues_the_diff_and_leaves_the_attempt_owed():
    memory, stop = ListMemory(), []
    scaffold = Plays(steps=3, before_end=lambda: stop.append(1))
    with pytest.raises(Interrupted):
        run(context(memory, scaffold=scaffold, stopping=lambda: bool(stop)))
    assert [kind for kind, _ in memory.written] == ["decided", "rescued"]
    assert memory.written[-1][1].candidate.patch == "right"
    assert memory.closed == []
    record = run(context(memory, scaffold=Plays(steps=3)))
    assert record.status == "candidate"
    assert len(memory.steps("1-local")) == 3


def test_a_stop_while_verifying_begins_no_further_command():
    memory, stop, begun = ListMemory(), [], []

    class Runs(Says):
        def verify(self, outcome, peers, instance, context):
            with context.open_sandbox(instance) as sandbox:
                begun.append(sandbox.run("first", timeout=1))
                stop.append(1)
                begun.append(sandbox.run("second", timeout=1))
            return super().verify(outcome, peers, instance, context)

    verifiers = (("slow", Runs()),)
    with pytest.raises(Interrupted):
        run(context(memory, verifiers=verifiers, stopping=lambda: bool(stop)))
    assert len(begun) == 1
    assert [kind for kind, _ in memory.written] == ["decided", "rescued"]


def test_a_policy_that_never_stops_is_stopped():
    class Forever(Ladder):
        def decide(self, features, history, purse):
            return Try(plans=(plan("local"),), why="again")

    record = run(context(), Forever([plan("local")]))
    assert "never stopped" in record.stop


class Thrifty(Ladder):
    """Stops when the purse cannot pay for the next plan."""

    def decide(self, features, history, purse):
        decision = super().decide(features, history, purse)
        if isinstance(decision, Try) and decision.plans[0].budget.dollars > purse.left:
            return Stop(why="left undone for lack of money")
        return decision


def test_money_that_others_hold_is_waited_for_not_given_up():
    purse = ExactPurse(budget=Decimal(2), others=[Decimal(2), Decimal("1.5"), Decimal(0)])
    record = run(context(purse=purse), Thrifty([plan("local")]))
    assert record.status == "candidate"
    assert purse.others == [Decimal(0)]
    assert record.decisions[0].purse.left == 2, "the decision is recorded with what it saw at last"


def test_money_that_nobody_can_free_is_not_waited_for():
    purse = ExactPurse(budget=Decimal("0.5"), others=[Decimal("0.2")])
    assert run(context(purse=purse), Thrifty([plan("local")])).status == "budget"


class StopsMeanwhile(Says):
    """A verifier during whose work the user stops the run, which cuts its commands short."""

    def __init__(self, stopped):
        self.stopped = stopped

    def verify(self, outcome, peers, instance, context):
        self.stopped.append(True)
        return super().verify(outcome, peers, instance, context)


def test_a_stop_while_verifying_leaves_the_move_owed_and_the_diff_kept():
    stopped, memory = [], ListMemory()
    verifiers = [("says", StopsMeanwhile(stopped))]
    with pytest.raises(Interrupted):
        run(context(memory, verifiers=verifiers, stopping=lambda: bool(stopped)))
    assert [kind for kind, _ in memory.written] == ["decided", "rescued"], "no verdict is kept"
    assert memory.written[-1][1].candidate.patch == "right"
