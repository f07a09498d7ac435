"""Each statistic against scipy, a loop that spells it out, or a value worked out by hand."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize, stats

from swe_router.stats import bootstrap, hull, logistic, significance
from swe_router.stats.rounding import distinct_decimals

RNG = np.random.default_rng(3)


SKEWED = np.array([0.1, 0.2, 0.2, 0.4, 0.5, 0.9, 1.3, 4.0])


@pytest.mark.parametrize("level", [0.95, 0.8])
@pytest.mark.parametrize("values", [SKEWED, -SKEWED, SKEWED[:2]])
def test_bca_is_scipy_s(values, level):
    shares = bootstrap.resample_shares(len(values), 400, 1)
    samples = bootstrap.resampled_means(shares, values)[:, 0]
    found = bootstrap.bca_interval(samples, values, level)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=0, confidence_level=level, method="BCa", vectorized=True,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=samples),
    )  # fmt: skip
    interval = theirs.confidence_interval
    assert found == pytest.approx((interval.low, interval.high), abs=1e-9)


@pytest.mark.parametrize("side", [1, -1])
def test_bca_of_samples_on_one_side_of_the_mean_is_clamped_by_one_sample(side):
    values, samples = np.array([-1.0, 0.0, 1.0]), side * np.arange(1.0, 201.0)
    bias = side * stats.norm.ppf(1 / 200)
    ends = [stats.norm.cdf(2 * bias + z) for z in stats.norm.ppf([0.025, 0.975])]
    assert bootstrap.bca_interval(samples, values) == pytest.approx(
        tuple(np.quantile(samples, ends))
    )


def test_values_without_spread_have_a_point_for_an_interval():
    samples = np.linspace(0, 1, 50)
    assert bootstrap.bca_interval(samples, np.full(3, 0.5)) == (0.5, 0.5)
    assert bootstrap.bca_interval(samples, np.array([0.5])) == (0.5, 0.5)


def test_percentiles_leave_out_half_of_the_rest_on_each_side():
    assert bootstrap.percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))
    assert bootstrap.percentile_interval(np.arange(201.0)) == pytest.approx((5.0, 195.0))


@pytest.mark.parametrize(
    ("samples", "p"),
    [
        ([1.0] * 19, 2 * 1 / 20),
        ([-1.0] * 19, 2 * 1 / 20),
        ([1.0] * 15 + [-1.0] * 4, 2 * 5 / 20),
        ([1.0] * 15 + [0.0] * 4, 2 * 3 / 20),
        ([1.0] * 15 + [1e-12] * 4, 2 * 3 / 20),  # equal but for the rounding of sums
        ([0.0] * 5, 1.0),
    ],
)
def test_a_bootstrap_p_value_is_twice_the_smaller_tail_with_one_more(samples, p):
    assert bootstrap.bootstrap_p_value(np.array(samples)) == pytest.approx(p)


def test_shares_of_groups_are_those_of_whole_repositories():
    groups = ["a", "b", "a", "c"]
    shares = bootstrap.cluster_resample_shares(groups, 50, 4)
    times = np.random.default_rng(4).integers(0, 3, (50, 3))
    for row, picks in zip(shares, times, strict=True):
        rows = [k for pick in picks for k in range(4) if groups[k] == "abc"[pick]]
        assert row.tolist() == pytest.approx([rows.count(k) / len(rows) for k in range(4)])
    plain = bootstrap.resample_shares(3, 50, 4)
    for row, picks in zip(plain, times, strict=True):
        assert row.tolist() == [list(picks).count(k) / 3 for k in range(3)]
    assert bootstrap.resample_shares(2).shape == (10_000, 2)


def test_a_hull_of_resamples_is_the_hull_of_each():
    costs, scores = RNG.random((60, 4)), RNG.random((60, 4))
    costs[:, 2] = costs[:, 1]  # two at one cost: no chord between them
    spend = RNG.random(60) * 1.2
    spend[:20] = costs[:20, 0]  # at a point itself
    expected = [float(hull.hull_at(c, r, s)) for c, r, s in zip(costs, scores, spend, strict=True)]
    assert bootstrap.resampled_hulls_at(costs, scores, spend) == pytest.approx(expected)


def test_a_policy_is_on_the_frontier_in_the_share_of_resamples_in_which_none_dominates_it():
    shares = bootstrap.resample_shares(5, 40, 2)
    rate, usd = RNG.integers(0, 2, (3, 5)).astype(float), RNG.random((3, 5))
    rate[2], usd[2] = rate[1], usd[1]
    count = np.zeros(3)
    for row in shares:
        cost, quality = np.round(usd @ row, 9), np.round(rate @ row, 9)
        for k in range(3):
            count[k] += not any(
                cost[j] <= cost[k] and quality[j] >= quality[k]
                and (cost[j] < cost[k] or quality[j] > quality[k]) for j in range(3)
            )  # fmt: skip
    assert bootstrap.pareto_probability(shares, rate, usd) == pytest.approx(count / 40)


def test_a_loss_of_the_whole_margin_is_inferior():
    assert not bootstrap.is_non_inferior(np.full(20, -0.25), 0.25)
    assert bootstrap.is_non_inferior(np.full(20, -0.24), 0.25)
    assert bootstrap.is_non_inferior(np.array([-1.0] * 2 + [0.0] * 98), 0.1)
    assert not bootstrap.is_non_inferior(np.array([-1.0] * 7 + [0.0] * 93), 0.1)


@pytest.mark.parametrize("bad", [([0.5, 1], [0, 1]), ([0, 1], [0.5, 1])])
def test_mcnemar_counts_no_expectations(bad):
    with pytest.raises(ValueError, match="0 or 1"):
        bootstrap.mcnemar_test(*map(np.array, bad))


def test_mcnemar_and_the_sign_test_look_at_what_differs():
    one, other = np.array([1, 1, 1, 1, 0, 1, 0.0]), np.array([0, 0, 0, 0, 1, 1, 0.0])
    expected = stats.binomtest(4, 5).pvalue
    assert bootstrap.mcnemar_test(one, other) == pytest.approx(expected)
    names = [str(k) for k in range(7)]
    assert significance.sign_test(one - other, names) == pytest.approx(expected)
    assert significance.sign_test(np.array([1.0, -1, 1, 1]), ["a", "a", "b", "b"]) == 1.0
    assert significance.even(0, 0) == 1.0


def test_a_random_choice_is_right_as_often_as_its_odds_say():
    odds = [0.2, 0.9, 0.5]
    chance = [0.0] * 4
    for hits in itertools.product((0, 1), repeat=3):
        chance[sum(hits)] += math.prod(
            p if hit else 1 - p for p, hit in zip(odds, hits, strict=True)
        )
    for right in range(4):
        expected = min(1.0, 2 * min(sum(chance[: right + 1]), sum(chance[right:])))
        assert significance.poisson_binomial_test(right, odds) == pytest.approx(expected)


def test_holm_s_p_values_never_fall_and_end_at_1():
    found = significance.holm_adjusted([0.04, 0.01, 0.03, 0.9])
    assert found.tolist() == pytest.approx([0.09, 0.04, 0.09, 0.9])
    assert significance.holm_adjusted([0.6, 0.7]).tolist() == [1.0, 1.0]


def test_a_hull_drops_points_on_a_line_and_starts_at_the_cheapest():
    cost, rate = np.array([1.0, 2, 3, 0, 4]), np.array([1.0, 2, 3, 0, 2.5])
    assert hull.upper_hull(cost, rate) == [3, 2]
    assert hull.upper_hull(np.array([1.0, 1, 2]), np.array([0.5, 0.6, 0.6])) == [1]
    assert hull.upper_hull(np.array([1.0, 2, 3]), np.array([1.0, 3, 4])) == [0, 1, 2]
    assert hull.upper_hull(np.array([1.0, 2, 3]), np.array([1.0, 1.5, 4])) == [0, 2]


def test_rates_of_a_hull_run_to_nothing_below_and_are_flat_above():
    cost, rate = np.array([1.0, 3.0]), np.array([0.4, 0.8])
    found = hull.hull_at(cost, rate, np.array([0.0, 0.5, 1.0, 2.0, 3.0, 9.0]))
    assert found.tolist() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 0.8])


@pytest.mark.parametrize(
    ("spend", "shares"),
    [
        (0.5, [1, 0, 0]), (1.0, [1, 0, 0]), (1.5, [0.5, 0.5, 0]), (2.0, [0, 1, 0]),
        (3.0, [0, 0.5, 0.5]), (4.0, [0, 0, 1]), (9.0, [0, 0, 1]),
    ],
)  # fmt: skip
def test_a_mix_costs_what_may_be_spent(spend, shares):
    cost = np.array([1.0, 2.0, 4.0])
    assert hull.mix_at(cost, [0, 1, 2], spend).tolist() == shares
    assert hull.mix_at(cost, [1], spend).tolist() == [0, 1, 0]


def test_a_point_is_dominated_by_one_as_good_and_cheaper_or_as_cheap_and_better():
    cost, rate = np.array([1.0, 1, 2, 2, 0.5]), np.array([0.5, 0.6, 0.6, 0.9, 0.1])
    assert hull.on_pareto_frontier(cost, rate).tolist() == [False, True, False, True, True]
    twins = hull.on_pareto_frontier(np.array([1.0, 1]), np.array([0.5, 0.5]))
    assert twins.tolist() == [True, True]


@pytest.mark.parametrize(
    ("score", "threshold", "shown"),
    [
        (0.5, 0.5, ("0.5", "0.5")),
        (0.12, 0.13, ("0.12", "0.13")),
        (0.121, 0.122, ("0.121", "0.122")),
        (0.49999999, 0.5, ("0.49999999", "0.50000000")),
        (0.5 - 1e-9, 0.5, ("0.499999999", "0.500000000")),
        (0.5 - 1e-12, 0.5, ("0.500000000", "0.500000000")),
    ],
)
def test_a_score_is_shown_with_as_many_digits_as_differ(score, threshold, shown):
    assert distinct_decimals(score, threshold) == shown


SIGNS = (
    logistic.SignedPrior("up", 1, 0.5, 2.0),
    logistic.SignedPrior("down", -1, -0.2, 1.0),
    logistic.SignedPrior("free", 0, 0.0, 3.0),
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_logistic_regression_is_the_minimum_that_scipy_finds(seed):
    rng = np.random.default_rng(seed)
    x, right = rng.normal(size=(30, 3)), rng.integers(0, 2, 30).astype(float)
    weight = rng.random(30) * (8 if seed == 3 else 1)
    prior, strength = np.array([0.3, 0.5, -0.2, 0.0]), np.array([1.5, 2.0, 1.0, 3.0])

    def loss(w):
        z = w[0] + x @ w[1:]
        fit = np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - right * z
        return float(weight @ fit + (strength * (w - prior) ** 2).sum() / 2)

    limits = [(None, None), (0, None), (None, 0), (None, None)]
    best = optimize.minimize(loss, prior, bounds=limits, options={"ftol": 1e-15, "gtol": 1e-9})
    bias, weights = logistic.fit_logistic(x, right, weight, SIGNS, 0.3, 1.5)
    assert [bias, *weights] == pytest.approx(best.x, abs=1e-5)
    assert weights[0] >= 0 >= weights[1]


def test_without_rows_the_weights_are_the_priors_within_their_signs():
    empty = np.zeros((0, 2))
    signs = (logistic.SignedPrior("a", 1, -0.5), logistic.SignedPrior("b", -1, -0.5))
    bias, weights = logistic.fit_logistic(empty, np.zeros(0), np.zeros(0), signs, 0.7)
    assert (bias, weights.tolist()) == (0.7, [0.0, -0.5])


def test_a_bias_alone_weighs_against_one_prior():
    """Where the slope is 0: rows (p - share) + strength (bias - prior) = 0."""
    x, right = np.zeros((4, 0)), np.array([1.0, 1, 1, 0])
    bias, _ = logistic.fit_logistic(x, right, np.ones(4), ())
    assert 4 * (logistic.logistic_function(bias) - 0.75) + bias == pytest.approx(0, abs=1e-8)


def test_both_logistic_functions_are_one():
    points = np.array([-800.0, -2.0, 0.0, 0.5, 800.0])
    expected = [0.0, 1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-0.5)), 1.0]
    assert logistic.sigmoid(points).tolist() == pytest.approx(expected)
    assert [logistic.logistic_function(z) for z in points] == pytest.approx(expected)


def test_one_more_point_of_a_hull_counts_a_whole_dollar_away_and_at_the_same_cost():
    shares, rng = np.eye(6), np.random.default_rng(8)
    rate, rates = rng.random((2, 6)), rng.random((3, 6))
    usd, usds = rng.integers(0, 5, (2, 6)).astype(float), rng.integers(1, 4, (3, 6)).astype(float)
    mixed = np.linspace(0.5, 1, 6), np.array([1.0, 2, 3, 1, 2, 3])
    above = bootstrap.hull_margins(shares, rate, usd, rates, usds)
    found = bootstrap.extended_hull_margins(shares, rate, usd, mixed, rates, usds, above)
    every = np.vstack([rates, mixed[0]]), np.vstack([usds, mixed[1]])
    assert found == pytest.approx(bootstrap.hull_margins(shares, rate, usd, *every))
