"""The money bar: where handing in and escalating cost the same, and what it is recorded as."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import settings as settings_
from swe_router.__main__ import main
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import cost_threshold, selective_threshold
from swe_router.estimates.acceptance.selective_threshold import HeldOutPatch
from swe_router.records import IMPORTED
from swe_router.wiring import acceptance_thresholds

ODDS = st.floats(0.05, 0.95)


@given(p=st.floats(0, 1), cost=st.floats(0.001, 5), wrong=st.floats(0.01, 50), rescue=ODDS)
def test_above_the_bar_handing_in_is_no_dearer_and_below_it_escalating_is_not(
    p: float, cost: float, wrong: float, rescue: float
) -> None:
    kept = 0.9
    bar = cost_threshold.cost_threshold(cost, rescue, wrong, kept).value
    hand_in = wrong * (1 - p)
    escalate = cost + wrong * (1 - p * kept - (1 - p) * rescue)
    if p >= bar + 1e-3:
        assert hand_in <= escalate + 1e-9
    if p <= bar - 1e-3:
        assert escalate <= hand_in + 1e-9


def test_a_dear_escalation_lowers_the_bar_and_a_dear_wrong_patch_raises_it() -> None:
    def value(cost: float, wrong: float) -> float:
        return cost_threshold.cost_threshold(cost, 0.4, wrong).value

    assert value(0.5, 3.0) > value(1.0, 3.0) > value(2.0, 3.0) == 0.0
    assert value(0.5, 3.0) < value(0.5, 6.0)


def test_without_a_price_of_a_wrong_patch_the_default_is_said_to_be_assumed() -> None:
    found = cost_threshold.cost_threshold(0.56, 0.385)
    assert found.assumed
    assert found.wrong_usd == pytest.approx(2 * 0.56 / 0.385, abs=1e-4)
    assert found.value == pytest.approx(0.4053, abs=1e-3)
    assert not cost_threshold.cost_threshold(0.56, 0.385, 3.0).assumed


def test_a_tier_that_costs_nothing_or_rescues_nothing_has_a_bar_all_the_same() -> None:
    assert cost_threshold.cost_threshold(0.0, 0.4).value == pytest.approx(
        0.4 / (0.09 + 0.4), abs=1e-3
    )
    assert cost_threshold.cost_threshold(0.5, 0.0).value == 0.0


def hybrid(*sets: str) -> settings_.Settings:
    return settings_.load("hybrid", sets=sets)


def test_every_tier_of_the_ladder_and_what_was_imported_has_a_bar_that_is_recorded() -> None:
    found = acceptance_thresholds.with_thresholds(hybrid()).verify.bars
    assert set(found) == {"local", "sonnet", "o3", IMPORTED}
    assert all(0.3 < one < 0.6 for one in found.values())
    assert acceptance_thresholds.with_thresholds(
        acceptance_thresholds.with_thresholds(hybrid())
    ) == acceptance_thresholds.with_thresholds(hybrid())


def test_the_users_own_prices_move_the_bar() -> None:
    plain = acceptance_thresholds.with_thresholds(hybrid()).verify.bars["local"]
    cheap = acceptance_thresholds.with_thresholds(hybrid("verify.wrong_usd=2.2")).verify.bars[
        "local"
    ]
    dear = acceptance_thresholds.with_thresholds(hybrid("policy.knobs.value=40")).verify.bars[
        "local"
    ]
    assert cheap < plain < dear


@pytest.mark.parametrize("own", ["verify.threshold=0.7", "verify.bar=bound"])
def test_a_threshold_of_ones_own_or_the_bound_is_left_alone(own: str) -> None:
    assert acceptance_thresholds.with_thresholds(hybrid(own)).verify.bars == {}


def test_the_plan_says_what_share_of_right_patches_each_bar_refuses() -> None:
    rows = acceptance_thresholds.threshold_rows(acceptance_thresholds.with_thresholds(hybrid()))
    assert [row["tier"] for row in rows] == ["local", "sonnet", "o3"]
    shares = [row["right_refused"] for row in rows]
    assert all(share["low"] <= share["rate"] <= share["high"] for share in shares)
    assert all(share["rate"] < 0.3 for share in shares), "the bar can be reached"
    said = acceptance_thresholds.threshold_lines(rows)
    assert "of the right ones" in said[0]
    assert "assumed" in said[0]


@pytest.mark.parametrize("price", ["0.001", "0.0000025"])
def test_a_small_price_of_a_wrong_patch_is_not_printed_as_none(price: str) -> None:
    rows = acceptance_thresholds.threshold_rows(
        acceptance_thresholds.with_thresholds(hybrid(f"verify.wrong_usd={price}"))
    )
    assert rows[0]["wrong_usd"] == float(price)
    assert f"${float(price):.2g} per wrong patch" in acceptance_thresholds.threshold_lines(rows)[0]


def held(n: int, wrong: int, repos: int) -> list[HeldOutPatch]:
    return [HeldOutPatch(0.4 + 0.1 * (k >= wrong), k >= wrong, f"i{k}", f"r{k % repos}", "weak")
            for k in range(n)]  # fmt: skip


def test_a_bound_at_a_bar_is_claimed_only_where_it_stands_on_several_repositories() -> None:
    some = selective_threshold.claim_at_threshold(held(120, 60, 6), 0.45, 0.28, 0.95)
    assert some.shown
    assert "false accepts <= 0.06" in some.claim or "false accepts <= 0.07" in some.claim
    few = selective_threshold.claim_at_threshold(held(120, 60, 2), 0.45, 0.28, 0.95)
    assert not few.shown
    assert "too few" in few.claim
    loose = selective_threshold.claim_at_threshold(held(120, 60, 6), 0.3, 0.28, 0.95)
    assert not loose.shown
    assert "are not shown" in loose.claim


def test_doctor_and_report_say_which_share_of_right_patches_is_refused(capsys, tmp_path) -> None:
    nowhere = [word for tier in ("local", "sonnet", "o3")
               for word in ("--set", f"tiers.{tier}.base_url=http://127.0.0.1:9/v1")]  # fmt: skip
    asked = ["--preset", "hybrid", "--split", "demo", *nowhere]
    main(["doctor", *asked, "--json", "--out", str(tmp_path)])
    checks = {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
    assert "it refuses" in checks["acceptance"]["detail"]
    assert main(["report", "sample", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["bars"]
    assert [(row["tier"], row["bar"]) for row in rows] == [("local", 0.5), ("cloud", 0.5)]
    assert all(row["chosen_by"] == "set by hand" for row in rows)


@pytest.mark.parametrize("knobs", [{"costs": {"cluod": 1}}, {"rescue": {"nosuch": 0.5}}])
def test_a_knob_that_names_no_tier_is_an_error_of_the_bar_too(knobs):
    asked = settings_.load("demo", policy__knobs=knobs)
    with pytest.raises(UsageError, match=f"names tier {next(iter(next(iter(knobs.values()))))!r}"):
        acceptance_thresholds.thresholds_of_ladder(asked)
