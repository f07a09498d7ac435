"""Probabilities made no bolder than held-out results bear out (Platt scaling, 1999).

Weights near their priors can order patches rightly and still be far too sure of themselves. The log
odds of a class of authors are therefore shrunk towards what its held-out scores came to. Evidence
that no graded patch had yet, such as a test written from the issue, keeps the weight of its prior:
nothing was measured of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from swe_router.estimates.acceptance import verdict_signals
from swe_router.estimates.acceptance.calibration import SignalWeights
from swe_router.estimates.acceptance.selective_threshold import HeldOutPatch
from swe_router.lazy_imports import deferred_module
from swe_router.stats.logistic import SignedPrior, fit_logistic

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred_module("numpy")

SLOPE_PRIOR = SignedPrior("slope", +1, prior=1.0, strength=4.0)
"""Taken at their word until about as many issues speak against it."""
MIN_SLOPE = 0.2
"""Under it hardly an order would be left, which is worth more than the probability."""
FACTS = frozenset({"refused"})
"""Signals that are no matter of degree."""


def fit_recalibration(held: Sequence[HeldOutPatch]) -> tuple[float, float]:
    """Bias and slope (``MIN_SLOPE`` to 1) of the log odds of one class; (0, 1) without rows.

    Five patches of one issue are no five witnesses: an issue's patches share its weight.
    """
    if not held:
        return 0.0, 1.0
    of_issue = Counter(one.instance_id for one in held)
    odds = np.array([[verdict_signals.log_odds(one.score)] for one in held])
    right = np.array([float(one.right) for one in held])
    weight = np.array([of_issue[one.instance_id] ** -0.5 for one in held])
    bias, slope = fit_logistic(odds, right, weight, [SLOPE_PRIOR])
    return round(bias, 4), round(float(np.clip(slope[0], MIN_SLOPE, 1.0)), 4)


def recalibrate(
    weights: SignalWeights, by: tuple[float, float], seen: Collection[str]
) -> SignalWeights:
    """The weights with bias and slope ``by`` on all that was ``seen`` with graded patches."""
    bias, slope = by
    scaled = {
        name: round(weight * slope, 4) if name in seen and name not in FACTS else weight
        for name, weight in weights.weights.items()
    }
    return SignalWeights(bias=round(bias + slope * weights.bias, 4), weights=scaled)
