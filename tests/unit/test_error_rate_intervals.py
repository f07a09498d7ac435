"""Intervals of error rates and of an AUC, each worked out again by other means."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.stats import rates
from tests.doubles.wilson import Z, by_bisection


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 5), (3, 8), (8, 8), (27, 129), (105, 129)])
def test_wilson_inverts_the_score_test(k, n):
    low, high = rates.wilson_interval(k, n)
    assert low == pytest.approx(by_bisection(k, n, False), abs=1e-9)
    assert high == pytest.approx(by_bisection(k, n, True), abs=1e-9)


def test_repeats_of_an_instance_widen_the_interval_as_all_resamples_do():
    hits = [True, True, True, False, False, True, False, False]
    names = ["a", "a", "a", "b", "b", "c", "d", "d"]
    of = {name: [h for h, n in zip(hits, names, strict=True) if n == name] for name in "abcd"}
    every = [
        np.mean([hit for name in drawn for hit in of[name]])
        for drawn in itertools.product("abcd", repeat=4)
    ]
    low, high = np.quantile(every, [0.025, 0.975])
    found = rates.cluster_interval(
        rates.ratio_statistic(np.array(hits, dtype=float)), names, count=20_000
    )
    assert found == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))
    few = rates.measure_rate(hits, names)
    assert few.how == "wilson over instances", "of four instances that interval is too narrow"
    assert (few.low, few.high) == pytest.approx(rates.wilson_interval(2, 4))
    many = rates.measure_rate(hits * 3, [f"{name}{k}" for k in range(3) for name in names])
    assert many.how == "instances resampled"
    assert many.low < 0.5 < many.high


def test_a_rate_of_0_of_repeats_has_the_interval_of_its_instances_and_not_none():
    found = rates.measure_rate([False] * 9, ["a"] * 3 + ["b"] * 3 + ["c"] * 3)
    assert (found.low, found.high) == pytest.approx(rates.wilson_interval(0, 3))
    assert found.high > 0.5
    assert rates.measure_rate([], []).rate is None


@pytest.mark.parametrize("hit", range(12))
def test_one_repeat_makes_no_rate_surer_than_none(hit):
    names = [str(k) for k in range(12)]
    alone = rates.measure_rate([k == hit for k in range(12)], names)
    again = rates.measure_rate([*(k == hit for k in range(12)), False], [*names, "0"])
    assert again.high >= alone.high, "a 13th patch of 12 instances"


def test_a_rate_of_repeats_near_1_is_in_its_interval_as_often_as_that_says():
    """Twenty instances, four candidates each that mostly agree: resampled alone, 88 of 100."""
    rng = np.random.default_rng(11)
    names = [str(k // 4) for k in range(80)]
    kept = 0
    for _ in range(100):
        odds = np.repeat(rng.beta(0.95 / 1.5, 0.05 / 1.5, 20), 4)
        found = rates.measure_rate((rng.random(80) < odds).tolist(), names)
        kept += found.low <= 0.95 <= found.high
    assert kept >= 95


def by_hand(scores, right):
    pairs = [(a, b) for a, x in zip(scores, right, strict=True) if x
             for b, y in zip(scores, right, strict=True) if not y]  # fmt: skip
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.3001, 0.9]), st.booleans()), min_size=2,
             max_size=30)
)  # fmt: skip
def test_auc_is_the_share_of_pairs_in_order(pairs):
    scores, right = np.array([p for p, _ in pairs]), np.array([float(r) for _, r in pairs])
    if right.min() == right.max():
        assert math.isnan(rates.auc(scores, right))
    else:
        assert rates.auc(scores, right) == pytest.approx(by_hand(scores, right))


def test_an_auc_of_1_has_an_interval_that_satisfies_newcombes_equation():
    low, high = rates.newcombe_auc(1.0, 6, 9)
    star = (6 + 9) / 2
    variance = low * (1 - low) * (1 + (star - 1) * ((1 - low) / (2 - low) + low / (1 + low)))
    assert 1 - low == pytest.approx(Z * math.sqrt(variance / 54), abs=2e-3)
    assert high == 1.0
    scores, right = np.array([0.9, 0.8, 0.1, 0.2]), np.array([1.0, 1.0, 0.0, 0.0])
    low, high = rates.auc_interval(scores, right, ["a", "b", "c", "d"])
    assert low < 0.6
