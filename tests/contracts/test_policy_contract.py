"""Every policy: pure, never over the purse, always at an end, and the same again when restored."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.records import (
    Arm,
    Budget,
    BudgetView,
    Failure,
    Features,
    Plan,
    RunRecord,
    Stop,
    Try,
)
from tests.doubles.lessons import TIERS, examples, rated
from tests.doubles.project import INSTANCE, outcome, verdict

KNOBS: dict[str, dict[str, Any]] = {
    "fixed": {"tier": "mid"},
    "arch-router": {"routes": {"small_bug": "weak"}},
}
POLICIES = sorted(plugins.BUILT_IN["policies"])
LEARNERS = [name for name in POLICIES if hasattr(plugins.load_plugin("policies", name), "fitted")]
NEEDY = [name for name in POLICIES if getattr(plugins.load_plugin("policies", name), "needs", "")]
"""Those that say what they cannot do without."""
LADDER = tuple(
    Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(usd)))
    for tier, usd in zip(TIERS, ("0.1", "1", "3"), strict=True)
)
BROKE = Failure(kind="Overloaded", boundary="model", message="", retry=True, counts=False)
NINE = Budget(dollars=Decimal(9))
LESSONS = rated(examples(repeats=3))


@cache
def made(name: str) -> Any:
    policy = plugins.load_plugin("policies", name)(LADDER, **KNOBS.get(name, {}))
    return policy.fitted(LESSONS) if hasattr(policy, "fitted") else policy


histories = st.lists(
    st.builds(
        outcome,
        st.sampled_from(["", "diff"]),
        st.sampled_from([verdict("pass"), verdict("fail"), verdict("unknown")]),
        tier=st.sampled_from([*TIERS, "stranger"]),
        ended=st.sampled_from(["submitted", "budget", "steps", "time", "gave_up", "broke"]),
        failure=st.sampled_from([None, BROKE]),
    ),
    max_size=5,
)
values = st.fixed_dictionaries(
    {"judge.route.small_bug": st.just(1.0)},
    optional={"complexity": st.floats(allow_nan=True), "words": st.integers(0, 900).map(float)},
)
features = st.builds(
    Features,
    instance_id=st.text("ab_-1", min_size=1, max_size=5),
    text=st.sampled_from(["", "the parser crashes", "refactor this algorithm"]),
    values=values,
)
purses = st.builds(
    BudgetView,
    budget=st.decimals("0", "50", places=4),
    spent=st.decimals("0", "60", places=4),
    reserved=st.just(Decimal(0)),
    instances_left=st.integers(0, 500),
    clock=st.just(0.0),
)


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(features=features, history=histories, purse=purses)
def test_a_decision_is_pure_payable_and_explained(
    name: str, features: Features, history: list[Any], purse: BudgetView
) -> None:
    policy = made(name)
    prepared = policy.prepare([features], NINE)
    move = prepared.decide(features, history, purse)
    assert prepared.decide(features, list(history), purse) == move
    assert move.why
    assert "\n" not in move.why
    state = json.loads(json.dumps(dict(prepared.state())))
    assert made(name).restored(state).decide(features, history, purse) == move
    if isinstance(move, Try):
        assert sum(plan.budget.dollars for plan in move.plans) <= purse.left
        assert 0 < move.propensity <= 1


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("patch", ["", "diff"])
def test_it_stops_by_itself(name: str, patch: str) -> None:
    policy, history, purse = made(name), [], _purse()
    for _ in range(len(LADDER) + 1):
        move = policy.decide(Features(instance_id="i"), history, purse)
        if isinstance(move, Stop):
            break
        history += [
            outcome(patch, verdict("fail"), tier=plan.arm.model, number=len(history) + 1)
            for plan in move.plans
        ]
    assert isinstance(move, Stop)


@pytest.mark.parametrize("name", POLICIES)
def test_an_unknown_knob_is_a_usage_error_that_names_the_nearest(name: str) -> None:
    with pytest.raises(UsageError, match="did you mean 'candidates'"):
        plugins.load_plugin("policies", name)(LADDER, **{**KNOBS.get(name, {}), "candidate": 2})


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_a_frozen_value(name: str) -> None:
    again = plugins.load_plugin("policies", name)(LADDER, **KNOBS.get(name, {}))
    assert made(name) == again
    with pytest.raises(AttributeError):
        again.ladder = ()


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_says_its_idea_its_source_and_its_maturity(name: str) -> None:
    kind = plugins.load_plugin("policies", name)
    assert kind.__doc__
    assert kind.source
    assert kind.maturity
    for point in getattr(kind, "sweep", ()):
        kind(LADDER, **{**KNOBS.get(name, {}), **point})


@pytest.mark.parametrize("name", POLICIES)
def test_what_it_learns_on_the_way_is_all_in_its_state(name: str) -> None:
    policy, purse = made(name), _purse()
    for number, said in enumerate(("pass", "fail", "pass")):
        record = RunRecord(
            run="r", instance=INSTANCE, features=LESSONS[number].features, decisions=(),
            outcomes=(outcome("diff", verdict(said), tier=TIERS[number]),), status="candidate",
        )  # fmt: skip
        policy = policy.update(record)
    state = json.loads(json.dumps(dict(policy.state())))
    for lesson in LESSONS[:4]:
        told = made(name).restored(state).decide(lesson.features, (), purse)
        assert told == policy.decide(lesson.features, (), purse)
    learns = getattr(policy, "sequential", False) and name != "ration"
    assert (state != dict(made(name).state())) == learns


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_is_fitted_first_and_tells_when_its_lessons_changed(name: str) -> None:
    bare = plugins.load_plugin("policies", name)(LADDER, **KNOBS.get(name, {}))
    with pytest.raises(UsageError, match="outcomes=FILE"):
        bare.prepare([LESSONS[0].features], NINE)
    with pytest.raises(UsageError, match="hold no run of"):
        bare.fitted(
            [one.model_copy(update={"runs": {"weak": one.runs["weak"]}}) for one in LESSONS]
        )
    with pytest.raises(UsageError, match="fitted on other outcomes"):
        made(name).restored({"fitted_on": "0" * 64})


@pytest.mark.parametrize("name", NEEDY)
def test_an_input_that_is_not_there_is_said_and_never_guessed(name: str) -> None:
    policy = plugins.load_plugin("policies", name)(LADDER, **KNOBS.get(name, {}))
    bare = examples()
    issues = [one.features for one in bare]
    with pytest.raises(UsageError, match="needs "):
        policy.fitted(bare) if name in LEARNERS else policy.prepare(issues, NINE)


def _purse() -> BudgetView:
    return BudgetView(
        budget=Decimal(99), spent=Decimal(0), reserved=Decimal(0), instances_left=1, clock=0
    )
