"""Whether two shares differ, or a choice is better than a blind one: exact tests, no bootstrap.

A share of 1 of a few resamples to itself, so resampling calls it different from anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import MeasuredRate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy import stats
else:
    np = deferred("numpy")
    stats = deferred("scipy.stats")


def square_and_add(one: MeasuredRate, other: MeasuredRate) -> tuple[float, float]:
    """95% interval of one share less another, each with its own interval; NaNs of nothing.

    Newcombe 1998, Stat Med 17:873, method 10 (hybrid score). It takes them for independent:
    of shared instances, which mostly succeed and fail together, it is rather too long.
    """
    p, q = one.rate, other.rate
    if p is None or q is None:
        return math.nan, math.nan
    low = p - q - math.hypot(p - one.low, other.high - q)
    return low, p - q + math.hypot(one.high - p, q - other.low)


def sign_test(gaps: Floats, clusters: Sequence[str]) -> float:
    """Exact two-sided p that the gaps (n,) of each cluster, summed, are as often up as down.

    Of 0/1 outcomes, one pair a cluster, that is McNemar's test; 1 where none is up or down.
    """
    _, place = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(place, weights=gaps)
    return even(int((sums > 0).sum()), int((sums < 0).sum()))


def even(ups: int, downs: int) -> float:
    """Exact two-sided p that ups are as likely as downs; 1 with none of either."""
    return float(stats.binomtest(ups, ups + downs, 0.5).pvalue) if ups + downs else 1.0


def poisson_binomial_test(right: int, odds: Sequence[float]) -> float:
    """Exact two-sided p that a blind choice is right so often: twice the smaller tail.

    ``odds`` (n,) is the share of right candidates of each instance; the number right of a choice
    that knows nothing is Poisson-binomial.
    """
    chances = np.ones(1)
    for odd in odds:
        chances = np.convolve(chances, [1 - odd, odd])
    return min(1.0, 2 * float(min(chances[: right + 1].sum(), chances[right:].sum())))


def holm(values: Sequence[float]) -> NDArray[np.float64]:
    """p-values adjusted for their number (Holm 1979), in the order given."""
    p = np.asarray(values, dtype=float)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    out = np.empty_like(p)
    out[order] = np.minimum(1.0, raised)
    return out
