"""Bootstraps over instances and repositories, and exact tests.

All policies share the resampled instances, so every difference is paired. Only issues are
resampled: expectations already average over the verifier model.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from swe_router.lazy_imports import deferred_module
from swe_router.stats.arrays import Floats
from swe_router.stats.hull import on_pareto_frontier
from swe_router.stats.significance import even

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = deferred_module("scipy.stats")

RESAMPLES = 10_000


def resample_shares(n: int, count: int = RESAMPLES, seed: int = 0) -> Floats:
    """Share of each of ``n`` instances in ``count`` resamples, (count, n); rows sum to 1."""
    drawn = np.random.default_rng(seed).integers(0, n, (count, n))
    drawn += np.arange(count)[:, None] * n
    out: Floats = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n) / n
    return out


def cluster_resample_shares(groups: Sequence[str], count: int = RESAMPLES, seed: int = 0) -> Floats:
    """Like ``resample_shares``, with whole groups (repositories) resampled; rows sum to 1."""
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(place)
    times = resample_shares(len(names), count, seed) * len(names)
    out: Floats = times[:, place] / (times @ sizes)[:, None]
    return out


def resampled_means(shares: Floats, values: Floats) -> Floats:
    """Mean of each resample: (b, n) shares and (k, n) values to (b, k)."""
    out: Floats = shares @ np.atleast_2d(values).T
    return out


def percentile_interval(samples: Floats, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval (Efron & Tibshirani 1993, ch. 13)."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca_interval(samples: Floats, values: Floats, level: float = 0.95) -> tuple[float, float]:
    """Bias-corrected, accelerated interval of a mean (Efron 1987); for skewed costs.

    ``samples`` (b,) are bootstrap means of ``values`` (n,).
    """
    point, gaps = float(values.mean()), values.mean() - values
    spread = float((gaps**2).sum())
    if spread == 0 or len(values) < 2:
        return point, point
    below = (float((samples < point).mean()) + float((samples <= point).mean())) / 2
    bias = float(stats.norm.ppf(min(max(below, 1 / len(samples)), 1 - 1 / len(samples))))
    # The jackknife mean without value i differs from the mean by (mean - value_i) / (n - 1).
    bend = -float((gaps**3).sum()) / (6 * spread**1.5)
    ends = []
    for z in (stats.norm.ppf((1 - level) / 2), stats.norm.ppf((1 + level) / 2)):
        ends.append(float(stats.norm.cdf(bias + (bias + z) / (1 - bend * (bias + z)))))
    low, high = np.quantile(samples, ends)
    return float(low), float(high)


def bootstrap_p_value(samples: Floats) -> float:
    """Bootstrap p-value of "the true value is 0": twice the smaller tail, ties halved."""
    count, slack = len(samples), 1e-12
    over = float((samples > slack).sum() + 0.5 * (np.abs(samples) <= slack).sum())
    return min(1.0, 2 * (min(over, count - over) + 1) / (count + 1))


def resampled_hulls_at(costs: Floats, rates: Floats, spend: Floats) -> Floats:
    """The zero-router hull of each resample at a spend: (b, m), (b, m), (b,) to (b,).

    The upper concave envelope at x is the highest chord of two points that enclose x; it is flat
    beyond the best point and runs to (0, 0) below the cheapest, as in ``stats.hull.hull_at``.
    """
    zero = np.zeros((len(costs), 1))
    x, y = np.hstack([zero, costs]), np.hstack([zero, rates])
    best: Floats = np.where(x <= spend[:, None], y, 0.0).max(axis=1)
    for a, b in itertools.combinations(range(x.shape[1]), 2):
        low = np.where(x[:, a] <= x[:, b], a, b)
        high = a + b - low
        rows = np.arange(len(x))
        x0, x1 = x[rows, low], x[rows, high]
        inside = (x0 <= spend) & (spend <= x1) & (x1 > x0)
        part = np.divide(spend - x0, x1 - x0, out=np.zeros_like(spend), where=inside)
        chord = y[rows, low] + part * (y[rows, high] - y[rows, low])
        np.maximum(best, np.where(inside, chord, 0.0), out=best)
    return best


def hull_margins(shares: Floats, rate: Floats, usd: Floats, rates: Floats, usds: Floats) -> Floats:
    """Bootstrap margins above the hull, recomputed in each resample: (b, k).

    ``rate`` and ``usd`` are the policies', (k, n); ``rates`` and ``usds`` the systems', (m, n).
    """
    mine, cost = resampled_means(shares, rate), resampled_means(shares, usd)
    points, prices = resampled_means(shares, rates), resampled_means(shares, usds)
    floor = [
        resampled_hulls_at(prices, points, np.ascontiguousarray(cost[:, k]))
        for k in range(len(rate))
    ]
    out: Floats = mine - np.stack(floor, axis=1)
    return out


def extended_hull_margins(
    shares: Floats, rate: Floats, usd: Floats, mixed: tuple[Floats, Floats],
    rates: Floats, usds: Floats, margins: Floats,
) -> Floats:  # fmt: skip
    """Bootstrap margins above the hull with one more point in it: (b, k).

    ``margins`` are those above the hull of the systems (``hull_margins``), ``mixed`` the rate and
    USD of the further point, (n,) each. An upper envelope is the highest chord, so only the
    chords of the new point matter.
    """
    mine, cost = resampled_means(shares, rate), resampled_means(shares, usd)
    point, price = resampled_means(shares, mixed[0])[:, 0], resampled_means(shares, mixed[1])[:, 0]
    others = np.hstack([np.zeros((len(shares), 1)), resampled_means(shares, rates)])
    prices = np.hstack([np.zeros((len(shares), 1)), resampled_means(shares, usds)])
    floor = mine - margins
    # A budget above the point's cost reaches at least the point.
    floor = np.maximum(floor, np.where(cost >= price[:, None], point[:, None], 0.0))
    for k in range(others.shape[1]):
        x0, y0, gap = prices[:, [k]], others[:, [k]], price[:, None] - prices[:, [k]]
        low, high = np.minimum(x0, price[:, None]), np.maximum(x0, price[:, None])
        inside = (low <= cost) & (cost <= high) & (gap != 0)
        part = np.divide(cost - x0, gap, out=np.zeros_like(cost), where=inside)
        chord = y0 + part * (point[:, None] - y0)
        floor = np.maximum(floor, np.where(inside, chord, 0.0))
    out: Floats = mine - floor
    return out


def pareto_probability(shares: Floats, rate: Floats, usd: Floats) -> Floats:
    """Probability of each policy to be on the cost-quality frontier, (k,)."""
    # Rounding keeps equal points equal: sums in another order differ in the last bit.
    cost, quality = (
        np.round(resampled_means(shares, usd), 12),
        np.round(resampled_means(shares, rate), 12),
    )
    out: Floats = on_pareto_frontier(cost, quality).mean(axis=0)
    return out


def mcnemar_test(one: Floats, other: Floats) -> float:
    """Exact two-sided McNemar test on discordant pairs of 0/1 outcomes (n,); 1 with none.

    Raises ``ValueError`` for expectations: only 0/1 outcomes can be counted.
    """
    if not np.isin(one, (0, 1)).all() or not np.isin(other, (0, 1)).all():
        raise ValueError("McNemar's test needs outcomes that are 0 or 1")
    return even(int(((one == 1) & (other == 0)).sum()), int(((one == 0) & (other == 1)).sum()))


def is_non_inferior(differences: Floats, margin: float, alpha: float = 0.05) -> bool:
    """Whether a bootstrapped difference is above ``-margin`` at one-sided ``alpha``."""
    return bool(np.quantile(differences, alpha) > -margin)
