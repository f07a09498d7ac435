"""Shares, AUCs and their intervals against scipy, a loop that spells them out, or by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from swe_router.stats import rates, significance

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 7), (3, 7), (7, 7), (1, 1), (40, 90)])
def test_intervals_of_a_share_are_scipy_s(k, n):
    test = stats.binomtest(k, n)
    low, high = test.proportion_ci(method="wilson")
    assert rates.wilson_interval(k, n) == pytest.approx((low, high), abs=1e-12)
    one_sided = stats.binomtest(k, n, alternative="less").proportion_ci(0.9, method="exact").high
    assert float(rates.clopper_pearson_upper(k, n, 0.1)) == pytest.approx(one_sided, abs=1e-9)


def test_a_share_of_nothing_can_be_anything():
    assert rates.wilson_interval(0, 0) == (0.0, 1.0)
    assert rates.clopper_pearson_upper([0, 0], 0, 0.1).tolist() == [1.0, 1.0]
    assert rates.measure_rate([], []).rate is None
    assert rates.clopper_pearson_upper([0.5, 2.0], 1.5, 0.1).tolist()[1] == 1.0
    one = rates.MeasuredRate(0, 0, 0.0, 1.0, "wilson")
    half = rates.MeasuredRate(1, 2, 0.1, 0.9, "wilson")
    assert all(map(math.isnan, significance.difference_interval(one, half)))
    assert all(map(math.isnan, significance.difference_interval(half, one)))


def repeated(instances, hits_of):
    """Two candidates per instance."""
    hits = [hit for k in range(instances) for hit in hits_of(k)]
    return hits, [f"i{k}" for k in range(instances) for _ in range(2)]


def test_ten_instances_are_resampled_and_nine_are_too_few():
    def mixed(k):
        return (k % 3 == 0, k % 2 == 0)

    assert rates.measure_rate(*repeated(10, mixed)).how == "instances resampled"
    few = rates.measure_rate(*repeated(9, mixed))
    assert few.how == "wilson over instances"
    share = few.successes / few.n
    assert (few.low, few.high) == rates.wilson_interval(share * 9, 9)
    assert few.n == 18


@pytest.mark.parametrize("hit", [True, False])
def test_a_share_of_0_or_1_of_many_instances_is_not_resampled(hit):
    measured = rates.measure_rate(*repeated(12, lambda k: (hit, hit)))
    assert measured.how == "wilson over instances"
    assert (measured.low, measured.high) == rates.wilson_interval(12 * hit, 12)


def test_an_interval_of_repeats_is_the_wider_end_by_end():
    hits, names = repeated(14, lambda k: (k % 3 == 0, k % 4 == 0))
    values = np.asarray(hits, dtype=float)
    measured = rates.measure_rate(hits, names)
    size = rates.effective_trials(values, names)
    low, high = rates.cluster_interval(rates.ratio_statistic(values), names)
    under, over = rates.wilson_interval(measured.rate * size, size)
    assert (measured.low, measured.high) == (min(low, under), max(high, over))


@pytest.mark.parametrize("spread_out", [True, False])
def test_effective_trials_are_korn_and_graubard_s(spread_out):
    names = [f"i{k}" for k in range(6) for _ in range(2)]
    # Alternating hits have no variance between instances: they are worth at most n.
    values = np.array(
        [0, 1] * 6 if spread_out else [1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0], dtype=float
    )
    n, p = len(values), values.mean()
    sums = [sum(v - p for v, name in zip(values, names, strict=True) if name == f"i{k}")
            for k in range(6)]  # fmt: skip
    variance = 6 / 5 * sum(one**2 for one in sums) / n**2
    worth = n if spread_out else min(n, p * (1 - p) / variance)
    expected = worth * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 5)) ** 2
    assert rates.effective_trials(values, names) == pytest.approx(expected, rel=1e-9)


def test_repeats_that_differ_more_than_by_chance_are_worth_n_and_no_more():
    names = [f"i{k}" for k in range(4) for _ in range(3)]
    values = np.array([1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1], dtype=float)
    expected = 12 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 3)) ** 2
    assert rates.effective_trials(values, names) == pytest.approx(expected, rel=1e-9)


def test_a_cluster_interval_is_that_of_whole_instances_drawn_with_replacement():
    names = ["a", "a", "b", "c", "c", "c", "d"]
    over = np.array([1.0, 0, 1, 1, 0, 0, 1])
    drawn = np.random.default_rng(5).integers(0, 4, (250, 4))
    means = []
    for picks in drawn:
        rows = [v for k in picks for v, name in zip(over, names, strict=True) if name == "abcd"[k]]
        means.append(sum(rows) / len(rows))
    low, high = rates.cluster_interval(rates.ratio_statistic(over), names, count=250, seed=5)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_more_resamples_than_a_chunk_are_all_drawn():
    sizes = []

    def statistic(times):
        assert (times.sum(axis=1) == 2).all(), "two instances of one row each"
        sizes.append(len(times))
        return times[:, 0]

    rates.cluster_interval(statistic, ["a", "b"], count=600)
    assert sizes == [250, 250, 100]


@pytest.mark.parametrize(("kept", "known"), [(50, True), (49, False)])
def test_an_interval_needs_half_of_its_resamples(kept, known):
    def statistic(times):
        return np.where(np.arange(len(times)) < kept, 0.25, math.nan)

    low, high = rates.cluster_interval(statistic, ["a", "b"], count=100)
    assert (low, high) == (0.25, 0.25) if known else math.isnan(low) and math.isnan(high)


def test_one_instance_has_no_interval_and_two_have():
    constant = rates.ratio_statistic(np.array([1.0, 0.0]))
    assert all(map(math.isnan, rates.cluster_interval(constant, ["a", "a"])))
    assert rates.cluster_interval(constant, ["a", "b"]) == (0.0, 1.0)


def test_a_ratio_is_of_the_drawn_sums():
    ratio = rates.ratio_statistic(np.array([1.0, 4.0]), np.array([2.0, 3.0]))
    assert ratio(np.array([[1.0, 1.0], [0.0, 2.0]])).tolist() == [1.0, 4 / 3]


def pairs_won(scores, right):
    """AUC by its definition."""
    pairs = [(a, b) for a, good in zip(scores, right, strict=True) if good
             for b, bad in zip(scores, right, strict=True) if not bad]  # fmt: skip
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def test_auc_is_the_share_of_pairs_in_order_with_ties_a_half():
    scores, right = RNG.integers(0, 6, 40) / 5, RNG.integers(0, 2, 40).astype(float)
    assert rates.auc(scores, right) == pytest.approx(pairs_won(scores, right))
    times = RNG.integers(0, 3, (4, 40)).astype(float)
    for row, value in zip(times, rates._auc_statistic(scores, right)(times), strict=True):
        drawn = np.repeat(np.arange(40), row.astype(int))
        assert value == pytest.approx(pairs_won(scores[drawn], right[drawn]))
    for kind in (0.0, 1.0):
        assert math.isnan(rates.auc(scores, np.full(40, kind)))
        ends = rates.auc_interval(scores, np.full(40, kind), [str(k) for k in range(40)])
        assert [math.isnan(end) for end in ends] == [True, True]
    assert math.isnan(rates.auc(np.array([]), np.array([])))


@pytest.mark.parametrize(
    ("good", "bad", "resampled"), [(10, 10, True), (9, 10, False), (10, 9, False)]
)
def test_ten_right_and_ten_wrong_instances_are_resampled(good, bad, resampled):
    right = np.array([1.0] * good + [0.0] * bad)
    scores = np.concatenate([np.linspace(0.3, 1, good), np.linspace(0, 0.7, bad)])
    names = [str(k) for k in range(good + bad)]
    value = rates.auc(scores, right)
    low, high = rates.cluster_interval(rates._auc_statistic(scores, right), names)
    expected = (min(low, value), max(high, value)) if resampled else (
        rates.newcombe_auc(value, good, bad))  # fmt: skip
    assert rates.auc_interval(scores, right, names) == expected
    low, high = rates.auc_interval(right, right, names)
    assert (low, high) == rates.newcombe_auc(1.0, good, bad)


def test_instances_of_both_kinds_count_on_both_sides():
    right, scores = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.2, 0.4, 0.6])
    assert rates.auc_interval(scores, right, ["a", "a", "a", "b"]) == rates.newcombe_auc(0.75, 1, 2)


@pytest.mark.parametrize(("value", "good", "bad"), [(0.75, 6, 9), (0.2, 20, 4), (0.5, 3, 3)])
def test_newcombe_s_ends_are_z_standard_errors_away(value, good, bad):
    for end in rates.newcombe_auc(value, good, bad):
        q1, q2 = (1 - end) / (2 - end), end / (1 + end)
        half = (good + bad) / 2 - 1
        error = math.sqrt(end * (1 - end) * (1 + half * (q1 + q2)) / (good * bad))
        assert abs(value - end) == pytest.approx(rates.Z95 * error, abs=2e-4)


def test_pairs_are_compared_within_an_instance_only():
    scores, right = np.array([0.9, 0.1, 0.5, 0.4, 0.8, 0.3]), np.array([1.0, 0, 0, 1, 1, 0])
    names = ["b", "b", "b", "a", "c", "a"]
    assert rates.pairs_within_clusters(scores, right, names) == [("b", 2.0, 2), ("a", 1.0, 1)]
