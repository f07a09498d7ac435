"""What the ladder policies decide, and why they say so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.errors import UsageError
from swe_router.policies.base import fault_of, is_trusted, sandbox_is_permanently_broken
from swe_router.policies.cascade import Cascade
from swe_router.policies.fixed import Fixed
from swe_router.policies.ration import Ration
from swe_router.records import (
    Arm,
    Budget,
    BudgetView,
    Failure,
    Features,
    Outcome,
    Plan,
    Stop,
    Try,
    Verdict,
)
from tests.doubles.project import outcome, verdict


def plan(tier: str, usd: str) -> Plan:
    return Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(usd), steps=9, seconds=99))


LADDER = (plan("weak", "0.10"), plan("mid", "1"), plan("strong", "3"))
PASS, FAIL = verdict("pass"), verdict("fail")


def issue(**values: float) -> Features:
    return Features(instance_id="o__n-1", values=values)


def purse(left: str = "100", instances: int = 1) -> BudgetView:
    return BudgetView(
        budget=Decimal(left),
        spent=Decimal(0),
        reserved=Decimal(0),
        instances_left=instances,
        clock=0,
    )


def broke(kind: str = "Overloaded", boundary: str = "model", retry: bool = True) -> Failure:
    return Failure(kind=kind, boundary=boundary, message="m", retry=retry, counts=False)


def tried(policy: Any, *history: Outcome, left: str = "100", **values: float) -> str:
    """Tier that is tried next, or ``stop: why``."""
    move = policy.decide(issue(**values), history, purse(left))
    return f"stop: {move.why}" if isinstance(move, Stop) else str(move.plans[0].arm)


def test_by_default_no_complexity_skips_the_cheap_tier() -> None:
    assert tried(Cascade(LADDER), complexity=10) == "weak"


def test_thresholds_of_ones_own_pick_the_first_rung() -> None:
    assert tried(Cascade(LADDER)) == "weak"
    assert tried(Cascade(LADDER), complexity=float("nan")) == "weak"
    assert tried(Cascade(LADDER, thresholds=[3, 6]), complexity=7) == "strong"
    assert tried(Cascade(LADDER[:1], thresholds=[3, 6]), complexity=7) == "weak"
    assert tried(Cascade(LADDER, thresholds=5), complexity=7) == "mid"


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (outcome("d", FAIL), "weak's patch failed repo-tests"),
        (outcome("d", verdict("unknown")), "no verifier passed weak's patch"),
        (outcome("d"), "no verifier passed weak's patch"),
        (outcome(""), "weak left an empty patch"),
        (outcome("d", PASS, ended="steps"), "weak hit its step limit"),
        (outcome("d", PASS, ended="budget"), "weak hit its dollar limit"),
        (outcome("d", PASS, ended="time"), "weak hit its time limit"),
        (outcome("d", PASS, ended="gave_up"), "weak gave up"),
        (outcome("", ended="broke", failure=broke()), "weak broke (the provider: Overloaded)"),
    ],
)
def test_every_trigger_escalates_and_says_its_own_reason(last: Outcome, said: str) -> None:
    move = Cascade(LADDER).decide(issue(), (last,), purse())
    assert isinstance(move, Try)
    assert move.plans[0].arm.model == "mid"
    assert move.why.startswith(said)


def test_a_trusted_patch_stops_the_climb() -> None:
    said = tried(Cascade(LADDER), outcome("d", verdict("pass", "applies"), PASS))
    assert said == "stop: accepted weak's patch: passed applies, repo-tests"


def test_the_top_is_the_end() -> None:
    history = [outcome("d", FAIL, tier=p.arm.model) for p in LADDER]
    assert "no stronger tier is left" in tried(Cascade(LADDER), *history)


def test_money_that_is_not_there_is_named_to_the_cent() -> None:
    said = tried(Cascade(LADDER), outcome("d", FAIL), left="0.99")
    assert "weak's patch failed repo-tests" in said
    assert "mid's limit of $1.00 and strong's limit of $3.00 are over the $0.99 left" in said
    assert "left undone" in said


def test_a_dear_rung_is_passed_over_for_a_later_cheaper_one() -> None:
    ladder = (plan("weak", "0.1"), plan("mid", "5"), plan("strong", "2"))
    move = Cascade(ladder).decide(issue(), (outcome("d", FAIL),), purse("3"))
    assert isinstance(move, Try)
    assert move.plans[0].arm.model == "strong"
    assert "mid's limit of $5.00 is over the $3.00 left" in move.why


def test_a_complex_issue_begins_lower_when_the_money_asks_for_it() -> None:
    assert tried(Cascade(LADDER), left="0.5", complexity=9.9) == "weak"


def test_a_broken_provider_at_the_top_is_covered_from_below() -> None:
    history = (outcome("", tier="strong", ended="broke", failure=broke()),)
    cascade = Cascade(LADDER, thresholds=[1, 2])
    assert tried(cascade, *history, complexity=5) == "mid"


def test_a_sandbox_that_is_gone_for_good_does_not_cost_the_stronger_tier() -> None:
    gone = outcome("", ended="broke", failure=broke("ImageMissing", "sandbox", retry=False))
    assert "same sandbox" in tried(Cascade(LADDER), gone)


def test_a_sandbox_that_may_come_back_is_no_reason_to_stop() -> None:
    away = outcome("", ended="broke", failure=broke("SandboxLost", "sandbox", retry=True))
    assert not sandbox_is_permanently_broken(away)
    assert tried(Cascade(LADDER), away) == "mid"
    gone = broke("BadReply", "model", retry=False)
    assert not sandbox_is_permanently_broken(outcome("", ended="broke", failure=gone)), (
        "another tier may answer"
    )


def test_an_accepted_patch_of_an_attempt_that_broke_is_not_trusted() -> None:
    late = outcome("d", PASS, failure=broke())
    assert late.accepted
    assert not is_trusted(late)
    assert is_trusted(outcome("d", PASS))
    assert not is_trusted(outcome("d", PASS, ended="steps"))
    assert not is_trusted(outcome("d", FAIL))
    assert tried(Cascade(LADDER), late) == "mid"


def test_a_refused_patch_is_told_by_its_chance_only_where_that_is_what_refused_it() -> None:
    def refused(chance: float, threshold: float | None, *others: Verdict) -> str:
        weighed = verdict("fail", "acceptance", **({"threshold": threshold} if threshold else {}))
        scored = weighed.model_copy(update={"score": chance})
        return fault_of(outcome("d", *others, scored))

    assert refused(0.3, 0.5) == "weak's patch is right with p .30, under .50"
    assert refused(0.3, 0.5, FAIL) == (
        "weak's patch is right with p .30, under .50 (failed repo-tests)"
    )
    assert refused(0.499, 0.5).startswith("weak's patch is right with p .499, under .500")
    assert refused(0.9, 0.5, FAIL) == "weak's patch failed repo-tests", "its chance was enough"
    assert refused(0.5, 0.5, FAIL) == "weak's patch failed repo-tests"
    assert refused(0.3, None, FAIL) == "weak's patch failed repo-tests"
    assert refused(0.9, 0.5) == "weak's patch failed acceptance"


def test_candidates_are_made_side_by_side_with_seeds_of_their_own() -> None:
    move = Cascade(LADDER, candidates=3).decide(issue(), (), purse())
    assert isinstance(move, Try)
    assert [p.seed for p in move.plans] == [None, 1, 2]
    two = Cascade(LADDER, candidates=3).decide(issue(), (), purse("0.25"))
    assert isinstance(two, Try)
    assert len(two.plans) == 2
    one_good = (outcome("d", FAIL), outcome("e", PASS, number=2))
    assert tried(Cascade(LADDER, candidates=2), *one_good).startswith("stop: accepted")


@pytest.mark.parametrize(
    ("kind", "knobs", "said"),
    [
        (Cascade, {"treshold": 3}, "did you mean 'thresholds'?"),
        (Cascade, {"thresholds": [5, 2]}, "ascend"),
        (Cascade, {"thresholds": "high"}, "thresholds"),
        (Cascade, {"candidates": 0}, "candidates"),
        (Fixed, {"tier": "weka"}, "did you mean 'weak'?"),
        (Fixed, {}, "must be one of weak, mid, strong"),
        (Ration, {"reject": 2}, "reject"),
        (Ration, {"costs": {"other": 1}}, "'other'"),
    ],
)
def test_a_bad_knob_is_named(kind: Any, knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        kind(LADDER, **knobs)


def test_an_empty_or_doubled_ladder_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        Cascade(())
    with pytest.raises(UsageError, match="twice"):
        Cascade((LADDER[0], LADDER[0]))


def test_fixed_asks_one_tier_once() -> None:
    fixed = Fixed(LADDER, tier="mid")
    assert tried(fixed) == "mid"
    assert "no other tier is asked" in tried(fixed, outcome("d", FAIL, tier="mid"))
    assert "$1.00 is over the $0.99 left" in tried(fixed, left="0.99")
    assert tried(Fixed(LADDER[:1])) == "weak"


@given(
    left=st.decimals("0", "100", places=2),
    instances=st.integers(1, 500),
    reject=st.floats(0, 1),
)
def test_ration_keeps_to_its_formula(left: Decimal, instances: int, reject: float) -> None:
    costs = {"weak": "0.05", "mid": "0.5", "strong": "1"}
    ration = Ration(LADDER, costs=costs, reject=reject)
    share, _ = ration.share(1, purse(str(left), instances))
    remaining = instances - 1
    raw = (float(left) - remaining * 0.05) / ((1 + remaining * reject) * 0.5)
    assert share == pytest.approx(min(1.0, max(0.0, raw)))


def test_ration_draws_the_recorded_propensity_and_the_same_each_time() -> None:
    ration = Ration(LADDER, costs={"weak": 0.1, "mid": 1}, reject=1)
    moves = [
        ration.decide(
            Features(instance_id=f"i{n}"), (outcome("d", FAIL),), purse("55", instances=101)
        )
        for n in range(400)
    ]
    again = ration.decide(
        Features(instance_id="i0"), (outcome("d", FAIL),), purse("55", instances=101)
    )
    assert again == moves[0]
    went = [move for move in moves if isinstance(move, Try)]
    assert {round(move.propensity, 3) for move in went} == {0.446}
    assert 0.36 < len(went) / 400 < 0.53
    assert "rationed" in next(move.why for move in moves if isinstance(move, Stop))


def test_ration_reaches_every_issue_where_greed_does_not() -> None:
    def seen(policy: Any, cap: str) -> int:
        money, reached = Decimal(cap), 0
        for left in range(200, 0, -1):
            features, history = Features(instance_id=f"i{left}"), []
            view = purse(str(money), left)
            while isinstance(move := policy.decide(features, history, view), Try):
                tier = move.plans[0].arm.model
                reached += tier == "weak"
                money -= {"weak": Decimal("0.05"), "mid": Decimal("0.6")}[tier]
                assert money >= 0
                history.append(outcome("d", FAIL, tier=tier))
                view = purse(str(money), left)
        return reached

    costs = {"weak": "0.05", "mid": "0.6"}
    assert seen(Cascade(LADDER[:2]), "30") < 60
    assert seen(Ration(LADDER[:2], costs=costs, reject=1), "30") > 195


def test_a_tier_is_named_alone_where_its_arm_has_another_scaffold():
    """``--policy always-cloud --set scaffold=PATH`` was refused: the arm is cloud//PATH."""
    ladder = [one.model_copy(update={"arm": Arm(model=one.arm.model, scaffold="/a/b")})
              for one in LADDER]  # fmt: skip
    assert Fixed(ladder, tier="mid").plan == ladder[1]
    assert Fixed(ladder, tier="mid//a/b").plan == ladder[1]
    with pytest.raises(UsageError, match=r"one of weak, mid, strong .given: 'md'.; did you mean"):
        Fixed(ladder, tier="md")
    with pytest.raises(UsageError, match=r"one of weak, mid, strong .given: ''"):
        Fixed(ladder)
