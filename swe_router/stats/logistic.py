"""Logistic regression whose weights keep their stated signs and stay near stated priors.

Minimises the log loss plus ``strength_j / 2 * (w_j - prior_j)^2`` under the sign bounds, that is
the posterior mode under a Gaussian prior cut at 0: without rows the result is the prior,
and no data can turn a failed test into a positive signal. The search is Newton's, projected on the
bounds (Bertsekas 1982): the loss is convex, so the minimum is unique.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from swe_router.lazy_imports import deferred_module
from swe_router.stats.arrays import Floats

if TYPE_CHECKING:
    import numpy as np

else:
    np = deferred_module("numpy")

BIAS_STRENGTH = 1.0
"""Strength of the bias's own prior: about that of four rows."""


MAX_STEPS = 200
TOLERANCE = 1e-10
"""Step of a weight below which the search ends."""


class SignedPrior(NamedTuple):
    """Sign and prior of one weight."""

    name: str
    way: int
    """+1: never below 0; -1: never above 0; 0: free."""
    prior: float = 0.0
    strength: float = 10.0
    """Inverse variance of the prior."""


def fit_logistic(
    x: Floats,
    right: Floats,
    weight: Floats,
    signs: Sequence[SignedPrior],
    bias: float = 0.0,
    bias_strength: float = BIAS_STRENGTH,
) -> tuple[float, Floats]:
    """Bias and weights (k,) for rows ``x`` (n, k), labels ``right`` (n,) and row weights (n,)."""
    prior = np.array([bias, *(sign.prior for sign in signs)])
    strength = np.array([bias_strength, *(sign.strength for sign in signs)])
    low = np.array([-np.inf, *(0.0 if sign.way > 0 else -np.inf for sign in signs)])
    high = np.array([np.inf, *(0.0 if sign.way < 0 else np.inf for sign in signs)])
    table = np.column_stack([np.ones(len(right)), x.reshape(len(right), len(signs))])

    def loss(w: Floats) -> tuple[float, Floats]:
        z = table @ w
        gap = w - prior
        value = weight @ (np.logaddexp(0, z) - right * z) + 0.5 * float(strength @ gap**2)
        slope = table.T @ (weight * (sigmoid(z) - right)) + strength * gap
        return float(value), slope

    best = np.clip(prior, low, high)
    for _ in range(MAX_STEPS if len(right) else 0):
        value, slope = loss(best)
        chance = sigmoid(table @ best)
        # What stands at its bound and would cross it stays there for this step.
        free = ~(((best <= low) & (slope > 0)) | ((best >= high) & (slope < 0)))
        curve = (table * (weight * chance * (1 - chance))[:, None]).T @ table + np.diag(strength)
        step = np.zeros_like(best)
        step[free] = np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        moved = np.clip(best - step, low, high)
        blur = 1e-12 * abs(value)  # under which a loss is not known
        while loss(moved)[0] > value + blur - 1e-4 * float(slope @ (best - moved)) and step.any():
            step = np.where(np.abs(step) > TOLERANCE, step / 2, 0.0)
            moved = np.clip(best - step, low, high)
        best, way = moved, np.abs(moved - best).max()
        if way < TOLERANCE:
            break
    return float(best[0]), np.asarray(best[1:], dtype=float)


def logistic_function(z: float) -> float:
    """1 / (1 + exp(-z)) of one number."""
    return 0.5 * (1 + math.tanh(0.5 * z))


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow."""
    found: Floats = 0.5 * (1 + np.tanh(0.5 * np.asarray(z, dtype=float)))
    return found
