"""Every policy: pure, never over the purse, always at an end, and the same again when restored."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swe_router import plugins
from swe_router.errors import UsageError
from swe_router.records import Arm, Budget, Failure, Features, Plan, PurseView, Stop, Try
from tests.doubles.project import outcome, verdict

TIERS = ("weak", "mid", "strong")
KNOBS: dict[str, dict[str, Any]] = {"fixed": {"tier": "mid"}}
POLICIES = sorted(plugins.BUILT_IN["policies"])
LADDER = tuple(
    Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(usd)))
    for tier, usd in zip(TIERS, ("0.1", "1", "3"), strict=True)
)
BROKE = Failure(kind="Overloaded", boundary="model", message="", retry=True, counts=False)


def made(name: str) -> Any:
    return plugins.load("policies", name)(LADDER, **KNOBS.get(name, {}))


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
features = st.builds(
    Features,
    instance_id=st.text(max_size=5),
    values=st.dictionaries(st.just("complexity"), st.floats(allow_nan=True), max_size=1),
)
purses = st.builds(
    PurseView,
    budget=st.decimals("0", "50", places=4),
    spent=st.decimals("0", "60", places=4),
    reserved=st.just(Decimal(0)),
    instances_left=st.integers(0, 500),
    clock=st.just(0.0),
)


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(features=features, history=histories, purse=purses)
def test_a_decision_is_pure_payable_and_explained(
    name: str, features: Features, history: list[Any], purse: PurseView
) -> None:
    policy = made(name)
    prepared = policy.prepare([features], Budget(dollars=Decimal(9)))
    move = prepared.decide(features, history, purse)
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
    policy, history = made(name), []
    purse = PurseView(
        budget=Decimal(99), spent=Decimal(0), reserved=Decimal(0), instances_left=1, clock=0
    )
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
        plugins.load("policies", name)(LADDER, **{**KNOBS.get(name, {}), "candidate": 2})


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_a_frozen_value(name: str) -> None:
    policy = made(name)
    assert policy == made(name)
    with pytest.raises(AttributeError):
        policy.ladder = ()
