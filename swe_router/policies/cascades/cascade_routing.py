"""Cascade routing (arXiv 2410.10347): after every run, ask which runs are worth their price."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.stats import norm, qmc

from swe_router.estimates.prediction.estimators import by_numbers, cost
from swe_router.estimates.prediction.run_scorer import scorer
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import (
    Knobs,
    affordable,
    fault_of,
    is_infra_failure,
    repeats,
    rung_of,
    sandbox_is_permanently_broken,
)
from swe_router.policies.escalation_order import Escalation, handed
from swe_router.policies.learned import Learned
from swe_router.records import BudgetView, Features, Outcome, RouteDecision, Stop, Try
from swe_router.stats.arrays import Floats

DRAWS = 256
MAX_COUNT = 6
"""Tiers whose sets are all looked at; of a longer ladder, the best of each by itself."""


class CascadeRoutingKnobs(Escalation):
    """Knobs of ``cascade-routing``."""

    value: float = Field(default=2.0, gt=0)
    """USD that a resolved issue is worth: 1 / lambda of the paper."""
    spread: float = Field(default=0.15, ge=0)
    """Standard deviation of the error of a predicted quality."""


@lru_cache(maxsize=8)
def _normal(dimensions: int) -> Floats:
    """(dimensions, DRAWS) standard normal numbers from a Sobol sequence, as the paper draws."""
    points = qmc.Sobol(dimensions, seed=0).random(DRAWS)
    out: Floats = norm.ppf(np.clip(points, 1e-6, 1 - 1e-6)).T
    return out


def best_of(held: float, mean: Floats, spread: float) -> Floats:
    """E[max(held, Q_i for i in S)] for every set S of the models, indexed by its bits.

    Q_i ~ N(mean_i, spread^2), independent; by Monte Carlo over a fixed Sobol sequence.
    """
    drawn = mean[:, None] + spread * _normal(max(1, len(mean)))[: len(mean)]
    tops = np.empty((1 << len(mean), DRAWS))
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
    gain = value * (best_of(held, mean, spread) - held)
    price = np.zeros(1)
    for one in usd:
        price = np.concatenate([price, price + one])
    bits = int(np.argmax(gain - price))
    return [n for n in range(len(mean)) if bits >> n & 1], float((gain - price)[bits])


class CascadeRouting(Learned[CascadeRoutingKnobs]):
    """The best set of tiers by value * E[gain in the best quality] - cost; its cheapest runs next.

    The quality that is held is P(right) of the best patch so far given what its run left. What a
    run came to corrects the other tiers: P(j resolves) times P(j | i) / P(j) of the past issues.
    """

    name: ClassVar[str] = "cascade-routing"
    source: ClassVar[str] = "Cascade routing (arXiv 2410.10347, ICML 2025), section 4"
    surrogate: ClassVar[str] = "logistic quality and log-linear cost for the paper's estimators"
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
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> RouteDecision:
        """The cheapest run of the set that is worth the most beyond its price, or none."""
        if history and sandbox_is_permanently_broken(history[-1]):
            return Stop(why=f"{fault_of(history[-1])}: every tier would meet the same sandbox")
        quality, usd = np.split(self.seen(features), 2)
        held = 0.0
        for outcome in history:
            score = 0.0 if is_infra_failure(outcome) else scorer(self.lessons).seen(outcome)
            if not is_infra_failure(outcome):
                quality = self.corrected(quality, rung_of(self.ladder, outcome), score)
            held = max(held, score)
        tried = {rung_of(self.ladder, outcome) for outcome in history}
        counts = [affordable(p, self.knobs.candidates, purse.left) for p in self.ladder]
        open_ = [r for r, count in enumerate(counts) if count > 0 and r not in tried]
        open_ = sorted(open_, key=lambda r: usd[r] - self.knobs.value * quality[r])[:MAX_COUNT]
        value, spread = self.knobs.value, self.knobs.spread
        chosen, gain = best_set(held, quality[open_], usd[open_], value, spread)
        if not chosen and (history or not open_):
            return Stop(why=f"held {held:.2f}: no run that can be paid for is worth its price")
        rungs = [open_[n] for n in chosen] or open_[:1]
        rung = min(rungs, key=lambda r: (usd[r], r))
        plan = self.ladder[rung]
        names = " and ".join(str(self.ladder[r].arm) for r in sorted(rungs))
        said = f"held {held:.2f}, {names} add ${gain:.2f} beyond their price: try {plan.arm}"
        plans = repeats(plan, counts[rung], self.knobs.seed)
        return Try(plans=handed(plans, self.knobs.handover, history), why=said)

    def corrected(self, quality: Floats, rung: int, right: float) -> Floats:
        """Qualities given that a run of ``rung`` is right with probability ``right``."""
        if rung < 0:
            return quality
        both, base = self.lessons.fit(("given each other",), _joint)
        prior = base[rung]
        given = right * both[rung] / prior + (1 - right) * (base - both[rung]) / (1 - prior)
        out: Floats = np.clip(quality * given / base, 0.0, 1.0)
        return out

    def choose_among(self, features: Features, history: Sequence[Outcome]) -> int:
        """Index of the candidate whose quality is held; the later of equals."""
        scores = [scorer(self.lessons).seen(outcome) for outcome in history]
        return max(range(len(scores)), key=lambda n: (scores[n], n))


def _joint(known: Training) -> tuple[Floats, Floats]:
    """P(both resolve) of each pair and P(each), one issue of each kind added."""
    size = len(known.arms)
    base = (known.rates.sum(axis=0) + 0.5) / (len(known) + 1)
    both = np.outer(base, base)
    np.fill_diagonal(both, base)
    for i, j in itertools.permutations(range(size), 2):
        shared = known.rates[:, i] @ known.rates[:, j]
        both[i, j] = (shared + both[i, j]) / (len(known) + 1)
    return both, base
