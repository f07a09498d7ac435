"""How a run ended: one word and one exit code, whatever holds at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from swe_router.policies.cascade import Cascade
from swe_router.records import Features, Instance, RunRecord
from swe_router.reports.exit_status import EXIT_CODES, run_ending
from swe_router.solve.engine import solve
from tests.doubles.engine import FEATURES, INSTANCE, ExactPurse, Patches, Plays, context, plan


def record(**changes):
    made = RunRecord(
        run="r",
        instance=Instance(id="i", repo="o/n", base_commit="c", problem="p"),
        features=Features(instance_id="i"),
        decisions=(),
        outcomes=(),
        status="candidate",
        unpaid=False,
    )
    return made.model_copy(update=changes)


DONE, BROKE, POOR = record(), record(status="infra"), record(unpaid=True)


@pytest.mark.parametrize(
    ("records", "stopped", "word", "code"),
    [
        ({"a": DONE, "b": DONE}, False, "done", 0),
        ({"a": DONE, "b": record(status="empty")}, False, "done", 0),
        ({"a": DONE, "b": POOR}, False, "budget", 3),
        ({"a": POOR, "b": BROKE}, False, "infra", 1),
        ({"a": POOR}, False, "infra", 1),
        ({"a": POOR, "b": BROKE}, True, "stopped", 130),
        ({"a": DONE, "b": DONE}, True, "stopped", 130),
        ({"a": record(status="infra", unpaid=True), "b": DONE}, False, "budget", 3),
        ({"a": record(status="infra", unpaid=True), "b": BROKE}, False, "infra", 1),
    ],
)
def test_stopped_goes_before_infra_before_budget(records, stopped, word, code):
    how = run_ending(["a", "b"], records, stopped=stopped)
    assert (how, EXIT_CODES[how]) == (word, code)


@pytest.mark.parametrize(
    ("stop", "status", "poor"),
    [
        ("cloud's limit is over the $0.05 left: left undone for lack of money", "candidate", True),
        ("strong's limit of $3 is over the money left", "empty", True),
        ("no decision", "budget", True),
        ("accepted local's patch", "candidate", False),
    ],
)
def test_records_without_the_field_are_read_by_their_stop(stop, status, poor):
    old = record(stop=stop, status=status, unpaid=None)
    assert old.short_of_money is poor
    assert run_ending(["i"], {"i": old}) == ("budget" if poor else "done")


TWO = (plan("local", "1"), plan("cloud", "5"))


def test_a_ladder_that_could_not_be_paid_to_its_end_is_short_of_money():
    wrong = context(purse=ExactPurse(budget=Decimal(3)), snapshot=lambda sandbox: Patches("wrong"))
    made = solve(INSTANCE, FEATURES, policy=Cascade(TWO), context=wrong, run_name="r")
    assert (made.status, made.unpaid) == ("candidate", True)


@pytest.mark.parametrize(("patch", "budget"), [("right", 3), ("wrong", 30)])
def test_an_accepted_patch_and_a_ladder_at_its_end_are_not_short_of_money(patch, budget):
    rich = context(
        purse=ExactPurse(budget=Decimal(budget)), snapshot=lambda sandbox: Patches(patch)
    )
    made = solve(INSTANCE, FEATURES, policy=Cascade(TWO), context=rich, run_name="r")
    assert made.unpaid is False


def test_limits_of_the_attempts_themselves_are_not_the_runs_money():
    cut = context(scaffold=Plays(exit="budget"), snapshot=lambda sandbox: Patches(""))
    made = solve(INSTANCE, FEATURES, policy=Cascade(TWO), context=cut, run_name="r")
    assert (made.status, made.unpaid) == ("budget", False)
    assert run_ending([INSTANCE.id], {INSTANCE.id: made}) == "done"


def test_an_attempt_whose_money_others_took_before_it_began_is_short_of_money():
    class Outrun(ExactPurse):
        def hold(self, tier, usd, key):
            self.budget = Decimal(0)
            return super().hold(tier, usd, key)

    made = solve(
        INSTANCE, FEATURES, policy=Cascade(TWO[:1]), context=context(purse=Outrun()), run_name="r"
    )
    assert [one.attempt.trajectory.steps for one in made.outcomes] == [0]
    assert made.unpaid is True
