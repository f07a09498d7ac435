"""Logistic regression whose weights keep their stated signs and stay near stated priors.

Minimises the log loss plus ``strength_j / 2 * (w_j - prior_j)^2`` under the sign bounds, that is
the posterior mode under a Gaussian prior cut at 0: with no rows the answer is the prior itself,
and no amount of odd rows turns a failed test into praise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from swe_router.lazy_imports import deferred
from swe_router.stats.arrays import Floats

if TYPE_CHECKING:
    import numpy as np
    from scipy import optimize

else:
    np = deferred("numpy")
    optimize = deferred("scipy.optimize")

BIAS_STRENGTH = 1.0
"""Strength of the bias's own prior: about that of four rows."""


class Sign(NamedTuple):
    """What is known of a weight before any row."""

    name: str
    way: int
    """+1: never below 0; -1: never above 0; 0: free."""
    prior: float = 0.0
    strength: float = 10.0
    """Inverse variance of the prior."""


def fitted(
    x: Floats,
    right: Floats,
    weight: Floats,
    signs: Sequence[Sign],
    bias: float = 0.0,
    bias_strength: float = BIAS_STRENGTH,
) -> tuple[float, Floats]:
    """Bias and weights (k,) for rows ``x`` (n, k), labels ``right`` (n,) and row weights (n,)."""
    prior = np.array([bias, *(sign.prior for sign in signs)])
    strength = np.array([bias_strength, *(sign.strength for sign in signs)])
    bounds = [(None, None), *(_bounds(sign.way) for sign in signs)]
    table = np.column_stack([np.ones(len(right)), x.reshape(len(right), len(signs))])

    def loss(w: Floats) -> tuple[float, Floats]:
        z = table @ w
        gap = w - prior
        value = weight @ (np.logaddexp(0, z) - right * z) + 0.5 * float(strength @ gap**2)
        slope = table.T @ (weight * (sigmoid(z) - right)) + strength * gap
        return float(value), slope

    start = np.array([
        np.clip(p, -np.inf if low is None else low, np.inf if high is None else high)
        for p, (low, high) in zip(prior, bounds, strict=True)
    ])  # fmt: skip
    if len(right):
        options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8}
        start = optimize.minimize(
            loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options
        ).x
    return float(start[0]), np.asarray(start[1:], dtype=float)


def logistic(z: float) -> float:
    """1 / (1 + exp(-z)) of one number."""
    return 0.5 * (1 + math.tanh(0.5 * z))


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow."""
    found: Floats = 0.5 * (1 + np.tanh(0.5 * np.asarray(z, dtype=float)))
    return found


def _bounds(way: int) -> tuple[float | None, float | None]:
    return (0.0 if way > 0 else None, 0.0 if way < 0 else None)
