"""Every way in which an attempt fails escalates for its own reason, through the engine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import plugins
from swe_router.errors import LedgerRefused, Overloaded, UsageError
from swe_router.policies.cascade import Cascade
from swe_router.policies.escalation_order import RESCUE_RATE
from swe_router.policies.ration import Ration
from swe_router.records import ACCEPTANCE, Stop, Try, Verdict
from swe_router.solve.engine import solve
from tests.doubles.engine import FEATURES, INSTANCE, Patches, Plays, Says, context, plan, step_of
from tests.doubles.lessons import examples
from tests.doubles.project import outcome, verdict
from tests.unit.test_policies import LADDER, broke, issue, purse, tried

RUNGS = (plan("local"), plan("cloud", "2"))


class Weighs:
    """``acceptance`` with a probability for each attempt, in order."""

    def __init__(self, *chances: float | None, bar: float = 0.62) -> None:
        self.chances, self.bar = iter(chances), bar

    def verify(self, outcome, peers, instance, context):
        chance = next(self.chances)
        said = "unknown" if chance is None else "pass" if chance >= self.bar else "fail"
        return Verdict(
            candidate=outcome.candidate.digest,
            verifier=ACCEPTANCE,
            outcome=said,
            score=chance,
            evidence={"threshold": self.bar},
        )

    def check(self, verdict):
        return verdict.outcome


class Fails:
    def verify(self, outcome, peers, instance, context):
        return Verdict(candidate="c", verifier="repo-tests", outcome="fail")

    def check(self, verdict):
        return "fail"


class Breaks:
    def solve(self, instance, model, sandbox, budget, context):
        context.record(step_of(0).sealed(""))
        raise Overloaded("down")


class Refused:
    def solve(self, instance, model, sandbox, budget, context):
        raise LedgerRefused("the next call does not fit")


class StopsEarly(Plays):
    def _ended(self, how, steps, seal):
        told = super()._ended("stop_loss", steps, seal)
        return told.model_copy(update={"why": "stop-loss at 2 steps"})


def weighed(*chances: float | None) -> list[Any]:
    return [(ACCEPTANCE, Weighs(*chances))]


@pytest.mark.parametrize(
    ("parts", "first", "said"),
    [
        (
            {"verifiers": weighed(0.31, 0.9)},
            Plays(),
            "local's patch is right with p .31, under .62",
        ),
        (
            {"verifiers": [("repo-tests", Fails()), *weighed(0.05, 0.9)]},
            Plays(),
            "local's patch is right with p .05, under .62 (failed repo-tests)",
        ),
        ({"verifiers": [("repo-tests", Fails())]}, Plays(), "local's patch failed repo-tests"),
        ({"verifiers": weighed(None, 0.9)}, Plays(), "no verifier passed local's patch"),
        (
            {"verifiers": [("says", Says()), *weighed(None, 0.9)]},
            Plays(),
            "local's patch passed says, which does not carry it",
        ),
        ({"patch": ""}, Plays(), "local left an empty patch"),
        ({}, Plays(exit="budget"), "local hit its dollar limit"),
        ({}, Plays(exit="steps"), "local hit its step limit"),
        ({}, Plays(exit="time"), "local hit its time limit"),
        ({}, StopsEarly(), "local was stopped early (stop-loss at 2 steps)"),
        ({}, Plays(exit="gave_up"), "local gave up"),
        ({}, Breaks(), "local broke (the provider: Overloaded)"),
        ({}, Refused(), "local hit its dollar limit"),
    ],
)
def test_each_trigger_escalates_and_says_its_own_reason(parts, first, said):
    made = {"local": first, "cloud": Plays()}
    snapshots = iter([parts.pop("patch", "right"), "right"])
    work = replace(
        context(snapshot=lambda sandbox: Patches(next(snapshots)), **parts),
        scaffold_for=lambda arm: made[arm.model],
    )
    record = solve(INSTANCE, FEATURES, policy=Cascade(RUNGS), context=work, run_name="test")
    second = record.decisions[1].decision
    assert isinstance(second, Try)
    assert second.why == f"{said}: try cloud" or second.why.startswith(f"{said} (")
    assert [o.arm.model for o in record.outcomes] == ["local", "cloud"]


def test_a_probability_over_the_bar_is_trusted_and_one_just_under_is_told_apart():
    record = solve(
        INSTANCE,
        FEATURES,
        policy=Cascade(RUNGS),
        context=context(verifiers=weighed(0.7)),
        run_name="t",
    )
    assert [o.arm.model for o in record.outcomes] == ["local"]
    near = outcome("d", weighs(0.6199))
    assert "with p .6199, under .6200" in tried_why(Cascade(LADDER), near)


def weighs(chance: float | None, bar: float = 0.62, said: str = "fail") -> Verdict:
    return verdict(said, ACCEPTANCE, threshold=bar).model_copy(update={"score": chance})


def tried_why(policy: Any, *history: Any, left: str = "100") -> str:
    return policy.decide(issue(), history, purse(left)).why


@pytest.mark.parametrize("mode", ["fresh", "notes", "continue"])
def test_only_tiers_above_the_first_are_handed_work(mode):
    for policy in (Cascade(LADDER, handover=mode), Ration(LADDER, handover=mode)):
        first = policy.decide(issue(), (), purse())
        then = policy.decide(issue(), (outcome("d", verdict("fail")),), purse())
        assert [p.handover for p in first.plans] == ["fresh"]
        assert [p.handover for p in then.plans] == [mode]


HANDING = [
    name
    for name in plugins.BUILT_IN["policies"]
    if "handover" in plugins.load_plugin("policies", name).knobs_type.model_fields
]


@pytest.mark.parametrize("name", HANDING)
@pytest.mark.parametrize("said", ["pass", "fail", "unknown"])
def test_how_work_is_handed_over_changes_nothing_else_of_a_decision(name, said):
    def made(mode: str) -> Any:
        policy = plugins.load_plugin("policies", name)(LADDER, handover=mode)
        return policy.fitted(examples(repeats=3)) if hasattr(policy, "fitted") else policy

    fresh, notes = made("fresh"), made("notes")
    history: tuple[Any, ...] = ()
    for _ in range(4):
        one, two = (p.decide(issue(complexity=5), history, purse()) for p in (fresh, notes))
        assert (one.kind, one.why) == (two.kind, two.why)
        if isinstance(one, Stop):
            break
        assert {p.handover for p in two.plans} == {"notes" if history else "fresh"}
        bare = [p.model_copy(update={"handover": "fresh"}) for p in two.plans]
        assert bare == list(one.plans)
        tier = one.plans[0].arm.model
        history = (*history, outcome("d", verdict(said), tier=tier, number=len(history) + 1))
    assert {"cascade", "doc-6.6", "ration", "frugalgpt", "automix", "conformal", "retry",
            "routerbench-cascade", "cascade-routing", "strong-retry"} == set(HANDING)  # fmt: skip


def test_a_mode_that_there_is_not_is_named():
    with pytest.raises(UsageError, match="'handover'"):
        Cascade(LADDER, handover="notse")


def test_without_a_value_no_issue_is_given_up():
    assert tried(Cascade(LADDER), outcome("d", weighs(0.61))) == "mid"


def test_an_issue_that_is_not_worth_the_next_tier_is_given_up_and_the_sum_is_shown():
    costs = {"mid": "0.50"}
    hopeless = Cascade(LADDER, value=2.0, costs=costs)
    # 2 x .385 x .69 = .53 > .50; 2 x .385 x .61 = .47 is not.
    assert tried(hopeless, outcome("d", weighs(0.31))) == "mid"
    said = tried_why(hopeless, outcome("d", weighs(0.39)))
    assert said.startswith("HOPELESS: weak's patch is right with p .39, under .62, and $2 x 0.385")
    assert "77 of 200" in said
    assert "is $0.47, not over the $0.50 that mid is expected to cost" in said
    assert "not predictable" in said


def test_what_is_unknown_is_not_taken_for_a_probability():
    costs = {"mid": "0.80"}
    bare = outcome("d", verdict("fail"))
    said = tried_why(Cascade(LADDER, value=2.0, costs=costs), bare)
    assert "though nothing tells how likely a patch is right" in said
    assert "no patch is right yet" not in said
    assert tried(Cascade(LADDER, value=2.1, costs=costs), bare) == "mid"


def test_without_a_patch_none_is_right_for_sure():
    said = tried_why(Cascade(LADDER, value=0.1), outcome(""))
    assert "x 1.00 that no patch is right yet" in said
    assert "nothing tells" not in said


def test_a_rescue_rate_of_ones_own_goes_by_tier_and_is_not_called_ours():
    by_tier = Cascade(LADDER, value=10, rescue={"weak": 0.01})
    said = tried_why(by_tier, outcome("d", verdict("fail")))
    assert said.startswith("HOPELESS")
    assert "77 of 200" not in said
    assert tried(by_tier, outcome("d", verdict("fail"), tier="mid")) == "strong"
    with pytest.raises(UsageError, match="'rescue' names tier 'weka'"):
        Cascade(LADDER, rescue={"weka": 0.5})


def test_an_entry_of_a_knob_can_be_given_alone_as_on_a_command_line():
    dotted = Cascade(LADDER, **{"rescue.weak": 0.3, "costs.mid": 2, "rescue.mid": 0.1})
    whole = Cascade(LADDER, rescue={"weak": 0.3, "mid": 0.1}, costs={"mid": 2})
    assert dotted == whole
    both = Cascade(LADDER, **{"costs.mid": 2, "costs": {"weak": 1}})
    assert both == Cascade(LADDER, costs={"weak": 1, "mid": 2})
    with pytest.raises(UsageError, match=r"'cost\.mid'; did you mean 'costs'"):
        Cascade(LADDER, **{"cost.mid": 2})


def test_a_broken_provider_is_no_refusal_so_nothing_is_given_up_for_it():
    gone = outcome("", ended="broke", failure=broke())
    assert tried(Cascade(LADDER, value=0.01), gone) == "mid"


def test_ration_gives_up_before_it_draws():
    said = Ration(LADDER, value=0.01).decide(issue(), (outcome("d", verdict("fail")),), purse())
    assert isinstance(said, Stop)
    assert said.why.startswith("HOPELESS")


@given(
    value=st.floats(0.01, 50),
    cost=st.decimals("0.01", "20", places=2),
    chance=st.floats(0, 0.6),
)
def test_the_rule_is_its_formula_and_monotone(value: float, cost: Decimal, chance: float) -> None:
    def goes_on(**changes: Any) -> bool:
        given_ = {"value": value, "costs": {"mid": cost}, **changes}
        p = given_.pop("p", chance)
        move = Cascade(LADDER, **given_).decide(issue(), (outcome("d", weighs(p)),), purse())
        return isinstance(move, Try)

    assert goes_on() == (value * RESCUE_RATE * (1 - chance) > cost)
    if goes_on():
        assert goes_on(value=value * 2)
        assert goes_on(costs={"mid": cost / 2})
        assert goes_on(p=chance / 2)
