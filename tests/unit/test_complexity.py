"""The complexity score: its scale, what moves it, how it is fitted, and that it holds out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.errors import UsageError
from swe_router.estimates.complexity.score import (
    ComplexityFit,
    ScoreTerm,
    complexity_score,
    parse_fits,
    predicted_rate,
    score_of_rate,
    training_card,
)
from swe_router.estimates.complexity.score_fit import (
    WEIGHT_SIGNS,
    OutcomeExample,
    WeightSign,
    cross_validate_complexity,
    fit_as_json,
    fit_complexity,
    solve_rates,
)
from swe_router.features.issue_text import text_features

EASY = "Typo in the docs of `f`, see a.py line 3"
HARD = " ".join(f"The IMAP and SMTP layers should agree on version 1.{n}" for n in range(80))


def rows(repos: int = 4, each: int = 12, level: float = 0.1) -> list[OutcomeExample]:
    """Issues whose solve rate falls with ``x`` inside each repository and rises with it between
    them; ``noise`` says nothing."""
    drawn = np.random.default_rng(7)
    made = []
    for repo in range(repos):
        for _ in range(each):
            inside, noise = drawn.uniform(0, 1, 2)
            x, rate = inside + 4 * level * repo, 0.1 + level * repo + 0.4 * (1 - inside)
            made.append(
                OutcomeExample(f"o/R{repo}", {"x": float(x), "noise": float(noise)}, float(rate))
            )
    return made


XS = (WeightSign("x", -1, log=False), WeightSign("noise", +1, log=False))


def test_a_long_vague_issue_scores_above_a_short_precise_one() -> None:
    easy, hard = complexity_score(text_features(EASY)), complexity_score(text_features(HARD))
    assert 1 <= easy.complexity < hard.complexity <= 10
    assert easy.solve_rate > hard.solve_rate
    assert easy.model == "issue"


@given(st.dictionaries(st.sampled_from([s.feature for s in WEIGHT_SIGNS]),
                       st.floats(allow_nan=True, allow_infinity=True)))  # fmt: skip
def test_any_values_stay_on_the_scale(values: dict[str, float]) -> None:
    found = complexity_score(values, "django/django")
    assert 1 <= found.complexity <= 10
    assert all(math.isfinite(part) for part in found.parts.values())


@pytest.mark.parametrize("sign", WEIGHT_SIGNS, ids=lambda sign: sign.feature)
def test_each_feature_moves_the_score_the_stated_way(sign: WeightSign) -> None:
    low, high = (complexity_score({"ppr_top1": 0.4, sign.feature: value}) for value in (0.0, 1e6))
    assert (high.complexity - low.complexity) * sign.way <= 0


def test_the_parts_add_up_to_the_way_from_a_mean_issue() -> None:
    middle, found = complexity_score({}), complexity_score(text_features(EASY))
    assert middle.complexity + sum(found.parts.values()) == pytest.approx(
        found.complexity, abs=0.02
    )


def test_an_issue_of_a_training_repository_is_scored_without_it() -> None:
    values = text_features(HARD)
    assert complexity_score(values, "Django/django").held_out
    assert not complexity_score(values, "new/project").held_out
    assert (
        complexity_score(values, "django/django").solve_rate != complexity_score(values).solve_rate
    )


def test_the_card_says_what_it_was_fitted_on() -> None:
    shipped = training_card()
    assert {table["licence"] for table in shipped["tables"]} <= {"MIT", "Apache-2.0"}
    assert shipped["rows"] == sum(shipped["rows_by_repository"].values())
    assert shipped["reached"]["whole"]["spearman_score_solve_rate"] < 0


def test_a_fit_finds_the_signal_under_levels_of_repositories() -> None:
    made = rows(each=500)
    assert np.corrcoef([r.values["x"] for r in made], [r.rate for r in made])[0, 1] > 0
    found = fit_complexity(made, XS)
    weights = {term.feature: term.weight for term in found.terms}
    assert weights["x"] < 0 <= weights["noise"]
    assert abs(weights["x"]) > 3 * weights["noise"]
    assert predicted_rate(found, {"x": 0.0}) > predicted_rate(found, {"x": 1.0})


def test_a_held_out_fit_never_saw_its_repository() -> None:
    made = rows()
    spoiled = [r._replace(rate=1 - r.rate) if r.repo == "o/R1" else r for r in made]
    a, b = (cross_validate_complexity(one, XS)[0] for one in (made, spoiled))
    assert a["o/r1"] == b["o/r1"]
    assert a["o/r2"] != b["o/r2"]
    assert a[""] != b[""]


def test_a_fit_survives_its_file() -> None:
    found = fit_complexity(rows(), XS)
    again = parse_fits({"": fit_as_json(found)})[""]
    for values in ({"x": 0.2, "noise": 0.9}, {"x": 3.0}, {}):
        assert predicted_rate(again, values) == pytest.approx(predicted_rate(found, values))


def test_too_little_to_fit_on_is_said() -> None:
    with pytest.raises(UsageError, match="3 repositories"):
        fit_complexity(rows(repos=2, each=30), XS)


def test_strong_systems_on_some_issues_do_not_make_them_easy() -> None:
    # W solves a, not b; S solves b alone and was not asked about a: b is the harder one.
    runs = [("a", "W", True), ("b", "W", False), ("b", "S", True)]
    runs += [(f"e{n}", system, True) for n in range(6) for system in ("W", "S")]
    runs += [(f"h{n}", "W", False) for n in range(6)] + [(f"h{n}", "S", True) for n in range(6)]
    rates = solve_rates(runs)
    assert rates["a"] > rates["b"]
    assert all(0 <= rate <= 1 for rate in rates.values())


def test_a_full_table_gives_plain_shares() -> None:
    runs = [("a", "W", True), ("a", "S", True), ("b", "W", False), ("b", "S", True)]
    assert solve_rates(runs) == pytest.approx({"a": 1.0, "b": 0.5})


def test_the_knots_are_equal_steps() -> None:
    knots = (0.9, 0.5, 0.1)
    assert [
        score_of_rate(knots, rate) for rate in (1, 0.9, 0.7, 0.5, 0.3, 0.1, 0)
    ] == pytest.approx([1, 1, 3.25, 5.5, 7.75, 10, 10])


def test_damaged_data_is_named() -> None:
    term = ["x", False, 0, 1, 0, 0, 1]
    for bad in (
        {"": {"intercept": 0, "terms": [term], "knots": [1, 0]}},
        {"": {"intercept": 0, "terms": [], "knots": [0, 1]}},
        {"a/b": {"intercept": 0, "terms": [], "knots": [1, 0]}},
        {"": {}},
    ):
        with pytest.raises(UsageError, match="damaged"):
            parse_fits(bad)


def test_a_value_beyond_the_training_rows_counts_as_their_bound() -> None:
    one = ComplexityFit(0.5, (ScoreTerm("x", False, 0, 2, 1, 0.5, -0.1),), (0.9, 0.1))
    assert predicted_rate(one, {"x": 1e9}) == predicted_rate(one, {"x": 2}) == pytest.approx(0.3)
    assert predicted_rate(one, {"x": math.inf}) == 0.5
