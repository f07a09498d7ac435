"""Cascade routing (arXiv 2410.10347): after every run, ask again which run is worth its price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.stats import norm

from swe_router.estimates.recipes import by_numbers, cost
from swe_router.estimates.scorer import scorer
from swe_router.estimates.training import Floats, Training
from swe_router.policies.base import (
    Knobs,
    affordable,
    fault_of,
    hopeless_box,
    repeats,
    rung_of,
    weather,
)
from swe_router.policies.learned import Learned
from swe_router.records import Features, Outcome, PurseView, RouteDecision, Stop, Try


class CascadeRoutingKnobs(Knobs):
    """Knobs of ``cascade-routing``."""

    value: float = Field(default=2.0, gt=0)
    """USD that a resolved issue is worth: 1 / lambda of the paper."""
    spread: float = Field(default=0.15, ge=0)
    """Standard deviation of the error of a predicted quality."""


def expected_gain(held: float, mean: Floats, spread: float) -> Floats:
    """E[max(held, Q)] - held for Q ~ N(mean, spread^2): what one more candidate adds."""
    if spread <= 0:
        return np.maximum(mean - held, 0.0)
    z = (mean - held) / spread
    gain: Floats = (mean - held) * norm.cdf(z) + spread * norm.pdf(z)
    return gain


class CascadeRouting(Learned[CascadeRoutingKnobs]):
    """The next tier is the one with the highest value * E[gain in the best quality] - cost.

    The quality that is held is P(right) of the best patch so far given what its run left. The
    paper searches sets of models by Monte Carlo; one model a step is its greedy case.
    """

    name: ClassVar[str] = "cascade-routing"
    source: ClassVar[str] = "Cascade routing (arXiv 2410.10347, ICML 2025), section 4"
    surrogate: ClassVar[str] = "one model a step for sets of models; logistic quality"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = CascadeRoutingKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"value": value} for value in (0.3, 0.6, 1.0, 5.0, 20.0)
    )

    def learn(self, lessons: Training) -> None:
        """Fit quality, cost and the scorer of runs."""
        by_numbers(lessons)
        cost(lessons)
        scorer(lessons)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Quality, then cost: (n, 2 m)."""
        return np.hstack([by_numbers(lessons)(batch), cost(lessons)(batch)])

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: PurseView
    ) -> RouteDecision:
        """The run that is worth the most beyond its price, or none."""
        if history and hopeless_box(history[-1]):
            return Stop(why=f"{fault_of(history[-1])}: every tier would meet the same sandbox")
        quality, usd = np.split(self.seen(features), 2)
        known = [o for o in history if not weather(o) and o.candidate and o.candidate.patch]
        held = max((scorer(self.lessons).seen(o) for o in known), default=0.0)
        tried = {rung_of(self.ladder, outcome) for outcome in history}
        gains = self.knobs.value * expected_gain(held, quality, self.knobs.spread) - usd
        for rung in np.argsort(-gains, kind="stable").tolist():
            plan = self.ladder[rung]
            worth = gains[rung] > 0 or not history
            if rung in tried or not worth:
                continue
            count = affordable(plan, self.knobs.candidates, purse.left)
            if count > 0:
                said = f"held {held:.2f}, {plan.arm} adds ${gains[rung]:.2f} beyond its price"
                return Try(plans=repeats(plan, count, self.knobs.seed), why=f"{said}: try it")
        return Stop(why=f"held {held:.2f}: no run that can be paid for is worth its price")
