"""Routers that score the need for a stronger tier, and climb while the score is over a threshold.

``share``, the share of training issues that would climb, sets the threshold. It is applied to
scores by fits without the issue's repository (RouteLLM sets its thresholds on the test set).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.estimators import Predictor
from swe_router.estimates.prediction.training import Training, out_of_fold_predictions
from swe_router.policies.base import Knobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features
from swe_router.stats.arrays import Floats

SWEPT_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


class NeedScoreKnobs(Knobs):
    """Knobs of every need-score router."""

    share: float = Field(default=0.5, ge=0, le=1)
    """Share of issues that climb beyond each tier."""


K = TypeVar("K", bound=NeedScoreKnobs)


class NeedScoreRouter(LearnedPolicy[K], SingleTierPolicy[K]):
    """From the cheapest tier up, one rung while the score is over the threshold."""

    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = NeedScoreKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"share": s} for s in SWEPT_SHARES if s != 0.5
    )

    def recipe(self) -> tuple[Any, ...]:
        """What the scores depend on in addition to the training data: knobs that the fit reads."""
        return (self.name,)

    def scorer(self, training: Training) -> Predictor:
        """Issues -> (n, m - 1) scores: the higher, the more an issue needs a rung above."""
        raise NotImplementedError

    def learn(self, training: Training) -> None:
        """Fit scores and thresholds."""
        self._thresholds(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Scores minus their thresholds."""
        scores = training.fit(("scorer", *self.recipe()), self.scorer)(batch)
        gaps: Floats = scores - self._thresholds(training)
        return gaps

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The first rung whose score is under the threshold."""
        gaps = self.prediction(features)
        stays = np.flatnonzero(~(gaps >= 0))
        rung = int(stays[0]) if len(stays) else len(self.ladder) - 1
        shown = ", ".join(f"{gap:+.3f}" for gap in gaps[: rung + 1])
        return TierChoice(rung, f"{self.name}: need to climb less threshold {shown or 'none'}")

    def _thresholds(self, training: Training) -> Floats:
        held_out = training.fit(("blind score", *self.recipe()), self._held_out_scores)
        if self.knobs.share in (0, 1):  # none or all, whatever the features
            return np.full(len(training.arms) - 1, math.inf if self.knobs.share == 0 else -math.inf)
        out: Floats = np.nanquantile(held_out, 1 - self.knobs.share, axis=0)
        return out

    def _held_out_scores(self, training: Training) -> Floats:
        """Training scores by fits without their repository; in-sample with a single repository."""

        def scores_of(known: Training, batch: Sequence[Features]) -> Floats:
            return known.fit(("scorer", *self.recipe()), self.scorer)(batch)

        scores = out_of_fold_predictions(training, scores_of)
        if np.isnan(scores).all():
            scores = training.fit(("scorer", *self.recipe()), self.scorer)(training.features)
        return scores
