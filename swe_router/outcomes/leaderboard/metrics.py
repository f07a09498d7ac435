"""Figures of merit of routers, from mean cost (USD an issue) and rate (share resolved).

A curve is the points (cost, rate) of one policy at several knobs. Nothing here is clipped: a
cascade may solve what no single system does, so a recovered gap over 1 is a finding.
"""

from __future__ import annotations

import math

import numpy as np

from swe_router.stats.arrays import Floats
from swe_router.stats.hull import hull_at


def usd_per_resolved(usd: float, resolved: float) -> float:
    """Total USD over instances resolved; inf when none is. Never a thing to rank by."""
    return usd / resolved if resolved > 0 else math.inf


def pgr(rate: Floats | float, weak: float, strong: float) -> Floats | float:
    """Performance gap recovered, (r - r_W) / (r_S - r_W) (RouteLLM, arXiv 2406.18665, eq. 4).

    NaN where the strong system is no better than the weak one.
    """
    if strong <= weak:
        return rate * math.nan
    return (rate - weak) / (strong - weak)


def _anchored(fraction: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """By rising fraction with always-weak (0, 0) and always-strong (1, 1); best of equals."""
    best: dict[float, float] = {0.0: 0.0, 1.0: 1.0}
    for x, y in zip(np.clip(fraction, 0, 1).tolist(), gap.tolist(), strict=True):
        best[x] = max(best.get(x, -math.inf), y)
    xs = np.array(sorted(best))
    return xs, np.array([best[x] for x in xs.tolist()])


def apgr(fraction: Floats, gap: Floats) -> float:
    """Average PGR: its integral over the share of strong calls (RouteLLM, eq. 5).

    By trapezoids through the curve's points and its two ends, always-weak and always-strong,
    which any policy may fall back on. A random mix has 1/2.
    """
    if not np.isfinite(gap).all():
        return math.nan
    xs, ys = _anchored(fraction, gap)
    return float(np.trapezoid(ys, xs))


def cpt(fraction: Floats, gap: Floats, share: float) -> float:
    """Call-performance threshold: least fraction at which PGR >= ``share`` (RouteLLM, sec. 3.2).

    ``fraction`` is of strong calls, or of the cost between weak and strong. Between two points
    the line is followed. The first crossing counts, so a curve that dips is not misread (the
    published code interpolates a curve that need not rise).
    """
    if not np.isfinite(gap).all():
        return math.nan
    xs, ys = _anchored(fraction, gap)
    if ys[0] >= share:
        return float(xs[0])
    for k in range(1, len(xs)):
        if ys[k] >= share:
            part = (share - ys[k - 1]) / (ys[k] - ys[k - 1])
            return float(xs[k - 1] + part * (xs[k] - xs[k - 1]))
    return math.nan


def aiq(cost: Floats, rate: Floats, low: float, high: float) -> float:
    """Average improvement in quality: mean of the curve's hull over costs ``low`` to ``high``.

    RouterBench (arXiv 2403.12031), section 4: non-decreasing convex hull, flat to the right. The
    range is common to all policies (the published code divides by the highest cost). Left of the
    first point the hull runs to (0, 0): a share of issues left undone.
    """
    if high <= low:
        return float(hull_at(cost, rate, low))
    knots = np.unique(np.concatenate([[low, high], np.clip(cost, low, high)]))
    return float(np.trapezoid(hull_at(cost, rate, knots), knots) / (high - low))


def cost_save(cost: Floats, rate: Floats, base_cost: float, base_rate: float) -> float:
    """1 - C(r_S) / c_S: saving at equal quality (LLMRouterBench, arXiv 2601.07206, CostSave).

    C(q) is the least cost of the curve's own points with rate >= q; NaN when none has.
    """
    good = cost[rate >= base_rate - 1e-12]
    return float(1 - good.min() / base_cost) if len(good) and base_cost > 0 else math.nan


def hypervolume(cost: Floats, rate: Floats, reference: float) -> float:
    """Area dominated by the points within cost <= ``reference`` and rate >= 0 (Zitzler 1999).

    USD an issue times rate. Unlike AIQ it gives no credit for mixing.
    """
    area, best = 0.0, 0.0
    order = sorted(zip(cost.tolist(), rate.tolist(), strict=True))
    for x, y in order:
        if x < reference and y > best:
            area += (reference - x) * (y - best)
            best = y
    return area


def ibc(cost: float, rate: float, weak: tuple[float, float], strong: tuple[float, float]) -> float:
    """Incremental benefit per cost against the line W-S, in percent (AutoMix, 2310.12963, sec. 5).

    ``weak`` and ``strong`` are (cost, rate). NaN when the policy costs no more than the weak one,
    where a benefit per added dollar means nothing.
    """
    rise, run = strong[1] - weak[1], strong[0] - weak[0]
    if cost <= weak[0] or run <= 0 or rise <= 0:
        return math.nan
    return float(((rate - weak[1]) / (cost - weak[0]) / (rise / run) - 1) * 100)


def regret(resolved: Floats, usd: Floats, best: tuple[Floats, Floats], value: float) -> float:
    """Mean of U(oracle) - U(policy), U = value * resolved - usd; USD an issue.

    ``best`` is (resolved, usd) of the oracle, (n,) each; ``value`` is USD a resolved issue is
    worth (LLMRank, arXiv 2510.01234: utility with lambda = 1 / value).
    """
    return float(np.mean(value * (best[0] - resolved) - (best[1] - usd)))


def router_arena(
    rate: float, usd: float, low: float = 0.0044e-3, high: float = 0.2, beta: float = 0.1
) -> float:
    """RouterArena score (1 + b) A C / (b A + C), C = log-scaled cheapness of USD an issue.

    C = (log2 high - log2 usd) / (log2 high - log2 low), held to [0, 1]. The published range is
    0.0044 to 200 USD a 1,000 queries; agents cost more, so a board passes its own. NaN where the
    least cost is 0 (a free tier): it has no logarithm.
    """
    if usd <= 0:
        cheap = 1.0
    elif high <= low or low <= 0:
        return math.nan
    else:
        cheap = (math.log2(high) - math.log2(usd)) / (math.log2(high) - math.log2(low))
        cheap = min(1.0, max(0.0, cheap))
    below = beta * rate + cheap
    return (1 + beta) * rate * cheap / below if below > 0 else 0.0


def hull_margin(
    cost: Floats | float, rate: Floats | float, costs: Floats, rates: Floats
) -> Floats | float:
    """Rate above the zero-router hull of systems (costs, rates) at equal cost (RouterBench, 4)."""
    return rate - hull_at(costs, rates, cost)
