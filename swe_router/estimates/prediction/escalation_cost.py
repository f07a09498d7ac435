"""Expected number and cost of escalations, before anything is run or spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import numpy as np
    from scipy import stats
else:
    np = deferred_module("numpy")
    stats = deferred_module("scipy.stats")

QUANTILES = (0.05, 0.95)
"""Quantiles of the binomials, each taken at an end of its rate's interval."""


@dataclass(frozen=True)
class UnverifiedInstances:
    """A group of instances with unverified candidates and one acceptance probability."""

    count: int
    accepted: float
    """Probability that one of the instance's candidates is accepted."""
    low: float
    high: float
    """Interval of that probability."""


def any_accepted(rates: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Probability and interval that some candidate of an instance is accepted, from their rates.

    Expectation and lower end: candidates are fully correlated. Upper end: independent.
    """
    middle, low, high = zip(*rates, strict=True)
    return max(middle), max(low), 1 - math.prod(1 - one for one in high)


@dataclass(frozen=True)
class EscalationStep:
    """One tier of the ladder above the imported candidates."""

    tier: str
    usd: float
    """Expected USD of an attempt."""
    max_usd: float
    """Dollar limit of an attempt."""
    accepted: float
    """Probability that the verifiers accept its patch."""
    min_usd: float = 0.0
    """USD that an attempt rarely costs less than; 0 if unknown."""
    max_verifier_usd: float = 0.0
    """Maximum USD of the verifiers' own calls on its patch."""


@dataclass(frozen=True)
class ExpectedRange:
    """An expectation and its interval."""

    expected: float
    low: float
    high: float


def expected_escalations(certain: int, unverified: Sequence[UnverifiedInstances]) -> ExpectedRange:
    """Instances to be escalated: the ``certain`` ones plus a binomial share of the others.

    An end of the interval is the quantile of the sum of binomials with every rate at that end of
    its own interval: wider than 90%.
    """
    expected = certain + math.fsum(group.count * (1 - group.accepted) for group in unverified)
    low = _quantile(QUANTILES[0], [(group.count, 1 - group.high) for group in unverified])
    high = _quantile(QUANTILES[1], [(group.count, 1 - group.low) for group in unverified])
    return ExpectedRange(expected, float(certain + low), float(certain + high))


def _quantile(level: float, parts: Sequence[tuple[int, float]]) -> int:
    """Quantile of the sum of independent binomials (n, p), by convolution."""
    mass = np.ones(1)
    for count, rate in parts:
        mass = np.convolve(mass, stats.binom.pmf(np.arange(count + 1), count, rate))
    # A rounding error must not move the quantile to the next number.
    return int(np.searchsorted(np.cumsum(mass), level * (1 - 1e-9)))


def cost_per_escalation(ladder: Sequence[EscalationStep]) -> ExpectedRange:
    """USD of one escalated instance, climbing the ladder until a patch is accepted.

    Low end: the cheapest attempt of the cheapest tier, since a policy may start at any tier. High
    end: every tier's limit plus the verifiers' own calls.
    """
    usd, reached = 0.0, 1.0
    for rung in ladder:
        usd += reached * min(rung.usd, rung.max_usd)
        reached *= 1 - rung.accepted
    lowest = min((min(rung.min_usd, rung.max_usd) for rung in ladder), default=0.0)
    return ExpectedRange(
        usd, min(lowest, usd), math.fsum(rung.max_usd + rung.max_verifier_usd for rung in ladder)
    )


def total_escalation_cost(
    escalated: ExpectedRange, one: ExpectedRange, budget: float, max_verifier_usd: float = 0.0
) -> ExpectedRange:
    """USD of all escalations, capped at the budget.

    ``max_verifier_usd``: maximum of the verifiers' own calls on the imported candidates; it
    enters the high end only, since their usual cost is unknown.
    """
    return ExpectedRange(
        min(budget, escalated.expected * one.expected),
        min(budget, escalated.low * one.low),
        min(budget, escalated.high * one.high + max_verifier_usd),
    )
