"""The zero-router hull: what random mixes of arms reach at each cost (RouterBench, sec. 4)."""

from __future__ import annotations

import itertools

import numpy as np

from swe_router.stats.arrays import Floats


def upper_hull(cost: Floats, rate: Floats) -> list[int]:
    """Indices of the non-decreasing upper concave hull of points (cost, rate), by rising cost.

    Starts at the cheapest point and ends at the best (the cheapest of equally good ones).
    """
    order = sorted(range(len(cost)), key=lambda i: (cost[i], -rate[i]))
    hull: list[int] = []
    for i in order:
        if hull and rate[i] <= rate[hull[-1]]:
            continue
        while len(hull) > 1 and _is_below_chord(cost, rate, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    return hull


def _is_below_chord(cost: Floats, rate: Floats, a: int, b: int, c: int) -> bool:
    """Whether ``b`` lies on or under the line from ``a`` to ``c``."""
    rise = (rate[c] - rate[a]) * (cost[b] - cost[a])
    return bool((rate[b] - rate[a]) * (cost[c] - cost[a]) <= rise)


def hull_at(cost: Floats, rate: Floats, spend: Floats | float) -> Floats:
    """Rate of the hull at a mean cost; flat beyond the best point.

    Skipping an issue is an arm too, (0, 0): the hull below the cheapest point ends there, which
    makes the hull concave everywhere.
    """
    x, y = np.concatenate([[0.0], cost]), np.concatenate([[0.0], rate])
    hull = upper_hull(x, y)
    x, y = x[hull], y[hull]
    out: Floats = np.interp(spend, x, y)
    return out


def mix_at(cost: Floats, hull: list[int], spend: float) -> Floats:
    """Shares of all arms (they sum to 1) that cost ``spend`` on average, along the hull."""
    shares = np.zeros(len(cost))
    if len(hull) == 1 or spend <= cost[hull[0]]:
        shares[hull[0]] = 1.0
        return shares
    for a, b in itertools.pairwise(hull):
        if spend <= cost[b]:
            part = (spend - cost[a]) / (cost[b] - cost[a])
            shares[a], shares[b] = 1 - part, part
            return shares
    shares[hull[-1]] = 1.0
    return shares


def on_pareto_frontier(cost: Floats, rate: Floats) -> np.ndarray:
    """Which points no other dominates (cheaper or as cheap, better or as good, one strictly).

    Points along the last axis, (..., k) -> bool (..., k). Equal points do not dominate each other.
    """
    on = np.ones(cost.shape, dtype=bool)
    for j in range(cost.shape[-1]):
        x, y = cost[..., j : j + 1], rate[..., j : j + 1]
        worse = (cost >= x) & (rate <= y) & ((cost > x) | (rate < y))
        on &= ~worse
    return on
