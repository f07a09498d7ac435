"""Policies that give an attempt a phase: its money, its limits, and what they refuse."""

from __future__ import annotations

from decimal import Decimal

import pytest

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.outcomes.simulation.simulate import play
from swe_router.outcomes.simulation.stage import MissingRun, build_simulation
from swe_router.outcomes.simulation.verifier_model import parse_verifier_model
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable
from swe_router.records import (
    Arm,
    Budget,
    BudgetView,
    Failure,
    Features,
    Phase,
    Plan,
    Step,
    Stop,
    Trajectory,
    label_with_phases,
)
from swe_router.solve.work_plans import earlier_work_plan
from tests.doubles.agent import answer
from tests.doubles.project import outcome, verdict

LADDER = (
    Plan(arm=Arm(model="weak"), budget=Budget(dollars=1, steps=40, seconds=100)),
    Plan(arm=Arm(model="mid"), budget=Budget(dollars=2)),
    Plan(arm=Arm(model="strong"), budget=Budget(dollars=4, steps=30, seconds=50)),
)
ISSUE = Features(instance_id="i")


def purse(usd: str) -> BudgetView:
    return BudgetView(budget=Decimal(usd), spent=0, reserved=0, instances_left=1, clock=0.0)


def first_plan(name: str, money: str = "100", **knobs) -> Plan:
    policy = plugins.load_plugin("policies", name)(LADDER, **knobs)
    return policy.decide(ISSUE, (), purse(money)).plans[0]


@pytest.mark.parametrize(
    ("name", "role", "usd", "calls", "steps"),
    [
        ("plan-execute", "planner", 2, 8, 48),
        ("finish-strong", "finisher", 4, 0, 70),
        ("advisor", "advisor", 2, 3, 43),
    ],
)
def test_the_phase_comes_on_top_of_the_executors_own_limits(name, role, usd, calls, steps):
    plan = first_plan(name)
    (phase,) = plan.phases
    assert (plan.arm.model, phase.role, phase.tier) == ("weak", role, "strong")
    assert (phase.usd, phase.calls) == (usd, calls)
    assert plan.budget == Budget(dollars=1 + Decimal(usd), steps=steps, seconds=100)


def test_a_finisher_takes_over_at_the_latest_at_the_step_limit_of_the_executor():
    assert first_plan("finish-strong").phases[0].after == 40
    assert first_plan("finish-strong", after=7).phases[0].after == 7


def test_knobs_name_the_tiers_and_the_money():
    plan = first_plan("advisor", executor="mid", helper="weak", usd="0.25", questions=1)
    assert plan.arm.model == "mid"
    assert plan.phases == (Phase(role="advisor", tier="weak", usd=Decimal("0.25"), calls=1),)
    assert plan.budget.steps == 0, "no limit stays no limit"


def test_an_attempt_whose_phase_does_not_fit_the_money_is_made_by_the_executor_alone():
    assert first_plan("plan-execute", money="2.99") == LADDER[0]
    assert first_plan("plan-execute", money="3").phases


def test_a_broken_provider_is_answered_by_other_tiers_alone_and_a_bad_patch_by_a_stop():
    policy = plugins.load_plugin("policies", "plan-execute")(LADDER)
    broke = Failure(kind="Overloaded", boundary="model", message="", retry=True, counts=False)
    move = policy.decide(ISSUE, (outcome("", tier="weak", failure=broke),), purse("100"))
    assert [plan.phases for plan in move.plans] == [()]
    assert move.plans[0].arm.model == "mid"
    bad = outcome("diff", verdict("fail"), tier="weak")
    assert isinstance(policy.decide(ISSUE, (bad,), purse("100")), Stop)


@pytest.mark.parametrize("name", ["plan-execute", "finish-strong", "advisor"])
def test_one_tier_alone_is_refused(name):
    with pytest.raises(UsageError, match="needs two tiers"):
        plugins.load_plugin("policies", name)(LADDER[:1])
    with pytest.raises(UsageError, match="did you mean 'strong'"):
        plugins.load_plugin("policies", name)(LADDER, helper="stron")


def test_a_plan_without_phases_is_recorded_as_ever():
    assert "phases" not in LADDER[0].model_dump_json()
    assert Plan.model_validate_json(first_plan("advisor").model_dump_json()).phases
    assert "tiers" not in Trajectory(exit="submitted").model_dump_json()


def _stage(*systems: str):
    rows = [
        OutcomeRow("i", system, resolved, usd=usd, steps=5)
        for system, resolved, usd in (
            ("weak", False, 0.1), ("strong", True, 1.0), ("weak+strong:planner", True, 0.3),
        )
        if system in systems
    ]  # fmt: skip
    features, channel = [Features(instance_id="i", repo="a/b")], "tpr=1,fpr=0"
    return build_simulation(
        OutcomeTable(tuple(rows)), ("weak", "strong"), features, parse_verifier_model(channel)
    )


def test_the_leaderboard_says_which_runs_it_needs_and_scores_those_that_there_are():
    kind = plugins.load_plugin("policies", "plan-execute")
    bare = _stage("weak", "strong")
    with pytest.raises(MissingRun, match=r"recorded runs of weak\+strong:planner"):
        play(kind(bare.ladder), bare)
    known = _stage("weak", "strong", "weak+strong:planner")
    played = play(kind(known.ladder), known)
    assert (played.resolved[0], played.usd[0]) == (1.0, pytest.approx(0.3))
    assert played.signature != play(plugins.load_plugin("policies", "fixed")(
        known.ladder, tier="weak"), known).signature  # fmt: skip


def test_a_work_plan_of_an_earlier_attempt_is_found_in_its_steps():
    plan = first_plan("plan-execute")
    phase = {"tier": "strong", "why": "", "role": "executor"}
    steps = {
        "1-weak": [
            Step(index=0, request="a", completion=answer(say="The plan.", tier="strong")),
            Step(index=1, request="b", completion=answer(say="ok"), phase=phase),
        ],
        "2-weak": [Step(index=0, request="a", completion=answer(say="x", tier="strong"))],
    }
    past = outcome("diff", tier="weak", number=1)
    attempt = past.attempt.model_copy(update={"id": "1-weak", "plan": plan})
    planned = past.model_copy(update={"attempt": attempt})
    assert earlier_work_plan(plan, [past], lambda name: steps["1-weak"]) == "", "it had no phase"
    assert earlier_work_plan(plan, [planned], lambda name: steps["1-weak"]) == "The plan."
    assert earlier_work_plan(plan, [planned], lambda name: steps["2-weak"]) == "", "no end"
    assert earlier_work_plan(LADDER[0], [planned], lambda name: steps["1-weak"]) == ""
    assert label_with_phases(plan.arm, plan.phases) == "weak+strong:planner"
