"""How many instances will be escalated and for how much, before anything is run or spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binom

LEVEL = (0.05, 0.95)
"""Of the binomial: 90% of draws lie between, at the ends of the interval of the rate itself."""


@dataclass(frozen=True)
class Open:
    """Instances whose candidates are still to be verified, alike in what is known of them."""

    count: int
    accepted: float
    """Probability that the instance's candidate is accepted."""
    low: float
    high: float
    """Interval of that probability."""


@dataclass(frozen=True)
class Rung:
    """One tier of the ladder that escalated instances climb."""

    tier: str
    usd: float
    """Expected USD of an attempt."""
    most: float
    """Its dollar limit."""
    accepted: float
    """Probability that the verifiers accept what it makes."""


@dataclass(frozen=True)
class Range:
    """An expectation and its interval."""

    expected: float
    low: float
    high: float


def escalations(certain: int, still_open: Sequence[Open]) -> Range:
    """Instances to be escalated: the ``certain`` ones and a binomial share of the others.

    The interval takes the rate at each end of its own interval and the binomial's quantile there,
    group by group: wider than 90%, never narrower.
    """
    low = high = expected = float(certain)
    for group in still_open:
        expected += group.count * (1 - group.accepted)
        low += binom.ppf(LEVEL[0], group.count, 1 - group.high)
        high += binom.ppf(LEVEL[1], group.count, 1 - group.low)
    return Range(expected, max(float(certain), float(low)), float(high))


def of_one(ladder: Sequence[Rung]) -> Range:
    """USD of one escalated instance that climbs the ladder until a patch is accepted.

    At least the first tier's expected attempt; at most every tier's limit.
    """
    usd, reached = 0.0, 1.0
    for rung in ladder:
        usd += reached * min(rung.usd, rung.most)
        reached *= 1 - rung.accepted
    first = min(ladder[0].usd, ladder[0].most) if ladder else 0.0
    return Range(usd, min(first, usd), math.fsum(rung.most for rung in ladder))


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
