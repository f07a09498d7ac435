"""Expected quality and cost of each tier on one issue, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swe_router.estimates.prediction.estimators import expected_cost, quality_by_features
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
    """80% of past runs lie between, relative to the cost fitted for their issue."""
    n: int
    """Past issues with a run of the tier."""


def expected_outcomes(
    training: Training, features: Features, fits: int = 40
) -> list[ExpectedOutcome]:
    """One estimate per arm: logistic P(resolved), log-linear USD. Raises ``UsageError``.

    The bootstrap resamples issues; a resample without any run of a tier is drawn again.
    """
    chance = quality_by_features(training)([features])[0]
    low, high = np.quantile(_bootstrap_qualities(training, features, fits), (0.05, 0.95), axis=0)
    price = expected_cost(training)([features])[0]
    ratio = training.usd / expected_cost(training)(training.features)
    made = []
    for n, arm in enumerate(training.arms):
        low_ratio, high_ratio = np.nanquantile(ratio[:, n], (0.1, 0.9))
        p = float(chance[n])
        made.append(
            ExpectedOutcome(
                arm, p, min(float(low[n]), p), max(float(high[n]), p),
                float(price[n]), float(price[n] * low_ratio), float(price[n] * high_ratio),
                int((~np.isnan(training.resolved[:, n])).sum()),
            )
        )  # fmt: skip
    return made


def _bootstrap_qualities(training: Training, features: Features, fits: int) -> Floats:
    draws, drawn = [], np.random.default_rng(0)
    for _ in range(10 * fits):
        rows = drawn.integers(0, len(training), len(training))
        if np.isnan(training.resolved[rows]).all(axis=0).any():
            continue
        again = Training(tuple(training.examples[row] for row in rows), training.arms)
        draws.append(quality_by_features(again)([features])[0])
        if len(draws) == fits:
            break
    return np.array(draws)
