"""How sure a measured rate is: intervals for shares and for orderings, with repeats in clusters.

Several candidates of one instance succeed and fail together, so they are not that many
independent trials: where they repeat, whole instances are resampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from swe_router.estimates.training import Floats

Z95 = 1.959963984540054
RESAMPLES = 2000
LEVEL = (0.025, 0.975)


def wilson(successes: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927); ``successes`` may be an expectation."""
    if n == 0:
        return 0.0, 1.0
    rate, spread = successes / n, z * z / n
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(max(0.0, rate * (1 - rate)) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Rate:
    """A share with its 95% interval."""

    successes: int
    n: int
    low: float
    high: float
    how: str
    """``wilson``, ``instances resampled``, or ``wilson over instances``."""

    @property
    def rate(self) -> float | None:
        """The share; None of nothing."""
        return self.successes / self.n if self.n else None


def rate(hits: Sequence[bool], clusters: Sequence[str]) -> Rate:
    """The share of ``hits`` (n,), each of the instance that ``clusters`` (n,) names.

    Wilson's interval where no instance repeats, else the percentile interval of resampled
    instances. A share of 0 or 1 resamples to itself, which is no interval: then Wilson's with the
    number of instances, as if each had been tried once.
    """
    k, n, instances = sum(hits), len(hits), len(set(clusters))
    if n == instances:
        return Rate(k, n, *wilson(k, n), "wilson")
    share = k / n
    if k in (0, n):
        return Rate(k, n, *wilson(share * instances, instances), "wilson over instances")
    values = np.asarray(hits, dtype=float)
    low, high = resampled(lambda picked: float(values[picked].mean()), clusters)
    return Rate(k, n, min(low, share), max(high, share), "instances resampled")


def resampled(
    statistic: Callable[[np.ndarray], float],
    clusters: Sequence[str],
    count: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """95% percentile interval of a statistic of row numbers, whole clusters resampled.

    Resamples in which it is NaN (no right patch, no wrong one) are left out; (NaN, NaN) when
    less than half of them are left. (Cameron, Gelbach & Miller 2008, pairs cluster bootstrap.)
    """
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    rows = [np.flatnonzero(place == number) for number in range(len(names))]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count if len(names) else 0):
        drawn = rng.integers(0, len(names), len(names))
        found.append(statistic(np.concatenate([rows[number] for number in drawn])))
    kept = [value for value in found if not math.isnan(value)]
    if 2 * len(kept) < count:
        return math.nan, math.nan
    low, high = np.quantile(kept, LEVEL)
    return float(low), float(high)


def auc(scores: Floats, right: Floats) -> float:
    """P(a right one scores higher than a wrong one), ties a half (Mann & Whitney 1947).

    (n,) scores and 0/1 labels; NaN without both kinds.
    """
    good = int(right.sum())
    bad = len(right) - good
    if not good or not bad:
        return math.nan
    order = np.sort(scores)
    ranks = (
        np.searchsorted(order, scores, "left") + np.searchsorted(order, scores, "right") + 1
    ) / 2
    return float((ranks[right == 1].sum() - good * (good + 1) / 2) / (good * bad))


def auc_interval(scores: Floats, right: Floats, clusters: Sequence[str]) -> tuple[float, float]:
    """95% interval of ``auc``, instances resampled; NaNs where nothing can be said.

    An AUC of 0 or 1 resamples to itself: then the interval that inverts Hanley & McNeil's
    variance (Newcombe 2006, Stat Med 25:559, method 5), with instances for patches.
    """
    value = auc(scores, right)
    if math.isnan(value):
        return math.nan, math.nan
    names = np.asarray(clusters)
    if value in (0.0, 1.0):
        return newcombe_auc(
            value, len(set(names[right == 1].tolist())), len(set(names[right == 0].tolist()))
        )
    low, high = resampled(lambda picked: auc(scores[picked], right[picked]), clusters)
    return min(low, value), max(high, value)


def newcombe_auc(value: float, good: int, bad: int, z: float = Z95) -> tuple[float, float]:
    """The AUCs from which ``value`` is no more than z standard errors away (method 5)."""

    def off(true: float) -> float:
        half = (good + bad) / 2 - 1
        spread = 1 + half * ((1 - true) / (2 - true) + true / (1 + true))
        return abs(value - true) - z * math.sqrt(true * (1 - true) * spread / (good * bad))

    grid = np.linspace(0, 1, 20_001)
    inside = [float(x) for x in grid.tolist() if off(x) <= 0] or [value]
    return min(*inside, value), max(*inside, value)


def within_pairs(
    scores: Floats, right: Floats, clusters: Sequence[str]
) -> list[tuple[str, float, int]]:
    """(instance, right-against-wrong pairs ordered right with ties a half, pairs), where any."""
    names = np.asarray(clusters)
    out = []
    for name in dict.fromkeys(clusters):
        mine, label = scores[names == name], right[names == name]
        pairs = int(label.sum()) * int((1 - label).sum())
        if pairs:
            out.append((name, auc(mine, label) * pairs, pairs))
    return out
