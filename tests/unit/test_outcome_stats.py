"""Intervals and tests: exact where a value is published, calibrated where they are drawn."""

import numpy as np
import pytest
from scipy.stats import binomtest

from swe_router.outcomes.leaderboard import verdict_words
from swe_router.stats import bootstrap, significance
from swe_router.stats.hull import hull_at


def test_every_resample_is_a_share_of_one_and_of_whole_repositories():
    shares = bootstrap.resample_shares(7, 200, 3)
    assert shares.sum(axis=1) == pytest.approx(1)
    groups = ["a", "a", "b", "c", "c", "c"]
    clusters = bootstrap.cluster_resample_shares(groups, 200, 3)
    assert clusters.sum(axis=1) == pytest.approx(1)
    assert (clusters[:, 0] == clusters[:, 1]).all()
    assert (clusters[:, 3] == clusters[:, 5]).all()
    assert np.array_equal(shares, bootstrap.resample_shares(7, 200, 3))


def test_a_bootstrap_mean_spreads_as_the_standard_error():
    values = np.random.default_rng(0).random(80)
    drawn = bootstrap.resampled_means(bootstrap.resample_shares(80, 4000), values)[:, 0]
    assert drawn.std() == pytest.approx(values.std() / 80**0.5, rel=0.05)


def test_the_accelerated_interval_leans_to_the_heavy_tail():
    values = np.random.default_rng(1).lognormal(0, 1.5, 60)
    drawn = bootstrap.resampled_means(bootstrap.resample_shares(60, 4000), values)[:, 0]
    plain, bent = bootstrap.percentile_interval(drawn), bootstrap.bca_interval(drawn, values)
    assert bent[1] > plain[1]
    assert bent[0] > plain[0]
    assert bootstrap.bca_interval(np.ones(50), np.ones(9)) == (1.0, 1.0)


def test_hulls_of_resamples_are_the_hull_of_each():
    rng = np.random.default_rng(2)
    cost, rate, spend = rng.random((40, 5)), rng.random((40, 5)), rng.random(40) * 1.3
    one_by_one = [float(hull_at(cost[i], rate[i], spend[i])) for i in range(40)]
    assert bootstrap.resampled_hulls_at(cost, rate, spend) == pytest.approx(one_by_one)


def test_a_system_on_the_hull_has_no_margin_in_any_resample():
    rng = np.random.default_rng(3)
    rates = (rng.random((2, 50)) < np.array([[0.4], [0.8]])).astype(float)
    usds = np.array([[0.1], [1.0]]) * rng.random((2, 50))
    shares = bootstrap.resample_shares(50, 300)
    mixed = bootstrap.hull_margins(shares, rates.mean(0)[None], usds.mean(0)[None], rates, usds)
    assert mixed == pytest.approx(0, abs=1e-9)


def test_mcnemar_is_the_binomial_test_on_discordant_pairs():
    one, other = np.array([1] * 53 + [0] * 25 + [1] * 9), np.array([0] * 53 + [1] * 25 + [1] * 9)
    assert bootstrap.mcnemar_test(one, other) == pytest.approx(binomtest(53, 78).pvalue)
    assert bootstrap.mcnemar_test(one, other) == pytest.approx(0.002, abs=0.001)
    assert bootstrap.mcnemar_test(one, one) == 1
    with pytest.raises(ValueError, match="0 or 1"):
        bootstrap.mcnemar_test(one * 0.5, other)


def test_holm_adjusts_in_the_order_given_and_never_falls():
    assert significance.holm_adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm_adjusted([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(significance.holm_adjusted([])) == 0


def test_two_sided_and_non_inferiority():
    centred = np.linspace(-1, 1, 1001)
    assert bootstrap.bootstrap_p_value(centred) == pytest.approx(1, abs=0.01)
    assert bootstrap.bootstrap_p_value(np.ones(999)) < 0.01
    assert bootstrap.bootstrap_p_value(np.zeros(999)) == pytest.approx(1, abs=0.01)
    assert bootstrap.is_non_inferior(centred * 0.01, 0.02)
    assert not bootstrap.is_non_inferior(centred * 0.1, 0.02)


def test_the_frontier_probability_of_a_dominated_policy_is_zero():
    rate = np.array([np.ones(9), np.zeros(9), np.ones(9)])
    usd = np.array([np.ones(9), np.full(9, 2.0), np.ones(9)])
    assert bootstrap.pareto_probability(bootstrap.resample_shares(9, 50), rate, usd).tolist() == [
        1.0,
        0.0,
        1.0,
    ]


@pytest.mark.parametrize(
    ("m", "n", "seed"), [(2, 9, 0), (3, 12, 1), (4, 5, 2), (5, 12, 3), (2, 3, 4)]
)
def test_a_hull_with_one_more_point_is_the_hull_of_all_points(m, n, seed):
    dice = np.random.default_rng(seed)
    rates, usds = dice.integers(0, 2, (m, n)).astype(float), dice.random((m, n))
    rate, usd = dice.integers(0, 2, (3, n)).astype(float), dice.random((3, n))
    shares = bootstrap.resample_shares(n, 40, seed)
    plain = bootstrap.hull_margins(shares, rate, usd, rates, usds)
    mixed = bootstrap.extended_hull_margins(
        shares, rate, usd, (rate[0], usd[0]), rates, usds, plain
    )
    every = bootstrap.hull_margins(
        shares, rate, usd, np.vstack([rates, rate[:1]]), np.vstack([usds, usd[:1]])
    )
    assert np.allclose(mixed, every, atol=1e-9)
    assert (mixed[:, 0] <= 1e-9).all(), "the point itself is on or under its own hull"


def row(p, low, kind="policy"):
    ends = {"hull_margin_low": low, "hull_margin_high": low + 5}
    own = {"policy": f"p{p}{low}", "kind": kind, "same_as": None, "surrogate": None}
    own["on_pareto_probability"] = 0.5
    return {**own, **ends, "n": 50, "rate": 0.5, "p": p}


def test_a_row_is_above_the_hull_only_after_the_correction_for_all_policies_tried():
    lines = [row(0.03, 0.2), *(row(0.5, -2.0 - k) for k in range(30))]
    verdict_words.set_verdict_words(lines)
    assert lines[0]["p_holm"] > 0.05
    assert lines[0]["verdict"] == lines[0]["hull_verdict"] == verdict_words.NEITHER
    alone = [row(0.03, 0.2)]
    verdict_words.set_verdict_words(alone)
    assert alone[0]["verdict"] == verdict_words.ABOVE


def test_what_is_no_policy_is_judged_by_its_interval_alone():
    lines = [row(0.03, 0.2, kind="baseline"), *(row(0.9, -2.0 - k) for k in range(30))]
    verdict_words.set_verdict_words(lines)
    assert lines[0]["verdict"] == verdict_words.ABOVE
