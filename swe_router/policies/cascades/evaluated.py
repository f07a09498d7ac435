"""RouterBench's cascading router: one threshold on an evaluator's score, and a cap on the cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.run_scorer import run_scorer
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs, rung_of
from swe_router.policies.cascades.climb import LadderCascade, StopJudgement
from swe_router.policies.escalation_order import EscalationKnobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.records import Features, Outcome
from swe_router.stats.arrays import Floats


class RouterBenchCascadeKnobs(EscalationKnobs):
    """Knobs of ``routerbench-cascade``."""

    threshold: float = Field(default=0.6, ge=0, le=1)
    """Score from which a patch is accepted: t of the paper, the same for every tier."""
    max_cost: float = Field(default=3.0, gt=0)
    """USD per issue: a tier whose mean run would exceed it is not tried."""


class RouterBenchCascade(
    LearnedPolicy[RouterBenchCascadeKnobs], LadderCascade[RouterBenchCascadeKnobs]
):
    """Tiers by price; the first patch that scores at least t is accepted, while max_cost allows.

    The paper's evaluator knows the truth up to an injected error. Here the score is P(right) given
    the verifier's verdict and the run, so its error is the verifier's own.
    """

    name: ClassVar[str] = "routerbench-cascade"
    source: ClassVar[str] = "RouterBench cascading router (arXiv 2403.12031), section 5"
    surrogate: ClassVar[str] = "P(right | verdict, cost, steps) for an oracle with injected error"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = RouterBenchCascadeKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"threshold": t} for t in (0.3, 0.5, 0.7, 0.8, 0.9)
    )

    def learn(self, training: Training) -> None:
        """Fit the scorer of runs; check that prices are known."""
        run_scorer(training)
        _ = training.prices

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Zeros: nothing is predicted before a run."""
        return np.zeros((len(batch), 1))

    def judge(self, outcome: Outcome, spent: float) -> StopJudgement:
        """Compare the score with t, then the cost with one more mean run to max_cost."""
        score, rung = run_scorer(self.training).score(outcome), rung_of(self.ladder, outcome)
        result = f"{outcome.arm}'s patch scores {score:.2f}, threshold {self.knobs.threshold:.2f}"
        if score >= self.knobs.threshold or rung == len(self.ladder) - 1:
            return StopJudgement(True, f"accepted: {result}")
        mean = float(self.training.prices[:, rung + 1].mean())
        if spent + mean > self.knobs.max_cost:
            return StopJudgement(
                True, f"{result}; ${mean:.2f} more would go over ${self.knobs.max_cost:g}"
            )
        return StopJudgement(False, result)
