"""The figures of the board against values computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.outcomes.leaderboard import metrics
from swe_router.stats import hull
from swe_router.stats.hull import hull_at, upper_hull
from swe_router.stats.rates import wilson_interval


def a(*values):
    return np.array(values, dtype=float)


def test_wilson_is_the_published_interval_and_takes_expectations():
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)  # Newcombe 1998, table I
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(5.5, 10)[0] < 0.55 < wilson_interval(5.5, 10)[1]


def test_pgr_is_not_clipped_and_has_no_value_without_a_gap():
    assert metrics.pgr(0.65, 0.5, 0.7) == pytest.approx(0.75)
    assert metrics.pgr(0.75, 0.5, 0.7) == pytest.approx(1.25)
    assert math.isnan(metrics.pgr(0.6, 0.7, 0.7))


def test_apgr_of_a_random_mix_is_a_half_and_a_dip_lowers_it():
    assert metrics.apgr(a(0.2, 0.6), a(0.2, 0.6)) == pytest.approx(0.5)
    # (0,0) (.5,.9) (1,1): .225 + .475
    assert metrics.apgr(a(0.5), a(0.9)) == pytest.approx(0.7)
    assert metrics.apgr(a(0.5), a(0.1)) == pytest.approx(0.3)


def test_cpt_takes_the_first_crossing_of_a_curve_that_dips():
    calls, gap = a(0.2, 0.4, 0.8), a(0.6, 0.3, 0.9)
    assert metrics.cpt(calls, gap, 0.5) == pytest.approx(0.2 * 0.5 / 0.6)
    assert metrics.cpt(calls, gap, 0.9) == pytest.approx(0.8)
    assert metrics.cpt(calls, gap, 0) == 0
    assert math.isnan(metrics.cpt(calls, gap, 1.2))


def test_aiq_integrates_the_hull_over_the_common_range():
    # Hull (0,0) (1,.5) (3,.7), flat after: from 1 to 5: .6*2 + .7*2 = 2.6, over 4.
    assert metrics.aiq(a(1, 3), a(0.5, 0.7), 1, 5) == pytest.approx(0.65)
    # A point under the hull changes nothing.
    assert metrics.aiq(a(1, 2, 3), a(0.5, 0.4, 0.7), 1, 5) == pytest.approx(0.65)


def test_cost_save_hypervolume_and_ibc():
    assert metrics.cost_save(a(0.2, 0.4), a(0.6, 0.72), 0.8, 0.7) == pytest.approx(0.5)
    assert math.isnan(metrics.cost_save(a(0.2), a(0.6), 0.8, 0.7))
    # (1,.5) to 4: 1.5; (2,.7) adds .2*2; the dominated (3,.6) nothing.
    assert metrics.hypervolume(a(1, 2, 3), a(0.5, 0.7, 0.6), 4) == pytest.approx(1.9)
    weak, strong = (0.1, 0.5), (0.5, 0.7)
    assert metrics.ibc(0.3, 0.6, weak, strong) == pytest.approx(0)
    assert metrics.ibc(0.3, 0.7, weak, strong) == pytest.approx(100)
    assert math.isnan(metrics.ibc(0.05, 0.6, weak, strong))


def test_regret_is_zero_for_the_oracle_itself():
    best = a(1, 0), a(0.1, 0.1)
    assert metrics.regret(*best, best, 2.0) == 0
    assert metrics.regret(a(0, 0), a(0.5, 0.1), best, 2.0) == pytest.approx((2 + 0.4) / 2)


def test_router_arena_is_its_formula_and_held_to_its_range():
    cheap = (math.log2(0.2) - math.log2(0.01)) / (math.log2(0.2) - math.log2(0.0044e-3))
    assert metrics.router_arena(0.6, 0.01) == pytest.approx(1.1 * 0.6 * cheap / (0.1 * 0.6 + cheap))
    assert metrics.router_arena(0.6, 5.0) == 0
    assert metrics.router_arena(0.6, 0.0) == pytest.approx(1.1 * 0.6 / 1.06)


def test_the_frontier_keeps_twins_and_drops_the_dominated():
    on = hull.on_pareto_frontier(a(1, 1, 2, 2, 3), a(0.5, 0.5, 0.7, 0.6, 0.7))
    assert on.tolist() == [True, True, True, False, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=8))
def test_the_hull_is_concave_rises_and_lies_on_or_over_every_point(points):
    cost, rate = a(*[p[0] for p in points]), a(*[p[1] for p in points])
    grid = np.linspace(0, 6, 101)
    height = hull_at(cost, rate, grid)
    assert (hull_at(cost, rate, cost) >= rate - 1e-9).all()
    assert (np.diff(height) >= -1e-9).all()
    # Concave: no chord lies above the curve. At 0 itself a system that costs nothing is a step.
    assert (height[2:] + height[:-2] <= 2 * height[1:-1] + 1e-9).all()
    assert len(upper_hull(cost, rate)) >= 1
