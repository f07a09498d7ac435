"""RouterBench's cascading router: one threshold on an evaluator's score, and a cap on the cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.run_scorer import scorer
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs, rung_of
from swe_router.policies.cascades.climb import Climb, Judgement
from swe_router.policies.escalation_order import Escalation
from swe_router.policies.learned import Learned
from swe_router.records import Features, Outcome
from swe_router.stats.arrays import Floats


class EvaluatedKnobs(Escalation):
    """Knobs of ``routerbench-cascade``."""

    threshold: float = Field(default=0.6, ge=0, le=1)
    """Score from which an answer is taken: t of the paper, the same for every tier."""
    max_cost: float = Field(default=3.0, gt=0)
    """USD of one issue: a tier whose mean run would go beyond it is not asked."""


class Evaluated(Learned[EvaluatedKnobs], Climb[EvaluatedKnobs]):
    """Tiers by price; the first answer that scores at least t is taken, while max_cost allows.

    The paper's evaluator knows the truth up to an injected error. Here the score is P(right) given
    the verifier's verdict and the run, so that its error is the verifier's own.
    """

    name: ClassVar[str] = "routerbench-cascade"
    source: ClassVar[str] = "RouterBench cascading router (arXiv 2403.12031), section 5"
    surrogate: ClassVar[str] = "P(right | verdict, cost, steps) for an oracle with injected error"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = EvaluatedKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"threshold": t} for t in (0.3, 0.5, 0.7, 0.8, 0.9)
    )

    def learn(self, lessons: Training) -> None:
        """Fit the scorer of runs; know the prices."""
        scorer(lessons)
        _ = lessons.prices

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Nothing is predicted before a run."""
        return np.zeros((len(batch), 1))

    def judge(self, outcome: Outcome, spent: float) -> Judgement:
        """Score against t, then the money of this issue against the next tier's mean."""
        score, rung = scorer(self.lessons).seen(outcome), rung_of(self.ladder, outcome)
        said = f"{outcome.arm}'s patch scores {score:.2f}, threshold {self.knobs.threshold:.2f}"
        if score >= self.knobs.threshold or rung == len(self.ladder) - 1:
            return Judgement(True, f"accepted: {said}")
        mean = float(self.lessons.prices[:, rung + 1].mean())
        if spent + mean > self.knobs.max_cost:
            return Judgement(
                True, f"{said}; ${mean:.2f} more would go over ${self.knobs.max_cost:g}"
            )
        return Judgement(False, said)
