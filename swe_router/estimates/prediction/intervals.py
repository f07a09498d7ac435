"""What each tier may be expected to do on one issue, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swe_router.estimates.prediction.estimators import by_numbers, cost
from swe_router.estimates.prediction.training import Training
from swe_router.records import Features
from swe_router.stats.arrays import Floats


@dataclass(frozen=True)
class ExpectedOutcome:
    """One tier on one issue."""

    arm: str
    p: float
    """P(resolved)."""
    p_low: float
    p_high: float
    """90% of bootstrap fits lie between."""
    usd: float
    """Expected USD of a run."""
    usd_low: float
    usd_high: float
    """80% of the past runs lie between, each against what the fit says of its issue."""
    n: int
    """Past issues with a run of the tier."""


def expected(training: Training, features: Features, fits: int = 40) -> list[ExpectedOutcome]:
    """One estimate an arm: logistic P(resolved), log-linear USD. Raises ``UsageError``.

    The bootstrap draws whole issues; a draw that lost a tier is made again.
    """
    chance = by_numbers(training)([features])[0]
    low, high = np.quantile(_bootstrap(training, features, fits), (0.05, 0.95), axis=0)
    price = cost(training)([features])[0]
    ratio = training.usd / cost(training)(training.features)
    made = []
    for n, arm in enumerate(training.arms):
        cheap, dear = np.nanquantile(ratio[:, n], (0.1, 0.9))
        p = float(chance[n])
        made.append(
            ExpectedOutcome(
                arm, p, min(float(low[n]), p), max(float(high[n]), p),
                float(price[n]), float(price[n] * cheap), float(price[n] * dear),
                int((~np.isnan(training.resolved[:, n])).sum()),
            )
        )  # fmt: skip
    return made


def _bootstrap(training: Training, features: Features, fits: int) -> Floats:
    draws, drawn = [], np.random.default_rng(0)
    for _ in range(10 * fits):
        rows = drawn.integers(0, len(training), len(training))
        if np.isnan(training.resolved[rows]).all(axis=0).any():
            continue
        again = Training(tuple(training.examples[row] for row in rows), training.arms)
        draws.append(by_numbers(again)([features])[0])
        if len(draws) == fits:
            break
    return np.array(draws)
