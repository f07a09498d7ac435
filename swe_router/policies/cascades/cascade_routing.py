"""Cascade routing (arXiv 2410.10347): after every run, decide which runs are worth their price."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.stats import norm, qmc

from swe_router.estimates.prediction.estimators import expected_cost, quality_by_features
from swe_router.estimates.prediction.run_scorer import run_scorer
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import (
    Knobs,
    affordable_attempts,
    is_infra_failure,
    rung_of,
    seeded_repeats,
    why_sandbox_ends,
)
from swe_router.policies.escalation_order import EscalationKnobs, with_handover
from swe_router.policies.learned import LearnedPolicy
from swe_router.records import BudgetView, Features, Outcome, RouteDecision, Stop, Try
from swe_router.stats.arrays import Floats

SOBOL_DRAWS = 256
MAX_TIERS = 6
"""Tiers whose subsets are all evaluated; a longer ladder is cut to its best single tiers."""


class CascadeRoutingKnobs(EscalationKnobs):
    """Knobs of ``cascade-routing``."""

    value: float = Field(default=2.0, gt=0)
    """USD that a resolved issue is worth: 1 / lambda of the paper."""
    spread: float = Field(default=0.15, ge=0)
    """Standard deviation of the error of a predicted quality."""


@lru_cache(maxsize=8)
def _sobol_normal(dimensions: int) -> Floats:
    """(dimensions, DRAWS) standard normal numbers from a Sobol sequence, as in the paper."""
    points = qmc.Sobol(dimensions, seed=0).random(SOBOL_DRAWS)
    out: Floats = norm.ppf(np.clip(points, 1e-6, 1 - 1e-6)).T
    return out


def expected_best_quality(held: float, mean: Floats, spread: float) -> Floats:
    """E[max(held, Q_i for i in S)] for every set S of the models, indexed by its bits.

    Q_i ~ N(mean_i, spread^2), independent; by Monte Carlo over a fixed Sobol sequence.
    """
    drawn = mean[:, None] + spread * _sobol_normal(max(1, len(mean)))[: len(mean)]
    tops = np.empty((1 << len(mean), SOBOL_DRAWS))
    tops[0] = held
    for place in range(len(mean)):
        size = 1 << place
        np.maximum(tops[:size], drawn[place], out=tops[size : 2 * size])
    out: Floats = tops.mean(axis=1)
    return out


def best_set(
    held: float, mean: Floats, usd: Floats, value: float, spread: float
) -> tuple[list[int], float]:
    """The set with the highest value * (E[max] - held) - cost, and that sum; may be empty."""
    gain = value * (expected_best_quality(held, mean, spread) - held)
    price = np.zeros(1)
    for one in usd:
        price = np.concatenate([price, price + one])
    bits = int(np.argmax(gain - price))
    return [n for n in range(len(mean)) if bits >> n & 1], float((gain - price)[bits])


class CascadeRouting(LearnedPolicy[CascadeRoutingKnobs]):
    """The best set of tiers by value * E[gain in the best quality] - cost; its cheapest runs next.

    ``held`` is P(right) of the best patch so far, given its run. The result of a run corrects the
    other tiers: P(j resolves) times P(j | i) / P(j) of the past issues.
    """

    name: ClassVar[str] = "cascade-routing"
    source: ClassVar[str] = "Cascade routing (arXiv 2410.10347, ICML 2025), section 4"
    surrogate: ClassVar[str] = "logistic quality and log-linear cost for the paper's estimators"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = CascadeRoutingKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"value": value} for value in (0.3, 0.6, 1.0, 5.0, 20.0)
    )

    def learn(self, training: Training) -> None:
        """Fit quality, cost and the scorer of runs."""
        quality_by_features(training)
        expected_cost(training)
        run_scorer(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Quality, then cost: (n, 2 m)."""
        return np.hstack([quality_by_features(training)(batch), expected_cost(training)(batch)])

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The cheapest run of the set with the highest net value, or none."""
        if ended := why_sandbox_ends(history):
            return Stop(why=ended)
        quality, usd = np.split(self.prediction(features), 2)
        held = 0.0
        for outcome in history:
            score = 0.0 if is_infra_failure(outcome) else run_scorer(self.training).score(outcome)
            if not is_infra_failure(outcome):
                quality = self.corrected_quality(quality, rung_of(self.ladder, outcome), score)
            held = max(held, score)
        tried = {rung_of(self.ladder, outcome) for outcome in history}
        counts = [affordable_attempts(p, self.knobs.candidates, budget.left) for p in self.ladder]
        untried = [r for r, count in enumerate(counts) if count > 0 and r not in tried]
        untried = sorted(untried, key=lambda r: usd[r] - self.knobs.value * quality[r])[:MAX_TIERS]
        value, spread = self.knobs.value, self.knobs.spread
        chosen, gain = best_set(held, quality[untried], usd[untried], value, spread)
        if not chosen and (history or not untried):
            return Stop(why=f"held {held:.2f}: no run that can be paid for is worth its price")
        rungs = [untried[n] for n in chosen] or untried[:1]
        rung = min(rungs, key=lambda r: (usd[r], r))
        plan = self.ladder[rung]
        names = " and ".join(str(self.ladder[r].arm) for r in sorted(rungs))
        why = f"held {held:.2f}, {names} add ${gain:.2f} beyond their price: try {plan.arm}"
        plans = seeded_repeats(plan, counts[rung], self.knobs.seed)
        return Try(plans=with_handover(plans, self.knobs.handover, history), why=why)

    def corrected_quality(self, quality: Floats, rung: int, right: float) -> Floats:
        """Qualities given that a run of ``rung`` is right with probability ``right``."""
        if rung < 0:
            return quality
        both, base = self.training.fit(("given each other",), _joint_rates)
        prior = base[rung]
        given = right * both[rung] / prior + (1 - right) * (base - both[rung]) / (1 - prior)
        out: Floats = np.clip(quality * given / base, 0.0, 1.0)
        return out

    def choose_among(self, features: Features, history: Sequence[Outcome]) -> int:
        """Index of the candidate with the highest quality; the later of equals."""
        scores = [run_scorer(self.training).score(outcome) for outcome in history]
        return max(range(len(scores)), key=lambda n: (scores[n], n))


def _joint_rates(known: Training) -> tuple[Floats, Floats]:
    """P(both resolve) of each pair and P(each), with one pseudo-issue of each kind."""
    size = len(known.arms)
    base = (known.rates.sum(axis=0) + 0.5) / (len(known) + 1)
    both = np.outer(base, base)
    np.fill_diagonal(both, base)
    for i, j in itertools.permutations(range(size), 2):
        shared = known.rates[:, i] @ known.rates[:, j]
        both[i, j] = (shared + both[i, j]) / (len(known) + 1)
    return both, base
