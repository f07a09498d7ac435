"""How many instances will be escalated and for how much, before anything is run or spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred

if TYPE_CHECKING:
    import numpy as np
    from scipy import stats
else:
    np = deferred("numpy")
    stats = deferred("scipy.stats")

LEVEL = (0.05, 0.95)
"""Of the binomials: 90% of draws lie between, at the ends of the intervals of the rates."""


@dataclass(frozen=True)
class OpenInstance:
    """Instances whose candidates are still to be verified, alike in what is known of them."""

    count: int
    accepted: float
    """Probability that one of the instance's candidates is accepted."""
    low: float
    high: float
    """Interval of that probability."""


def any_of(rates: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """That one of an instance's candidates is accepted, each with its rate and interval.

    Taken to stand or fall together, but for the upper end: there as if they were independent. What
    they truly are lies between the two.
    """
    middle, low, high = zip(*rates, strict=True)
    return max(middle), max(low), 1 - math.prod(1 - one for one in high)


@dataclass(frozen=True)
class EscalationStep:
    """One tier of the ladder that escalated instances climb."""

    tier: str
    usd: float
    """Expected USD of an attempt."""
    most: float
    """Its dollar limit."""
    accepted: float
    """Probability that the verifiers accept what it makes."""
    least: float = 0.0
    """USD that an attempt hardly ever costs less than; 0 where nothing tells."""
    asked: float = 0.0
    """Most that the verifiers' own calls on what it makes may cost, USD."""


@dataclass(frozen=True)
class Range:
    """An expectation and its interval."""

    expected: float
    low: float
    high: float


def escalations(certain: int, still_open: Sequence[OpenInstance]) -> Range:
    """Instances to be escalated: the ``certain`` ones and a binomial share of the others.

    The interval takes every rate at one end of its own interval and the quantile of the sum of the
    binomials there: wider than 90%.
    """
    expected = certain + math.fsum(group.count * (1 - group.accepted) for group in still_open)
    low = _quantile(LEVEL[0], [(group.count, 1 - group.high) for group in still_open])
    high = _quantile(LEVEL[1], [(group.count, 1 - group.low) for group in still_open])
    return Range(expected, float(certain + low), float(certain + high))


def _quantile(level: float, parts: Sequence[tuple[int, float]]) -> int:
    """Of the sum of independent binomials (n, p), by convolution."""
    mass = np.ones(1)
    for count, rate in parts:
        mass = np.convolve(mass, stats.binom.pmf(np.arange(count + 1), count, rate))
    # Half a part in 10^9 of rounding must not reach the next number.
    return int(np.searchsorted(np.cumsum(mass), level * (1 - 1e-9)))


def of_one(ladder: Sequence[EscalationStep]) -> Range:
    """USD of one escalated instance that climbs the ladder until a patch is accepted.

    At least the cheapest tier's cheapest attempt, since a policy may begin anywhere and leave out
    candidates; at most every tier's limit and what verifiers may ask.
    """
    usd, reached = 0.0, 1.0
    for rung in ladder:
        usd += reached * min(rung.usd, rung.most)
        reached *= 1 - rung.accepted
    least = min((min(rung.least, rung.most) for rung in ladder), default=0.0)
    return Range(usd, min(least, usd), math.fsum(rung.most + rung.asked for rung in ladder))


def bill(escalated: Range, one: Range, budget: float, asked: float = 0.0) -> Range:
    """USD of all escalations, never over the budget.

    ``asked``: most that the verifiers' own calls on the candidates may cost, of which nothing
    tells what they usually do.
    """
    return Range(
        min(budget, escalated.expected * one.expected),
        min(budget, escalated.low * one.low),
        min(budget, escalated.high * one.high + asked),
    )
