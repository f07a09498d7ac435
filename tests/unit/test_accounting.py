"""Error rates of verifiers, each counted again by other means than those that made it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.__main__ import main
from swe_router.reports import verifier_errors_html, verifier_errors_plot, verifier_errors_text
from swe_router.reports.verifier_errors import (
    CASCADE_MAX_FPR_PER_TPR,
    calibration_bins,
    verifier_error_rates,
)
from swe_router.stats import rates, significance
from tests.doubles.judged import row
from tests.doubles.wilson import by_bisection


def made(right=12, wrong=12, passed_right=9, passed_wrong=3, unknown_wrong=2, **more):
    rows = [
        row(f"r{k}", "pass" if k < passed_right else "fail", True, **more) for k in range(right)
    ]
    for k in range(wrong):
        word = "pass" if k < passed_wrong else "unknown" if k >= wrong - unknown_wrong else "fail"
        rows.append(row(f"w{k}", word, False, **more))
    return rows


def only(facts):
    [one] = facts["groups"]
    return one


def test_rates_are_the_tallies_with_wilsons_intervals_and_unknown_apart():
    one = only(verifier_error_rates([*made(), row("u", "pass", None)]))
    assert (one["n"], one["right"], one["wrong"], one["ungraded"]) == (24, 12, 12, 1)
    assert (one["tpr"]["k"], one["tpr"]["n"], one["tpr"]["rate"]) == (9, 12, 0.75)
    assert (one["fpr"]["k"], one["fpr"]["rate"]) == (3, 0.25)
    assert one["unknown_wrong"]["k"] == 2
    assert one["unknown_right"]["k"] == 0
    assert one["fpr"]["low"] == pytest.approx(by_bisection(3, 12, False), abs=1e-9)
    assert (one["seconds"], one["usd"]) == (2.0, 0.25)


def test_wrong_verdicts_are_named_and_unknown_is_no_rejection():
    facts = verifier_error_rates(
        [
            row("a", "pass", False),
            row("b", "fail", True),
            row("c", "unknown", True),
            row("d", "pass", True),
            row("e", "fail", False),
        ]
    )
    assert [one["instance"] for one in facts["false_accepts"]] == ["a"]
    assert [one["instance"] for one in facts["false_rejects"]] == ["b"]


def test_few_patches_are_said_to_be_few_and_nothing_is_concluded():
    facts = verifier_error_rates(
        made(right=20, passed_right=20, wrong=3, passed_wrong=0, unknown_wrong=0)
    )
    assert "weak: 3 wrong patches: the FPR cannot be estimated" in facts["notes"]
    assert not any("TPR" in note for note in facts["notes"])
    assert only(facts)["needs"]["said"] == "cannot be told"


def test_many_patches_of_few_instances_are_few():
    rows = [row(f"i{k % 4}", "pass", k % 2 == 0, attempt=str(k)) for k in range(80)]
    facts = verifier_error_rates(rows)
    assert "weak: 40 wrong patches of 2 instances: the FPR cannot be estimated" in facts["notes"]
    assert only(facts)["needs"]["said"] == "cannot be told"


@pytest.mark.parametrize(
    ("passed_wrong", "said"), [(3, "holds"), (150, "does not hold"), (60, "cannot be told")]
)
def test_a_cascade_holds_only_where_the_whole_interval_is_within_the_limit(passed_wrong, said):
    rows = made(right=200, wrong=200, passed_right=190, passed_wrong=passed_wrong, unknown_wrong=0)
    one = only(verifier_error_rates(rows))
    assert one["needs"]["said"] == said
    assert one["needs"]["limit"] == pytest.approx(CASCADE_MAX_FPR_PER_TPR * 0.95)


def test_a_cascade_is_said_to_hold_only_of_the_one_pair_that_was_measured():
    facts = verifier_error_rates(made(right=200, wrong=200, passed_right=190))
    told = facts["needs"]
    assert (told["ratio"], told["pair"]) == (0.31, "DeepSeek V3.2 under Sonnet 4.5")
    assert "SWE-bench Verified" in told["source"]
    for shown in (
        verifier_errors_text.verifier_errors_markdown(facts),
        verifier_errors_html.verifier_errors_page(facts, b"png"),
    ):
        assert re.search(r"would\s+hold/fail\s+if\s+your\s+pair\s+were\s+as\s+DeepSeek", shown)
        assert "(ratio .31)" in re.sub(r"\s+", " ", shown)
        assert re.search(r"(?<!would )\bholds\s*$", shown, re.MULTILINE) is None


def test_nothing_is_said_of_a_cascade_from_the_top_tier_or_from_all_together():
    many = {"right": 200, "wrong": 200, "passed_right": 190}
    rows = [*made(**many), *made(**many, tier="strong")]
    told = {
        one["tier"]: one["needs"]
        for one in verifier_error_rates(rows, last_tiers=["strong"])["groups"]
    }
    assert told["weak"]["said"] == "holds"
    assert told["strong"] is None
    assert told["all"] is None


def test_the_limits_are_those_of_the_closed_form_of_a_cascade():
    """quality(TPR, FPR) = p_W TPR + both (1 - TPR) + only (1 - FPR), held at p_S."""
    both, weak_only, strong_only = 0.5, 0.062, 0.2
    for tpr in (1.0, 0.9, 0.7, 0.5):
        fpr = weak_only / strong_only * tpr
        rate = (both + weak_only) * tpr + both * (1 - tpr) + strong_only * (1 - fpr)
        assert rate == pytest.approx(both + strong_only)
    assert list(verifier_error_rates([])["needs"]["limits"].values()) == [
        0.31,
        0.279,
        0.248,
        0.217,
        0.155,
    ]


def test_brier_and_calibration_are_those_of_the_scores():
    rows = [row(f"i{k}", "pass", k % 4 != 0, score=(k % 10) / 10 + 0.05) for k in range(60)]
    one = only(verifier_error_rates(rows))
    expected = np.mean([(r.score - r.resolved) ** 2 for r in rows])
    assert one["brier"]["value"] == pytest.approx(expected)
    assert one["brier"]["of_base_rate"] == pytest.approx(0.75 * 0.25)
    assert sum(part["n"] for part in one["calibration"]) == 60
    for part in one["calibration"]:
        mine = [r for r in rows if part["from"] <= r.score <= part["to"]]
        assert part["n"] == len(mine)
        assert part["k"] == sum(r.resolved for r in mine)
        assert part["p"] == pytest.approx(np.mean([r.score for r in mine]))


def test_a_brier_score_of_few_instances_has_no_interval():
    """Of five instances, however many patches, a resampled one covers too rarely."""
    rows = [row(f"i{k % 5}", "pass", k % 4 != 0, score=0.1 * (k % 9), attempt=str(k))
            for k in range(40)]  # fmt: skip
    few = only(verifier_error_rates(rows))["brier"]
    assert (few["low"], few["high"]) == (None, None)
    many = [one.model_copy(update={"instance_id": f"i{k % 10}"}) for k, one in enumerate(rows)]
    told = only(verifier_error_rates(many))["brier"]
    assert told["low"] < few["value"] == told["value"] < told["high"]


def test_a_score_that_is_no_probability_has_an_auc_and_no_brier_score():
    """``agreement`` says 0.5 where it has no say."""
    rows = [row(f"i{k}", "unknown", k % 3 > 0, score=0.5 if k % 2 else 0.9, verifier="agreement")
            for k in range(30)]  # fmt: skip
    facts = verifier_error_rates(rows)
    one = only(facts)
    assert (one["brier"], one["calibration"], one["scored"]) == (None, [], 30)
    assert one["auc"]["value"] == pytest.approx(0.5)
    [line] = [
        x for x in verifier_errors_text.verifier_errors_markdown(facts).splitlines() if ".50 [" in x
    ]
    assert line.split()[:2] == ["agreement", "30"]
    assert line.split()[-2:] == ["-", "-"]
    assert "<h2>Scores</h2>" in verifier_errors_html.verifier_errors_page(facts, b"png")


def test_equal_scores_are_never_split_between_bins():
    p = np.array([0.2] * 35 + [0.7] * 15)
    parts = calibration_bins(p, np.array([0.0] * 35 + [1.0] * 15), [str(k) for k in range(50)])
    assert [(part["n"], part["p"]) for part in parts] == [
        (35, pytest.approx(0.2)),
        (15, pytest.approx(0.7)),
    ]


def test_pairs_inside_an_instance_are_ordered_apart_from_those_between():
    rows = [row("a", "pass", True, score=0.3), row("a", "pass", False, score=0.2, attempt="2"),
            row("b", "pass", True, score=0.9), row("b", "pass", False, score=0.8, attempt="2"),
            row("c", "pass", False, score=0.95)]  # fmt: skip
    one = only(verifier_error_rates(rows))
    assert (one["pairs"]["value"], one["pairs"]["n"], one["pairs"]["instances"]) == (1.0, 2, 2)
    assert one["pairs"]["low"] < 0.5, "two instances are no certainty"
    assert one["auc"]["value"] == pytest.approx(0.5)


def test_a_difference_whose_interval_covers_0_is_none_and_few_are_not_judged():
    rows = made(right=30, wrong=30, passed_right=28, passed_wrong=6, unknown_wrong=0)
    same = [one.model_copy(update={"verifier": "repo-tests"}) for one in rows]
    lax = [one.model_copy(update={"verifier": "applies", "outcome": "pass"}) for one in rows]
    told = {
        (d["what"], d["b"]): d["said"]
        for d in verifier_error_rates([*same, *lax, *rows])["differences"]
    }
    assert told[("FPR", "repo-tests")] == "none"
    assert told[("FPR", "applies")] == "differs"
    few = [one for one in [*lax, *rows] if int(one.instance_id[1:]) < 4]
    assert {d["said"] for d in verifier_error_rates(few)["differences"]} == {"too few to say"}


def against(rows, b):
    return {one["what"]: one for one in verifier_error_rates(rows)["differences"] if one["b"] == b}


def test_a_small_tier_that_is_always_right_differs_not_from_one_that_nearly_is():
    """A share of 1 resamples to itself: 10 of 10 were told from 93 of 100."""
    weak = [row(f"w{k}", "pass", True) for k in range(10)]
    strong = [row(f"s{k}", "pass" if k < 93 else "fail", True, tier="strong") for k in range(100)]
    one = against([*weak, *strong], "strong")["TPR"]
    assert (one["said"], one["p"]) == ("none", None)
    assert one["value"] == pytest.approx(0.07)
    assert one["low"] < -0.1
    lax = [one.model_copy(update={"outcome": "pass"}) for one in made(tier="strong", wrong=30)]
    assert against([*made(wrong=30), *lax], "strong")["FPR"]["said"] == "differs"


def test_the_difference_of_two_shares_is_newcombes():
    """Newcombe 1998, table II, method 10: 56/70 less 48/80, 9/10 less 3/10, 10/10 less 0/10."""
    for a, m, b, n, ends in ((56, 70, 48, 80, (0.0524, 0.3339)), (9, 10, 3, 10, (0.1705, 0.8090)),
                             (10, 10, 0, 10, (0.6075, 1.0))):  # fmt: skip
        sides = [rates.measure_rate([k < hits for k in range(of)], [str(k) for k in range(of)])
                 for hits, of in ((a, m), (b, n))]  # fmt: skip
        assert significance.difference_interval(*sides) == pytest.approx(ends, abs=5e-5)


def parted(number, verifier, same=12):
    """Right patches of ``number`` + ``same`` instances; the first are failed by ``verifier``."""
    rows = [row(f"i{k}", "pass", True) for k in range(number + same)]
    return [*rows, *(row(one.instance_id, "fail" if k < number else "pass", True,
                         verifier=verifier) for k, one in enumerate(rows))]  # fmt: skip


def test_verifiers_that_part_on_a_few_instances_do_not_differ():
    """Four to none excludes 0 resampled; by McNemar p is .125."""
    one = against(parted(4, "syntax"), "syntax")["TPR"]
    assert one["low"] > 0
    assert (one["said"], one["p"]) == ("none", pytest.approx(0.125))
    assert against(parted(8, "syntax"), "syntax")["TPR"]["said"] == "differs"
    assert "no difference (p 0.12)" in verifier_errors_text.verifier_errors_markdown(
        verifier_error_rates(parted(4, "syntax"))
    )


def test_of_several_verifiers_the_differences_are_corrected_for_their_number():
    """Six to none, p .031, is shown of one verifier and not of the first of two."""
    rows = parted(6, "syntax")
    assert against(rows, "syntax")["TPR"]["said"] == "differs"
    alike = [one.model_copy(update={"verifier": "applies"}) for one in rows[:18]]
    one = against([*rows, *alike], "syntax")["TPR"]
    assert (one["said"], one["p"]) == ("none", pytest.approx(0.0625))


def test_candidates_of_one_instance_are_one_sign():
    gaps = np.array([1.0] * 9 + [-1.0, 0.0])
    assert significance.sign_test(gaps, ["a"] * 9 + ["b", "c"]) == 1.0


def test_tiers_are_told_apart_and_pooled():
    rows = [*made(tier="weak"), *made(tier="strong", passed_wrong=12, unknown_wrong=0)]
    facts = verifier_error_rates(rows)
    told = {one["tier"]: one["fpr"]["k"] for one in facts["groups"]}
    assert told == {"weak": 3, "strong": 12, "all": 15}
    pooled = next(one for one in facts["groups"] if one["tier"] == "all")
    assert pooled["fpr"]["how"] == "instances resampled", "both tiers tried each instance"


words = st.sampled_from(["pass", "fail", "unknown"])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), words, st.sampled_from([True, False, None]),
                  st.sampled_from([None, 0.0, 0.5, 1.0])), max_size=12,
    )
)  # fmt: skip
def test_whatever_was_judged_the_facts_are_json_and_rates_lie_in_their_intervals(made_up):
    rows = [row(f"i{k}", w, r, score=s, attempt=str(n)) for n, (k, w, r, s) in enumerate(made_up)]
    facts = verifier_error_rates(rows)
    json.dumps(facts, allow_nan=False)
    for one in facts["groups"]:
        for name in ("tpr", "fpr", "unknown_right", "unknown_wrong"):
            rate = one[name]
            if rate["rate"] is not None:
                assert 0 <= rate["low"] <= rate["rate"] <= rate["high"] <= 1
    assert verifier_errors_text.verifier_errors_markdown(facts).startswith("\n## ")


def test_the_page_stands_alone_escapes_and_says_that_models_were_recordings():
    rows = [row("<b>x</b>", "pass", False, score=0.5), row("b", "pass", True, score=0.7)]
    facts = verifier_error_rates(rows, uses_recordings=True)
    page = verifier_errors_html.verifier_errors_page(facts, b"\x89PNG one")
    assert re.findall(r"(?:https?:)?//\w", page) == []
    assert "<script" not in page
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x" in page
    assert "recordings" in page
    assert "recordings" in verifier_errors_text.verifier_errors_markdown(facts)


def test_nothing_to_account_for_is_said_and_drawn_without_an_error():
    facts = verifier_error_rates([])
    assert "nothing to account for" in verifier_errors_text.verifier_errors_markdown(facts)
    assert verifier_errors_plot.error_rates_png(facts).startswith(b"\x89PNG")
    assert "http" not in verifier_errors_html.verifier_errors_page(facts, b"png")


def test_no_mark_is_moved_off_its_figure_and_each_group_has_its_name_beside_it(capsys):
    assert main(["report", "sample", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    tpr, fpr, plane, _ = verifier_errors_plot.error_rates_figure(facts).axes
    rates = {(one["fpr"]["rate"], one["tpr"]["rate"]) for one in facts["groups"]
             if one["fpr"] and one["tpr"]}  # fmt: skip
    at = [(float(line.get_xdata()[0]), float(line.get_ydata()[0]))
          for line in plane.get_lines() if line.get_linestyle() == "None"]  # fmt: skip
    assert len(at) > len(set(at)) > 1, "some lie on one spot, and stay there"
    assert set(at) <= rates
    heads = [label.get_text() for label in tpr.get_yticklabels()]
    assert len(heads) == len(set(heads)) == len(at)
    named = "\n".join(text.get_text() for text in plane.texts)
    assert all(head.partition(" (")[0] in named for head in heads)
    assert plane.get_xlim() == plane.get_ylim() == fpr.get_xlim() == (0.0, 1.0)
