"""Routers that predict quality and cost of every tier and maximise value * quality - cost.

``value`` is what a resolved issue is worth in USD: the common unit of such routers' lambda
(Martian calls it willingness to pay).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.estimators import (
    Predictor,
    expected_cost,
    quality_by_features,
    quality_by_neighbours,
    quality_by_network,
    text_clusters,
)
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features
from swe_router.stats.arrays import Floats

SWEPT_VALUES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
EMBEDDING = "TF-IDF for the sentence embedding"


class UtilityKnobs(Knobs):
    """Knobs of every utility router."""

    value: float = Field(default=2.0, gt=0)
    """USD that a resolved issue is worth."""


K = TypeVar("K", bound=UtilityKnobs)


class UtilityRouter(LearnedPolicy[K], SingleTierPolicy[K]):
    """The tier with the highest value * P(resolved) - E[cost]; the cheaper one of equals."""

    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = UtilityKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple({"value": value} for value in SWEPT_VALUES)

    def quality(self, training: Training) -> Predictor:
        """Issues -> P(resolved) of each tier."""
        raise NotImplementedError

    def price(self, training: Training) -> Predictor:
        """Issues -> expected USD of each tier."""
        return expected_cost(training)

    def learn(self, training: Training) -> None:
        """Fit quality and cost."""
        self.quality(training)
        self.price(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Quality, then cost: (n, 2 m)."""
        return np.hstack([self.quality(training)(batch), self.price(training)(batch)])

    def utilities(self, row: Floats) -> Floats:
        """Value * quality - cost of each tier."""
        size = len(self.ladder)
        gains: Floats = self.knobs.value * row[:size] - row[size : 2 * size]
        return gains

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The best utility."""
        row, size = self.prediction(features), len(self.ladder)
        gains = self.utilities(row)
        rung = int(np.argmax(np.where(np.isnan(gains), -np.inf, gains)))
        return TierChoice(
            rung,
            f"{self.name}: p {row[rung]:.2f} for ${row[size + rung]:.3f},"
            f" utility {gains[rung]:.3f} at ${self.knobs.value:g} a resolved issue",
        )


class KnnKnobs(UtilityKnobs):
    """Knobs of ``knn``."""

    k: int = Field(default=50, gt=0)
    """Neighbours."""


class KnnRouter(UtilityRouter[KnnKnobs]):
    """Mean outcome of the k nearest past issues."""

    name: ClassVar[str] = "knn"
    source: ClassVar[str] = "RouterBench KNN router (arXiv 2403.12031)"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[Knobs]] = KnnKnobs

    def quality(self, training: Training) -> Predictor:
        """By neighbours."""
        return quality_by_neighbours(training, self.knobs.k)


class MlpRouter(UtilityRouter[UtilityKnobs]):
    """A perceptron of three layers for the quality of all tiers."""

    name: ClassVar[str] = "mlp"
    source: ClassVar[str] = "RouterBench MLP router (arXiv 2403.12031)"
    surrogate: ClassVar[str] = EMBEDDING

    def quality(self, training: Training) -> Predictor:
        """By the published network (100, 100, 100), one for all tiers."""
        return quality_by_network(training, (100, 100, 100), text=True)


class PlugInRouter(UtilityRouter[UtilityKnobs]):
    """Logistic quality and log-linear cost, plugged into one utility."""

    name: ClassVar[str] = "plug-in"
    source: ClassVar[str] = "CARROT (arXiv 2502.03261): quality and cost plug-in"

    def quality(self, training: Training) -> Predictor:
        """Logistic regression on text and graph features."""
        return quality_by_features(training)


class OriKnobs(UtilityKnobs):
    """Knobs of ``ori``."""

    k: int = Field(default=12, gt=0)
    """Clusters."""


class OriRouter(UtilityRouter[OriKnobs]):
    """The best tier of the nearest cluster of past issues; published without a cost term."""

    name: ClassVar[str] = "ori"
    source: ClassVar[str] = "ORI (arXiv 2502.10051)"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[Knobs]] = OriKnobs

    def quality(self, training: Training) -> Predictor:
        """Each tier's rate in the nearest cluster."""
        known = text_clusters(training, self.knobs.k)
        return lambda batch: np.asarray(known.rate[known.near(batch, 1)[0][:, 0]])

    def price(self, training: Training) -> Predictor:
        """Each tier's mean cost in the nearest cluster."""
        known = text_clusters(training, self.knobs.k)
        return lambda batch: np.asarray(known.usd[known.near(batch, 1)[0][:, 0]])


class AvengersProKnobs(Knobs):
    """Knobs of ``avengers-pro``."""

    alpha: float = Field(default=0.7, ge=0, le=1)
    """Weight of accuracy; the rest is the weight of cheapness."""
    k: int = Field(default=25, gt=0)
    p: int = Field(default=4, gt=0)
    """Nearest clusters that vote."""
    beta: float = Field(default=9.0, ge=0)
    """Sharpness of the softmax over their distances."""


class AvengersPro(LearnedPolicy[AvengersProKnobs], SingleTierPolicy[AvengersProKnobs]):
    """alpha * minmax(accuracy) + (1 - alpha) * (1 - cost / highest cost), over near clusters."""

    name: ClassVar[str] = "avengers-pro"
    source: ClassVar[str] = "Avengers-Pro (arXiv 2508.12631)"
    surrogate: ClassVar[str] = EMBEDDING
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = AvengersProKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"alpha": alpha} for alpha in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    )

    def learn(self, training: Training) -> None:
        """Fit the clusters."""
        text_clusters(training, self.knobs.k)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Score of each tier, (n, m)."""
        known = text_clusters(training, self.knobs.k)
        rate, usd = known.rate, known.usd
        low, high = rate.min(axis=1, keepdims=True), rate.max(axis=1, keepdims=True)
        quality = (rate - low) / np.where(high > low, high - low, 1.0)
        cheap = 1 - usd / np.maximum(usd.max(axis=1, keepdims=True), 1e-12)
        score = self.knobs.alpha * quality + (1 - self.knobs.alpha) * cheap
        near, gaps = known.near(batch, self.knobs.p)
        weight = np.exp(-self.knobs.beta * (gaps - gaps.min(axis=1, keepdims=True)))
        weight /= weight.sum(axis=1, keepdims=True)
        out: Floats = np.einsum("np,npm->nm", weight, score[near])
        return out

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The best score."""
        scores = self.prediction(features)
        rung = int(np.argmax(scores))
        return TierChoice(rung, f"{self.name}: score {scores[rung]:.3f}")


class IprKnobs(Knobs):
    """Knobs of ``ipr``."""

    tolerance: float = Field(default=0.1, ge=0, le=1)
    """How much worse than the best tier the predicted quality may be, as a share of it."""


class IprRouter(LearnedPolicy[IprKnobs], SingleTierPolicy[IprKnobs]):
    """The cheapest tier whose predicted quality is within the tolerance of the best one's."""

    name: ClassVar[str] = "ipr"
    source: ClassVar[str] = "Bedrock Intelligent Prompt Routing (arXiv 2509.06274)"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = IprKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"tolerance": part} for part in (0.0, 0.05, 0.2, 0.3, 0.5)
    )

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """P(resolved) of each tier."""
        return quality_by_features(training)(batch)

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The first rung that is good enough."""
        rates = self.prediction(features)
        bar = (1 - self.knobs.tolerance) * rates.max()
        rung = int(np.flatnonzero(rates >= bar)[0])
        return TierChoice(rung, f"{self.name}: p {rates[rung]:.2f}, bar {bar:.2f}")
