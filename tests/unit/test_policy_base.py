"""What all ladder policies share: knobs, trust, faults in words, and money in words."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import pytest
from pydantic import Field

from swe_router.errors import UsageError
from swe_router.policies import base
from swe_router.policies.cascade import Cascade
from swe_router.policies.fixed import Fixed
from swe_router.records import (
    Arm,
    Budget,
    BudgetView,
    Failure,
    Features,
    Outcome,
    Plan,
    Verdict,
)
from tests.doubles.project import outcome, verdict


def plan(tier: str, usd: str = "1", seed: int | None = None) -> Plan:
    return Plan(arm=Arm(model=tier), budget=Budget(dollars=Decimal(usd)), seed=seed)


LADDER = (plan("weak"), plan("mid"), plan("strong"))


def purse(budget: str, own: str | None = None) -> BudgetView:
    return BudgetView(
        budget=Decimal(budget), spent=Decimal(0), reserved=Decimal(0), instances_left=1, clock=0,
        own=None if own is None else Decimal(own),
    )  # fmt: skip


def failure(kind: str = "Overloaded", boundary: str = "model", **changes: Any) -> Failure:
    values = {"retry": True, "counts": False, **changes}
    return Failure(kind=kind, boundary=boundary, message="m", **values)


def ended(why: str, how: Any = "stop_loss") -> Outcome:
    last = outcome("d", ended=how)
    trajectory = last.attempt.trajectory.model_copy(update={"why": why})
    return last.model_copy(
        update={"attempt": last.attempt.model_copy(update={"trajectory": trajectory})}
    )


def weighed(result: Any, score: float | None, **evidence: Any) -> Verdict:
    return Verdict(
        candidate="c", verifier="acceptance", outcome=result, score=score, evidence=evidence
    )


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("NoConnection", "no connection"),
        ("NoCredit", "no credit"),
        ("ModelUnknown", "model unknown"),
        ("SettingRefused", "setting refused"),
        ("NoImageStore", "no image store"),
        ("EngineGone", "no sandbox engine"),
        ("Overloaded", "Overloaded"),
        ("Odd", "Odd"),
    ],
)
def test_what_broke_is_named_in_words_where_it_has_some(kind, cause):
    by_model = outcome("", ended="broke", failure=failure(kind))
    assert base.fault_of(by_model) == f"weak broke (the provider: {cause})"
    by_sandbox = outcome("", ended="broke", failure=failure(kind, "sandbox"))
    assert base.fault_of(by_sandbox) == f"weak broke (sandbox: {cause})"


def test_an_early_stop_says_its_reason_where_it_has_one_and_other_ends_do_not():
    assert base.fault_of(ended("p .1")) == "weak was stopped early (p .1)"
    assert base.fault_of(ended("")) == "weak was stopped early"
    assert base.fault_of(ended("no money", "budget")) == "weak hit its dollar limit"


@pytest.mark.parametrize(
    ("verdicts", "fault"),
    [
        ([verdict("fail"), verdict("pass", "b")], "weak's patch failed repo-tests"),
        ([verdict("fail"), verdict("fail", "b")], "weak's patch failed repo-tests, b"),
        ([verdict("unknown"), verdict("unknown", "b")],
         "no verifier passed weak's patch (2 said unknown)"),
        ([], "no verifier passed weak's patch (0 said unknown)"),
        ([verdict("pass"), weighed("unknown", None)],
         "weak's patch passed repo-tests, which does not carry it"),
        ([verdict("unknown"), weighed("unknown", None)],
         "no verifier passed weak's patch (1 said unknown)"),
        ([weighed("fail", None)], "weak's patch failed acceptance"),
        ([verdict("fail"), weighed("fail", None)], "weak's patch failed repo-tests"),
        ([verdict("pass"), weighed("fail", 0.31, threshold=0.5)],
         "weak's patch is right with p .31, under .50"),
        ([verdict("fail"), weighed("fail", 0.31, threshold=0.5)],
         "weak's patch is right with p .31, under .50 (failed repo-tests)"),
        ([weighed("fail", None, threshold=0.5)], "weak's patch failed acceptance"),
        ([weighed("fail", 0.31)], "weak's patch failed acceptance"),
        ([weighed("fail", 0.31, threshold="high")], "weak's patch failed acceptance"),
        ([weighed("fail", 0.5, threshold=0.5)], "weak's patch failed acceptance"),
        ([weighed("pass", 0.31, threshold=0.5)], "weak ended as submitted"),
        ([weighed("fail", 0.31, threshold=1)], "weak's patch is right with p .31, under 1.00"),
    ],
)  # fmt: skip
def test_a_patch_that_is_not_trusted_says_which_verdict_it_is(verdicts, fault):
    assert base.fault_of(outcome("d", *verdicts)) == fault


def test_a_patch_is_trusted_when_it_was_submitted_whole_and_accepted():
    passed = verdict("pass")
    assert base.is_trusted(outcome("d", passed))
    assert not base.is_trusted(outcome("d", passed, ended="steps"))
    assert not base.is_trusted(outcome("d", passed, failure=failure()))
    assert not base.is_trusted(outcome("d"))
    first, second = outcome("d", passed, number=2), outcome("d", passed, number=3)
    assert base.first_trusted([outcome("d"), first, second]) == first
    assert base.first_trusted([outcome("d")]) is None
    assert base.fault_of(outcome("")) == "weak left an empty patch"
    assert base.fault_of(Outcome(attempt=outcome("d").attempt)) == "weak left an empty patch"


def test_a_failure_that_counts_is_evidence_about_the_arm():
    assert base.is_infra_failure(outcome("", failure=failure(counts=False)))
    assert not base.is_infra_failure(outcome("", failure=failure(counts=True)))
    assert not base.is_infra_failure(outcome(""))


def test_only_a_sandbox_that_broke_for_good_ends_it_for_every_tier():
    broken = outcome("", ended="broke", failure=failure("ImageMissing", "sandbox", retry=False))
    assert base.sandbox_is_permanently_broken(broken)
    assert not base.sandbox_is_permanently_broken(
        outcome("", failure=failure("x", "sandbox", retry=True))
    )
    assert not base.sandbox_is_permanently_broken(
        outcome("", failure=failure("x", "model", retry=False))
    )
    assert not base.sandbox_is_permanently_broken(outcome(""))
    told = "weak broke (sandbox: ImageMissing): every tier would meet the same sandbox"
    assert base.why_settled([outcome("d"), broken]) == told == base.why_sandbox_ends([broken])
    assert base.why_settled([broken, outcome("d")]) == "", "an earlier one is over"
    assert base.why_settled([]) == ""
    trusted = outcome("d", verdict("pass"), tier="mid")
    assert base.why_settled([trusted, broken]) == "mid's patch was accepted"


def test_knobs_that_are_wrong_are_all_named_with_what_is_right():
    def refused(**knobs: Any) -> str:
        with pytest.raises(UsageError) as caught:
            Fixed(LADDER, **knobs)
        return str(caught.value)

    assert "there is no knob 'tir'; did you mean 'tier'?" in refused(tir="weak")
    assert "there is no knob 'zzzzzz': there is candidates, seed, tier" in refused(zzzzzz=1)
    both = refused(candidates=0, seed="x")
    assert "knob 'candidates': Input should be greater than 0 (given: 0)" in both
    assert "; knob 'seed': " in both
    assert refused(tier="wek") == (
        "policy 'fixed': knob 'tier' must be one of weak, mid, strong (given: 'wek');"
        " did you mean 'weak'?"
    )


def test_a_ladder_has_tiers_and_each_once():
    with pytest.raises(UsageError, match="'cascade' has no tier to choose from: its ladder is em"):
        Cascade(())
    with pytest.raises(UsageError, match=r"the ladder names a tier twice: \['weak', 'weak'\]"):
        Cascade((LADDER[0], LADDER[0]))
    assert Cascade(LADDER).ladder == LADDER


def test_entries_of_a_table_of_knobs_are_joined_with_the_table():
    class Costs(base.Knobs):
        costs: dict[str, float] = Field(default_factory=dict)
        mode: str = ""

    def costs(**knobs: Any) -> dict[str, float]:
        return base.validated_knobs("p", Costs, knobs).model_dump()["costs"]

    assert costs(**{"costs.weak": 1, "costs.mid": 2}) == {"weak": 1, "mid": 2}
    assert costs(costs={"weak": 1, "mid": 2}, **{"costs.weak": 3}) == {"weak": 3, "mid": 2}
    assert costs(**{"costs.weak": 3}, costs={"mid": 2}) == {"weak": 3, "mid": 2}
    with pytest.raises(UsageError, match=r"there is no knob 'cost\.weak'"):
        costs(**{"cost.weak": 1})
    with pytest.raises(UsageError, match="knob 'mode'"):
        costs(**{"mode.weak": 1}, mode="a")


def test_a_knob_without_a_default_must_be_given():
    class Needy(base.Knobs):
        share: float

    with pytest.raises(UsageError, match="policy 'p': knob 'share' must be given"):
        base.validated_knobs("p", Needy, {})


def test_a_policy_that_declares_no_knobs_takes_the_common_ones():
    class Plain:
        pass

    assert base.knobs_type_of(Plain) is base.Knobs
    assert base.knobs_for("plain", Plain, {"candidates": 3, "own": 1}).candidates == 3
    assert base.knobs_type_of(Fixed) is Fixed.knobs_type
    with pytest.raises(UsageError, match="there is no knob 'own'"):
        base.knobs_for("fixed", Fixed, {"own": 1})


def test_a_tier_is_found_by_its_name_and_by_its_arm():
    other = Plan(arm=Arm(model="mid", scaffold="odd"), budget=Budget(dollars=Decimal(1)))
    ladder = (LADDER[0], other)
    assert base.required_tier("p", ladder, "mid") == other
    assert base.required_tier("p", ladder, str(other.arm)) == other
    assert str(other.arm) != "mid"
    assert base.plan_of_tier("p", ladder, "") is None
    assert base.plan_of_tier("p", ladder, "weak") == LADDER[0]
    assert base.rung_of(LADDER, outcome("d", tier="strong")) == 2
    assert base.rung_of(LADDER, outcome("d", tier="weak")) == 0
    assert base.rung_of(LADDER, outcome("d", tier="gone")) == -1


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        ("0.01", "$0.01"), ("0.1", "$0.10"), ("0.005", "$0.005"), ("0.99999", "$0.99999"),
        ("1", "$1.00"), ("1.00001", "$1.00"), ("12.345", "$12.34"), ("0.00100", "$0.001"),
    ],
)  # fmt: skip
def test_dollars_are_cents_or_as_many_digits_as_a_smaller_sum_needs(usd, shown):
    assert base.usd(Decimal(usd)) == shown


def test_what_is_left_is_the_run_s_or_the_instance_s_own_where_that_is_tighter():
    own = "$0.50 of its own cap (limits.instance_usd) left"
    assert base.money_left(purse("2", "0.5")) == own
    assert base.money_left(purse("2")) == base.money_left(purse("2", "2")) == "$2.00 left"
    assert base.money_left(purse("2", "9")) == "$2.00 left"
    assert base.lack_of_money(purse("2", "0.5")) == "at its own cap"
    assert base.lack_of_money(purse("2", "2")) == "for lack of money"


def test_repeats_count_seeds_up_from_the_plan_s_own_or_the_first():
    seeds = [one.seed for one in base.seeded_repeats(plan("weak"), 3, 7)]
    assert seeds == [None, 8, 9]
    assert [one.seed for one in base.seeded_repeats(plan("weak", seed=0), 3, 7)] == [0, 1, 2]
    assert base.seeded_repeats(LADDER[0], 1, 7) == (LADDER[0],)


@pytest.mark.parametrize(
    ("limit", "left", "count"), [("1", "2.5", 2), ("1", "9", 3), ("0", "0", 3), ("0.01", "0.02", 2)]
)
def test_attempts_that_can_be_paid_are_those_whose_limits_fit(limit, left, count):
    assert base.affordable_attempts(plan("weak", limit), 3, Decimal(left)) == count


def test_a_draw_depends_on_its_parts_only():
    digest = hashlib.sha256(b"a\x00" + b"1").digest()
    assert base.seeded_draw("a", 1) == int.from_bytes(digest[:7], "big") / 2**56
    draws = [base.seeded_draw("seed", k) for k in range(200)]
    assert 0 <= min(draws) < 0.1
    assert 0.9 < max(draws) < 1


def test_a_policy_without_memory_is_itself_after_everything():
    policy = Fixed(LADDER, tier="mid")
    record: Any = None
    assert policy.prepare([Features(instance_id="i")], Budget(dollars=Decimal(1))) is policy
    assert policy.update(record) is policy
    assert policy.state() == {}
    assert policy.restored({"a": 1}) is policy
    with pytest.raises(NotImplementedError):
        base.LadderPolicy.decide(policy, Features(instance_id="i"), (), purse("1"))
