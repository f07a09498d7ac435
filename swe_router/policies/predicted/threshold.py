"""Threshold on the probability that the tier at hand resolves the issue, from readable features."""

from __future__ import annotations

from typing import ClassVar

from swe_router.estimates.prediction.estimators import (
    Predictor,
    quality_by_features,
    quality_by_hashes,
)
from swe_router.estimates.prediction.training import Training
from swe_router.policies.predicted.climbing import NeedScoreKnobs, NeedScoreRouter


class ThresholdPolicy(NeedScoreRouter[NeedScoreKnobs]):
    """Leave a tier when it is unlikely to resolve: predict p(weak), not the gap to the strong."""

    name: ClassVar[str] = "threshold"
    source: ClassVar[str] = "RouteLLM's rule (arXiv 2406.18665) on text and graph features"

    def scorer(self, training: Training) -> Predictor:
        """1 - p of each rung but the last."""
        rates = quality_by_features(training)
        return lambda batch: 1 - rates(batch)[:, :-1]


class FastTextPolicy(NeedScoreRouter[NeedScoreKnobs]):
    """Hashed word n-grams into a linear classifier, as fastText does."""

    name: ClassVar[str] = "fasttext"
    source: ClassVar[str] = "GQR-Bench (arXiv 2505.14524): fastText routing"
    surrogate: ClassVar[str] = "hashed n-grams and logistic regression for fastText's trainer"

    def scorer(self, training: Training) -> Predictor:
        """1 - p of each rung but the last."""
        rates = quality_by_hashes(training)
        return lambda batch: 1 - rates(batch)[:, :-1]
