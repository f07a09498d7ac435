"""Routers that score the need to go beyond a tier, and climb while the score is over a threshold.

The threshold is set by ``share``: the share of the training issues that would climb, taken on
scores by fits that never saw an issue's repository (RouteLLM sets its thresholds on the test set).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.estimators import Predictor
from swe_router.estimates.prediction.training import Training, out_of_fold
from swe_router.policies.base import Knobs
from swe_router.policies.learned import Learned
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import BudgetView, Features
from swe_router.stats.arrays import Floats

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


class ClimbKnobs(Knobs):
    """Knobs of every climbing router."""

    share: float = Field(default=0.5, ge=0, le=1)
    """Share of issues that go beyond each tier."""


K = TypeVar("K", bound=ClimbKnobs)


class Climbing(Learned[K], SingleShot[K]):
    """From the cheapest tier up, one rung as long as the score calls for it."""

    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = ClimbKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple({"share": s} for s in SHARES if s != 0.5)

    def recipe(self) -> tuple[Any, ...]:
        """What the scores depend on beside the lessons; knobs that the fit reads belong here."""
        return (self.name,)

    def scorer(self, lessons: Training) -> Predictor:
        """Issues -> (n, m - 1): the higher, the more an issue needs to go beyond that rung."""
        raise NotImplementedError

    def learn(self, lessons: Training) -> None:
        """Fit scores and thresholds."""
        self._bars(lessons)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Scores less their thresholds."""
        scores = lessons.fit(("scorer", *self.recipe()), self.scorer)(batch)
        gaps: Floats = scores - self._bars(lessons)
        return gaps

    def choose(self, features: Features, purse: BudgetView) -> Choice:
        """The first rung that need not be left."""
        gaps = self.seen(features)
        stays = np.flatnonzero(~(gaps >= 0))
        rung = int(stays[0]) if len(stays) else len(self.ladder) - 1
        said = ", ".join(f"{gap:+.3f}" for gap in gaps[: rung + 1])
        return Choice(rung, f"{self.name}: need to climb less threshold {said or 'none'}")

    def _bars(self, lessons: Training) -> Floats:
        blind = lessons.fit(("blind score", *self.recipe()), self._blind)
        if self.knobs.share in (0, 1):  # none or all, however new an issue is
            return np.full(len(lessons.arms) - 1, math.inf if self.knobs.share == 0 else -math.inf)
        out: Floats = np.nanquantile(blind, 1 - self.knobs.share, axis=0)
        return out

    def _blind(self, lessons: Training) -> Floats:
        """Scores of the lessons by fits without their repository; in-sample when there is one."""

        def rest(known: Training, batch: Sequence[Features]) -> Floats:
            return known.fit(("scorer", *self.recipe()), self.scorer)(batch)

        scores = out_of_fold(lessons, rest)
        if np.isnan(scores).all():
            scores = lessons.fit(("scorer", *self.recipe()), self.scorer)(lessons.features)
        return scores
