"""What a run over existing candidates is expected to escalate: bounds hold, sums add up."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router import settings
from swe_router.candidates.joining import ForeignCandidates, join
from swe_router.commands.run.forecast import forecast_escalation, forecast_lines, max_run_usd
from swe_router.estimates.acceptance.fit import VerdictRow, fit_calibration
from swe_router.estimates.prediction.escalation_cost import (
    EscalationStep,
    ExpectedRange,
    UnverifiedInstances,
    any_accepted,
    cost_per_escalation,
    expected_escalations,
    total_escalation_cost,
)
from swe_router.journal.header import Header
from swe_router.outcomes.tables.table import write_table
from swe_router.records import Instance
from tests.doubles.recorded import table
from tests.doubles.weighed import existing, reproduction

DIFF = "diff --git a/src/x.py b/src/x.py\n--- a/src/x.py\n+++ b/src/x.py\n@@ -1 +1 @@\n-a\n+b\n"
TESTS = DIFF.replace("src/x.py", "tests/test_x.py")


def test_certain_rejections_are_escalated_whatever_the_rate():
    assert expected_escalations(3, []) == ExpectedRange(3, 3, 3)
    sure = expected_escalations(3, [UnverifiedInstances(10, 1.0, 1.0, 1.0)])
    assert (sure.expected, sure.low, sure.high) == (3, 3, 3)


def test_the_interval_of_a_known_rate_is_the_binomials():
    one = expected_escalations(0, [UnverifiedInstances(100, 0.7, 0.7, 0.7)])
    assert one.expected == pytest.approx(30)
    # Exact 5% and 95% points of Binomial(100, .3).
    assert (one.low, one.high) == (23, 38)


SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)
GROUPS = st.lists(
    st.builds(lambda n, p: UnverifiedInstances(n, p[1], p[0], p[2]), st.integers(1, 80), SHARES)
)


@given(st.integers(0, 30), GROUPS)
def test_the_expectation_lies_in_an_interval_between_certain_and_all(certain, groups):
    found = expected_escalations(certain, groups)
    every = certain + sum(group.count for group in groups)
    assert certain <= found.low <= math.ceil(found.expected)
    assert math.floor(found.expected) <= found.high <= every


def test_climbing_costs_the_first_attempt_and_the_next_as_often_as_it_is_reached():
    ladder = [
        EscalationStep("local", 0.1, 0.5, 0.6, 0.02, 0.5),
        EscalationStep("cloud", 1.0, 2.0, 0.9, 0.4, 0.5),
    ]
    one = cost_per_escalation(ladder)
    assert one.expected == pytest.approx(0.1 + 0.4 * 1.0)
    assert (one.low, one.high) == (0.02, 2.5 + 2 * 0.5)
    assert cost_per_escalation([EscalationStep("dear", 9.0, 2.0, 0.5, 3.0)]) == ExpectedRange(
        2.0, 2.0, 2.0
    ), "a limit is a limit"


def test_the_low_end_of_a_bill_is_not_the_mean_cost_of_the_first_tier():
    assert cost_per_escalation([EscalationStep("local", 0.1, 0.5, 0.6)]).low == 0, (
        "a mean has no low end"
    )
    said = told(*[""] * 3)
    assert said["usd"]["low"] == 0
    assert "nothing tells how little" in said["costs_from"]
    assert any("(at most $" in line for line in forecast_lines(said))


@given(st.floats(0.01, 1e4), SHARES)
def test_no_bill_is_over_the_budget_or_out_of_order(budget, usd):
    made = total_escalation_cost(
        ExpectedRange(50, 10, 90), ExpectedRange(usd[1], usd[0], usd[2]), budget
    )
    assert 0 <= made.low <= made.expected <= made.high <= budget


def told(*patches, budget="1", each=1, **sets):
    """The forecast for instances with ``each`` of the patches in turn."""
    resolved = settings.load("demo", sets=[f"{k}={v}" for k, v in sets.items()],
                             budget=Decimal(budget))  # fmt: skip
    header = Header(resolved, "", {}, {}, "local", {}, 0.0)
    found = [ForeignCandidates(instance_id=f"i-{n // each}", name=str(n), patch=p)
             for n, p in enumerate(patches)]  # fmt: skip
    issues = [Instance(id=name, repo="o/n", base_commit="c", problem="p")
              for name in dict.fromkeys(one.instance_id for one in found)]  # fmt: skip
    return forecast_escalation(header, issues, join(found, [], "p.json"))


def test_several_candidates_of_an_instance_need_not_fall_together():
    rate = (0.5, 0.4, 0.6)
    assert any_accepted([rate]) == (0.5, 0.4, pytest.approx(0.6))
    assert any_accepted([rate] * 5) == (0.5, 0.4, pytest.approx(1 - 0.4**5))
    assert any_accepted([rate, (0.9, 0.8, 1.0)]) == (0.9, 0.8, 1.0)
    five = expected_escalations(0, [UnverifiedInstances(40, *any_accepted([rate] * 5))])
    # Apart, 40 x .5^5 = 1.25 are to be escalated; together 20.
    assert (
        five.low
        <= 40 * 0.5**5
        < five.high
        == expected_escalations(0, [UnverifiedInstances(40, *rate)]).high
    )
    bare = {"verify.calibration": "none"}
    alone, several = told(*[DIFF] * 40, **bare), told(*[DIFF] * 80, each=2, **bare)
    assert several["escalated"]["low"] < alone["escalated"]["low"]
    assert several["escalated"]["high"] == alone["escalated"]["high"]
    assert "at the low end as independent" in several["accepted_from"][-1]
    # Groups of one rate are the one group that they make together.
    assert expected_escalations(
        0, [UnverifiedInstances(15, *rate), UnverifiedInstances(25, *rate)]
    ) == expected_escalations(0, [UnverifiedInstances(40, *rate)])


def weighed(tmp_path, ran: int, bare: int, counted: bool = True, **sets):
    """The forecast for 40 patches after a calibration with so many right patches of unknowns."""
    passed = (existing(), reproduction("passed", "passed", "passed"))
    rows = [VerdictRow(f"o__r{n % 4}-{n}", f"o/r{n % 4}", "m", True, passed if n < ran else ())
            for n in range(ran + bare)]  # fmt: skip
    made = fit_calibration([row._replace(author=f"m{n}") for n, row in enumerate(rows)])
    path = tmp_path / "mine.json"
    path.write_text((made if counted else made.model_copy(update={"ungrounded": {}})).dump())
    return told(*[DIFF] * 40, **{"verify.calibration": f'"{path}"', **sets})


def test_a_candidate_on_which_nothing_ran_is_escalated_and_counted(tmp_path):
    said = weighed(tmp_path, 40, 40, **{"verify.threshold": "0.5"})
    assert said["escalated"]["expected"] == pytest.approx(20)
    assert "40 of 80 graded patches of 'own', on 40 of which" in said["accepted_from"][0]
    assert weighed(tmp_path, 40, 0)["escalated"]["expected"] < 20
    old = weighed(tmp_path, 40, 40, counted=False, **{"verify.threshold": "0.5"})
    assert old["escalated"]["expected"] == 0
    assert "it does not count the others, which are never accepted" in old["accepted_from"][0]


def test_a_threshold_of_the_user_s_own_without_graded_patches_may_accept_none_or_all(tmp_path):
    said = weighed(tmp_path, 3, 0, **{"verify.threshold": "0.97"})
    assert (said["escalated"]["low"], said["escalated"]["high"]) == (0, 40)
    assert "the threshold of 0.97 is your own" in said["accepted_from"][0]
    none = {"verify.calibration": "none", "verify.threshold": "0.97"}
    assert told(*[DIFF] * 40, **none)["escalated"]["high"] < 40, "weights read it, nothing else"


def test_past_costs_tell_the_low_end_of_an_attempt(tmp_path):
    write_table(table(n=40), tmp_path / "t.csv.gz")
    named = {"policy.knobs.outcomes": f'"{tmp_path}/t.csv.gz"',
             "policy.knobs.systems": '{ local = "cheap", cloud = "strong" }'}  # fmt: skip
    one = told("", "", **named)["usd_of_one"]
    spent = sorted(row.usd for row in table(n=40).rows if row.system == "cheap")
    assert spent[1] <= one["low"] <= spent[3], "a 20th of 40 runs cost less"
    assert one["low"] < one["expected"] / 2
    own = told("", **named, **{"policy.name": "ration", "policy.knobs.costs": "{ local = 0.001 }"})
    assert own["usd_of_one"]["low"] == 0, "whose cost the user names, past runs say nothing of"


def test_verifiers_may_use_the_budget_first_and_ask_of_new_attempts_too():
    asked = {"verify.names": '["applies", "reproduction"]', "verify.calibration": "none"}
    said = told(DIFF, DIFF, "", budget="5", **asked)
    # Limits of .05 and .25, and .50 for what verifiers ask of each of the two attempts.
    assert said["usd_of_one"]["high"] == pytest.approx(0.3 + 2 * 0.5)
    assert said["verifying_usd_at_most"] == 1
    assert said["paid_for_at_least"] == 3, "4 / 1.3, not 5 / .3"
    assert told(DIFF, DIFF, budget="0.9", **asked)["paid_for_at_least"] == 0
    high = said["escalated"]["high"]
    assert said["usd"]["high"] == pytest.approx(min(5, 1 + high * 1.3))


def test_empty_patches_and_such_without_a_source_file_are_certain():
    said = told(DIFF, "", TESTS, DIFF, **{"verify.calibration": "none"})
    assert (said["candidates"], said["rejected_by_their_text"], said["to_be_verified"]) == (4, 2, 2)
    # The operating point of the preset `hybrid`, half of the patches right: .5 * .9 + .5 * .3.
    assert said["escalated"]["expected"] == pytest.approx(2 + 2 * (1 - 0.62), abs=0.02)
    assert said["escalated"]["low"] >= 2
    assert said["escalated"]["high"] <= 4
    assert "no graded patches to go by" in said["accepted_from"][0]


def test_without_applies_the_text_refuses_no_patch_but_the_empty_one():
    said = told(DIFF, "", TESTS, **{"verify.names": '["repo-tests"]'})
    assert said["rejected_by_their_text"] == 1


def test_the_bill_is_capped_by_the_budget_and_the_limits_say_what_it_pays_for():
    plain = {"verify.calibration": "none", "verify.names": '["applies"]'}
    said = told(*[""] * 40, budget="2", **plain)
    assert said["escalated"] == {"expected": 40, "low": 40, "high": 40}
    assert said["usd"]["high"] == 2
    # The demo's ladder: limits of .05 and .25 USD.
    assert said["usd_of_one"]["high"] == pytest.approx(0.3)
    # A quarter of each limit; half of local's are right, and .5 x .9 + .5 x .3 = .6 accepted.
    assert said["usd_of_one"]["expected"] == pytest.approx((0.05 + 0.4 * 0.25) / 4)
    assert said["paid_for_at_least"] == 6
    assert any("about 40.0 (90%: 40 to 40)" in line for line in forecast_lines(said))


def test_costs_that_the_user_named_go_before_a_share_of_the_limits():
    known = told("", **{"policy.name": "ration", "policy.knobs.costs": "{ local = 0.001 }"})
    assert known["usd_of_one"]["expected"] == pytest.approx(0.001 + 0.4 * 0.25 / 4)


def test_what_verifiers_may_spend_is_in_the_upper_end_alone():
    bare = told(DIFF, budget="9", **{"verify.names": '["applies"]'})
    asked = told(DIFF, budget="9", **{"verify.names": '["applies", "reproduction"]'})
    assert (bare["verifying_usd_at_most"], asked["verifying_usd_at_most"]) == (0, 0.5)
    more = 0.5 + asked["escalated"]["high"] * 2 * 0.5
    assert asked["usd"]["high"] == pytest.approx(bare["usd"]["high"] + more)
    assert asked["usd"]["expected"] == bare["usd"]["expected"]


def header(budget: str = "99", **sets: str) -> Header:
    resolved = settings.load("demo", sets=[f"{k}={v}" for k, v in sets.items()],
                             budget=Decimal(budget))  # fmt: skip
    return Header(resolved, "", {}, {}, "local", {}, 0.0)


def test_a_policy_of_one_tier_is_told_at_that_tier_s_price():
    bare = {"verify.names": '["applies"]'}
    fixed = {"policy.name": "fixed", "policy.knobs.tier": "cloud", **bare}
    assert told("", **fixed)["usd_of_one"] == {"expected": 0.0625, "low": 0, "high": 0.25}
    several = {"policy.name": "best-of-k", "policy.knobs.tier": "cloud", "policy.knobs.k": "3",
               **bare}  # fmt: skip
    said = told("", budget="1", **several)
    assert said["usd_of_one"]["high"] == pytest.approx(0.75)
    assert said["paid_for_at_least"] == 1


def test_most_that_a_run_costs_counts_every_candidate_and_what_verifiers_ask():
    bare = {"verify.names": '["applies"]'}
    assert max_run_usd(header(**bare), 2) == Decimal("0.60")
    assert max_run_usd(header(**bare, candidates="4"), 2) == Decimal("2.40")
    asked = {"verify.names": '["applies", "reproduction"]'}
    # Two imported candidates and one attempt on each of two tiers, for each of two instances.
    assert max_run_usd(header(**asked), 2, 2) == Decimal("0.60") + 6 * Decimal("0.50")
    assert max_run_usd(header("1", **asked), 2, 2) == 1
    dear = {**bare, "candidates": "2", "ensemble.tiers": '["local", "cloud"]'}
    assert max_run_usd(header(**dear), 1) == Decimal("0.05") + 3 * Decimal("0.25")
