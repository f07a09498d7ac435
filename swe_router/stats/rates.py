"""Intervals of shares and of AUC, with repeats in clusters.

Candidates of one instance are correlated and no independent trials: where instances repeat, whole
instances are resampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred_module
from swe_router.stats.arrays import Floats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike
    from scipy import special
else:
    np = deferred_module("numpy")
    special = deferred_module(
        "scipy.special"
    )  # a third of the time that scipy.stats takes to import

Z95 = 1.959963984540054
RESAMPLES = 2000
MIN_CLUSTERS = 10
"""Minimum clusters for resampling: with fewer its interval is far too narrow."""
RESAMPLES_PER_CHUNK = 250
"""Resamples held in memory at a time."""
QUANTILES_95 = (0.025, 0.975)
Statistic = Callable[[Floats], Floats]
"""How often each row was drawn, (b, n) -> one value per resample, (b,)."""


def wilson_interval(successes: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927); ``successes`` may be an expectation."""
    if n == 0:
        return 0.0, 1.0
    rate, spread = successes / n, z * z / n
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(max(0.0, rate * (1 - rate)) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def clopper_pearson_upper(successes: ArrayLike, n: float, delta: float) -> Floats:
    """Upper bounds on shares at confidence 1 - delta (Clopper & Pearson 1934); 1 with no data.

    Exact for counts; ``successes`` (...) and ``n`` may be fractional, as of an effective number.
    """
    k = np.asarray(successes, dtype=float)
    if n <= 0:
        return np.ones_like(k)
    some = np.minimum(k, n - 1e-9)
    return np.where(k >= n, 1.0, special.betaincinv(some + 1, n - some, 1 - delta))


@dataclass(frozen=True)
class MeasuredRate:
    """A share with its 95% interval."""

    successes: int
    n: int
    low: float
    high: float
    how: str
    """``wilson``, ``wilson over instances``, or ``instances resampled``: no narrower than Wilson's
    with the effective number of candidates."""

    @property
    def rate(self) -> float | None:
        """The share; None if n is 0."""
        return self.successes / self.n if self.n else None


def measure_rate(hits: Sequence[bool], clusters: Sequence[str]) -> MeasuredRate:
    """The share of ``hits`` (n,), in clusters of instances (n,).

    Without repeats: Wilson's interval. Else: the wider, end by end, of the cluster bootstrap and
    Wilson with effective n, because near 0 and 1 the bootstrap alone covers too rarely. With few
    instances, or a share of 0 or 1: Wilson's interval with the number of instances as n.
    """
    k, n, instances = sum(hits), len(hits), len(set(clusters))
    if n == instances:
        return MeasuredRate(k, n, *wilson_interval(k, n), "wilson")
    share = k / n
    if k in (0, n) or instances < MIN_CLUSTERS:
        return MeasuredRate(
            k, n, *wilson_interval(share * instances, instances), "wilson over instances"
        )
    values = np.asarray(hits, dtype=float)
    size = effective_trials(values, clusters)
    ends = [
        *cluster_interval(ratio_statistic(values), clusters),
        *wilson_interval(share * size, size),
    ]
    return MeasuredRate(k, n, min(*ends, share), max(*ends, share), "instances resampled")


def effective_trials(values: Floats, clusters: Sequence[str]) -> float:
    """Effective number of independent trials of a share whose 0/1 ``values`` (n,) are in clusters.

    p (1 - p) divided by the clusters' variance of p, at most n, times (z / t)^2 since the variance
    has one degree of freedom less than clusters (Korn & Graubard 1998, Survey Methodology 24:193).
    Needs a share other than 0 and 1, and at least two clusters.
    """
    n, share = len(values), float(values.mean())
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    free = len(names) - 1
    off = np.bincount(place, weights=values - share)
    spread = (free + 1) / free * float((off**2).sum()) / n**2
    worth = min(n, share * (1 - share) / spread) if spread > 0 else n
    return worth * (Z95 / float(special.stdtrit(free, QUANTILES_95[1]))) ** 2


def cluster_interval(
    statistic: Statistic, clusters: Sequence[str], count: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95% percentile interval of a statistic, whole clusters resampled.

    ``statistic`` takes how often each of the n rows was drawn, (b, n), and returns one value per
    resample, (b,). NaNs (no right or no wrong patch drawn) are left out; (NaN, NaN) if less than
    half remain. (Cameron, Gelbach & Miller 2008, pairs cluster bootstrap.)
    """
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    found = []
    for start in range(0, count, RESAMPLES_PER_CHUNK):
        size = (min(RESAMPLES_PER_CHUNK, count - start), len(names))
        drawn = rng.integers(0, len(names), size) + len(names) * np.arange(size[0])[:, None]
        times = np.bincount(drawn.ravel(), minlength=size[0] * size[1]).reshape(size)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(statistic(times[:, place].astype(float)))
    values = np.concatenate(found)
    kept = values[np.isfinite(values)]
    if 2 * len(kept) < count:
        return math.nan, math.nan
    low, high = np.quantile(kept, QUANTILES_95)
    return float(low), float(high)


def ratio_statistic(over: Floats, under: Floats | None = None) -> Statistic:
    """Sum of ``over`` divided by the sum of ``under``, each (n,); without ``under`` the mean."""
    below = np.ones(len(over)) if under is None else under
    return lambda times: (times @ over) / (times @ below)


def auc(scores: Floats, right: Floats) -> float:
    """P(a right one scores higher than a wrong one), ties a half (Mann & Whitney 1947).

    (n,) scores and 0/1 labels; NaN without both kinds.
    """
    if not len(right) or right.min() == right.max():
        return math.nan
    return float(_auc_statistic(scores, right)(np.ones((1, len(scores))))[0])


def _auc_statistic(scores: Floats, right: Floats) -> Statistic:
    """Weighted AUC as a ``Statistic``: right rows of each score against wrong rows below it."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    good, bad = right[order], 1 - right[order]

    def values(times: Floats) -> Floats:
        drawn = times[:, order]
        ups = np.add.reduceat(drawn * good, starts, axis=1)
        downs = np.add.reduceat(drawn * bad, starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs / 2
        won: Floats = (ups * below).sum(axis=1) / (ups.sum(axis=1) * downs.sum(axis=1))
        return won

    return values


def auc_interval(scores: Floats, right: Floats, clusters: Sequence[str]) -> tuple[float, float]:
    """95% interval of ``auc``, instances resampled; NaNs without both kinds.

    With few instances, or an AUC of 0 or 1: the interval that inverts Hanley & McNeil's variance
    (Newcombe 2006, Stat Med 25:559, method 5), with instances in place of patches.
    """
    value = auc(scores, right)
    if math.isnan(value):
        return math.nan, math.nan
    names = np.asarray(clusters)
    good, bad = (len(set(names[right == kind].tolist())) for kind in (1, 0))
    if value in (0.0, 1.0) or min(good, bad) < MIN_CLUSTERS:
        return newcombe_auc(value, good, bad)
    low, high = cluster_interval(_auc_statistic(scores, right), clusters)
    return min(low, value), max(high, value)


def newcombe_auc(value: float, good: int, bad: int, z: float = Z95) -> tuple[float, float]:
    """The AUCs from which ``value`` is no more than z standard errors away (method 5)."""
    true = np.linspace(0, 1, 20_001)
    half = (good + bad) / 2 - 1
    spread = 1 + half * ((1 - true) / (2 - true) + true / (1 + true))
    off = np.abs(value - true) - z * np.sqrt(true * (1 - true) * spread / (good * bad))
    inside = true[off <= 0]
    return float(inside.min(initial=value)), float(inside.max(initial=value))


def pairs_within_clusters(
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
