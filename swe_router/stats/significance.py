"""Exact tests: whether two shares differ, or a choice is better than a random one.

No bootstrap: a share of 1 in a small sample always resamples to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred_module
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import MeasuredRate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy import stats
else:
    np = deferred_module("numpy")
    stats = deferred_module("scipy.stats")


def difference_interval(one: MeasuredRate, other: MeasuredRate) -> tuple[float, float]:
    """95% interval of the difference of two shares, from their intervals; NaNs if n is 0.

    Newcombe 1998, Stat Med 17:873, method 10 (hybrid score). It assumes independence, so
    with shared instances, which are positively correlated, it is too wide.
    """
    p, q = one.rate, other.rate
    if p is None or q is None:
        return math.nan, math.nan
    low = p - q - math.hypot(p - one.low, other.high - q)
    return low, p - q + math.hypot(one.high - p, q - other.low)


def sign_test(gaps: Floats, clusters: Sequence[str]) -> float:
    """Exact two-sided sign test of the gaps (n,), summed per cluster.

    For 0/1 outcomes with one pair per cluster this is McNemar's test; 1 if all sums are 0.
    """
    _, place = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(place, weights=gaps)
    return even(int((sums > 0).sum()), int((sums < 0).sum()))


def even(ups: int, downs: int) -> float:
    """Exact two-sided p that ups are as likely as downs; 1 with none of either."""
    return float(stats.binomtest(ups, ups + downs, 0.5).pvalue) if ups + downs else 1.0


def poisson_binomial_test(right: int, odds: Sequence[float]) -> float:
    """Exact two-sided p-value of a random choice being right this often: twice the smaller tail.

    ``odds`` (n,) are the shares of right candidates per instance; the number right of a random
    choice is Poisson-binomial.
    """
    chances = np.ones(1)
    for odd in odds:
        chances = np.convolve(chances, [1 - odd, odd])
    return min(1.0, 2 * float(min(chances[: right + 1].sum(), chances[right:].sum())))


def holm_adjusted(values: Sequence[float]) -> NDArray[np.float64]:
    """p-values adjusted for their number (Holm 1979), in the order given."""
    p = np.asarray(values, dtype=float)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, raised)
    return out
