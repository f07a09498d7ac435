"""Best of k: several candidates in parallel; the selector picks one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.run_scorer import run_scorer
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable_attempts,
    fault_of,
    money_left,
    plan_of_tier,
    seeded_repeats,
)
from swe_router.policies.learned import LearnedPolicy
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try
from swe_router.stats.arrays import Floats


class BestOfKnobs(Knobs):
    """Knobs of ``best-of-k``."""

    k: int = Field(default=3, gt=0)
    """Runs of one tier; a leaderboard needs that many recorded repeats."""
    tier: str = ""
    """Tier to run; empty: the cheapest."""


class BestOf(LadderPolicy[BestOfKnobs]):
    """k independent runs of one tier; the selector takes the best."""

    name: ClassVar[str] = "best-of-k"
    source: ClassVar[str] = "CodeMonkeys (arXiv 2501.14723), R2E-Gym (arXiv 2504.07164)"
    maturity: ClassVar[str] = "stable"
    knobs_type: ClassVar[type[Knobs]] = BestOfKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` for a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        plan_of_tier(self.name, self.ladder, self.knobs.tier)

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """All runs at once, then stop."""
        if history:
            good = sum(outcome.accepted for outcome in history)
            return Stop(why=f"{good} of {len(history)} candidates were accepted")
        plan = plan_of_tier(self.name, self.ladder, self.knobs.tier) or self.ladder[0]
        count = affordable_attempts(plan, self.knobs.k, budget.left)
        if count == 0:
            return Stop(why=f"{plan.arm}'s limit is over the {money_left(budget)}: left undone")
        return Try(
            plans=seeded_repeats(plan, count, self.knobs.seed),
            why=f"best of {count} runs of {plan.arm}",
        )


class LlmBlender(LearnedPolicy[Knobs]):
    """One candidate per tier, ranked by pairwise comparison of the runs.

    P(a beats b) is P(a right) (1 - P(b right)) over its sum with the reverse, by the scorer of
    runs; these are summed (Copeland's rule with odds).
    """

    name: ClassVar[str] = "llm-blender"
    source: ClassVar[str] = "LLM-Blender (arXiv 2306.02561): PairRanker; no fusion of patches"
    surrogate: ClassVar[str] = "what a run leaves for PairRM, which truncates patches"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = Knobs

    def learn(self, training: Training) -> None:
        """Fit the scorer of runs."""
        run_scorer(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Zeros: nothing is predicted before the runs."""
        return np.zeros((len(batch), 1))

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """Every tier at once, as far as the budget goes."""
        if history:
            best = history[self.choose_among(features, history)]
            return Stop(why=f"{best.arm}'s candidate wins: {fault_or_accepted(best)}")
        plans, left = [], budget.left
        for plan in self.ladder:
            if plan.budget.dollars <= left:
                plans.append(plan)
                left -= plan.budget.dollars
        if not plans:
            return Stop(why=f"no tier's limit fits the {money_left(budget)}: left undone")
        return Try(plans=tuple(plans), why=f"one candidate of each of {len(plans)} tiers")

    def choose_among(self, features: Features, history: Sequence[Outcome]) -> int:
        """Index of the candidate with the most pairwise wins; the later of equals."""
        right = np.array([run_scorer(self.training).score(outcome) for outcome in history])
        beats = right[:, None] * (1 - right[None, :])
        both = beats + beats.T
        odds = np.where(both > 0, beats / np.where(both > 0, both, 1.0), 0.5)
        np.fill_diagonal(odds, 0.0)
        wins = odds.sum(axis=1)
        return int(len(wins) - 1 - np.argmax(wins[::-1]))


def fault_or_accepted(outcome: Outcome) -> str:
    """``accepted``, or the fault."""
    return "accepted" if outcome.accepted else fault_of(outcome)
