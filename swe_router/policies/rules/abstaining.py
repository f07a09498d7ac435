"""Routers that may abstain: one tier when confident, a cascade otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.estimators import (
    quality_by_features,
    quality_by_network,
    text_vectors,
    training_vectors,
)
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.cascade import Cascade
from swe_router.policies.learned import LearnedPolicy
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features, Outcome, RouteDecision
from swe_router.records.known_features import require_text, require_values
from swe_router.stats.arrays import Floats

EMBEDDING = "TF-IDF for the sentence embedding"
SHARPNESS = 5.0
"""Factor of fastc's softmax over cosines, which differ little."""


class AbstainingKnobs(Knobs):
    """Knobs of every abstaining router."""

    threshold: float = Field(default=0.3, ge=0, le=1)
    """Confidence below which it abstains."""


K = TypeVar("K", bound=AbstainingKnobs)


class AbstainingRouter(LearnedPolicy[K], SingleTierPolicy[K]):
    """``predict`` returns (rung, confidence) per issue."""

    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = AbstainingKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"threshold": bar} for bar in (0.0, 0.15, 0.45, 0.6)
    )

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The chosen tier alone, or the cascade over all tiers."""
        _, confidence = self.prediction(features)
        if confidence >= self.knobs.threshold:
            return super().decide(features, history, budget)
        cascade = Cascade(self.ladder, thresholds=(), candidates=self.knobs.candidates)
        move = cascade.decide(features, history, budget)
        why = f"{self.name}: abstains at {confidence:.2f}; {move.why}"
        return move.model_copy(update={"why": why})

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The predicted tier."""
        rung, confidence = self.prediction(features)
        return TierChoice(int(rung), f"{self.name}: confidence {confidence:.2f}")


def cheapest_that_resolves(training: Training) -> Floats:
    """Label of each past issue: its cheapest rung that resolves; NaN where none does."""
    rates = np.nan_to_num(training.resolved)
    first: Floats = np.argmax(rates >= 0.5, axis=1).astype(float)
    first[~(rates >= 0.5).any(axis=1)] = np.nan
    return first


class SemanticKnobs(AbstainingKnobs):
    """Knobs of ``semantic-router``."""

    top_k: int = Field(default=5, gt=0)
    """Nearest exemplars that count, over all tiers."""
    aggregation: Literal["mean", "max", "sum"] = "mean"
    """How a tier's score is aggregated from the cosines of its exemplars."""


class SemanticRouter(AbstainingRouter[SemanticKnobs]):
    """The tier with the best mean cosine among the top k exemplars; abstains when it is low."""

    name: ClassVar[str] = "semantic-router"
    source: ClassVar[str] = "aurelio-labs/semantic-router 0.1.16: top_k = 5, mean, threshold"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[Knobs]] = SemanticKnobs

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Exemplars of a tier: past issues of which it is the cheapest tier that resolves."""
        labels = cheapest_that_resolves(training)
        cosine = text_vectors(training).of(batch) @ training_vectors(training).T
        scores = route_scores(cosine, labels, len(training.arms), self.knobs.top_k,
                              self.knobs.aggregation)  # fmt: skip
        return np.column_stack([scores.argmax(axis=1), np.clip(scores.max(axis=1), 0, 1)])


def route_scores(cosine: Floats, labels: Floats, rungs: int, top_k: int, how: str) -> Floats:
    """(n, rungs) scores: cosines of the ``top_k`` nearest labelled exemplars, aggregated by label.

    A tier without an exemplar among them scores -1 (semantic-router 0.1.16: one query of the
    index for all routes, then ``group_scores_by_class`` and the aggregation).
    """
    out = np.full((len(cosine), rungs), -1.0)
    labelled = np.flatnonzero(~np.isnan(labels))
    gather: Mapping[str, Any] = {"mean": np.mean, "max": np.max, "sum": np.sum}
    for row, known in enumerate(cosine[:, labelled]):
        nearest = np.argsort(-known, kind="stable")[:top_k]
        for rung in np.unique(labels[labelled][nearest]).astype(int):
            mine = known[nearest][labels[labelled][nearest] == rung]
            out[row, rung] = gather[how](mine)
    return out


class CentroidRouter(AbstainingRouter[AbstainingKnobs]):
    """fastc: nearest class centroid by cosine, with a softmax for confidence."""

    name: ClassVar[str] = "fastc"
    source: ClassVar[str] = "EveripediaNetwork/fastc (2024-06): centroid of transformer embeddings"
    surrogate: ClassVar[str] = EMBEDDING

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """(rung, softmax confidence) per issue; classes as in ``SemanticRouter``."""
        labels = cheapest_that_resolves(training)
        rows = training_vectors(training)
        means = np.zeros((len(training.arms), rows.shape[1]))
        for rung in range(len(training.arms)):
            if (labels == rung).any():
                means[rung] = rows[labels == rung].mean(axis=0)
        lengths = np.linalg.norm(means, axis=1)
        cosine = text_vectors(training).of(batch) @ (means / np.maximum(lengths, 1e-9)[:, None]).T
        odds = np.exp(SHARPNESS * cosine) * (lengths > 0)
        odds /= np.maximum(odds.sum(axis=1, keepdims=True), 1e-12)
        return np.column_stack([odds.argmax(axis=1), odds.max(axis=1)])


class WideMlpKnobs(AbstainingKnobs):
    """Knobs of ``wide-mlp``."""

    threshold: float = Field(default=0.2, ge=0, le=1)
    """Share of past issues that are further from their nearest neighbour than this issue is from
    its own; below it the issue is out of domain."""
    width: int = Field(default=64, gt=0)
    """Units of the hidden layer."""
    bar: float = Field(default=0.5, ge=0, le=1)
    """P(resolved) from which a tier is good enough."""


class WideMlp(AbstainingRouter[WideMlpKnobs]):
    """One wide hidden layer over the text, with a fallback for out-of-domain issues."""

    name: ClassVar[str] = "wide-mlp"
    source: ClassVar[str] = "GQR-Bench (arXiv 2505.14524): WideMLP with an out-of-domain guard"
    surrogate: ClassVar[str] = "reduced TF-IDF for the bag of words"
    knobs_type: ClassVar[type[Knobs]] = WideMlpKnobs

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """The first tier over the bar; confidence ranks the nearest past issue's cosine."""
        rates = quality_by_network(training, (self.knobs.width,), text=True)(batch)
        good = rates >= self.knobs.bar
        rung = np.where(good.any(axis=1), good.argmax(axis=1), rates.shape[1] - 1)
        usual = training.fit(("nearest of each other",), nearest_cosines)
        nearest = (text_vectors(training).of(batch) @ training_vectors(training).T).max(axis=1)
        return np.column_stack([rung, np.searchsorted(usual, nearest) / max(1, len(usual))])


def nearest_cosines(training: Training) -> Floats:
    """Cosine of each past issue with the nearest other one, ascending."""
    among = training_vectors(training) @ training_vectors(training).T
    np.fill_diagonal(among, -1.0)
    out: Floats = np.sort(among.max(axis=1))
    return out


class FirstDesignAbstainingKnobs(AbstainingKnobs):
    """Knobs of ``doc-a3``."""

    threshold: float = 0.0
    words: int = Field(default=20, ge=0)
    """Issues shorter than this go to the cheap tier (stage 1)."""
    confidence: float = Field(default=0.85, ge=0, le=1)
    """Cosine to an exemplar of the cheap tier from which stage 2 stays there."""


class FirstDesignAbstaining(AbstainingRouter[FirstDesignAbstainingKnobs]):
    """Short issues, and those close to a cheap-tier exemplar, stay cheap; all others go up."""

    name: ClassVar[str] = "doc-a3"
    source: ClassVar[str] = "our own baseline: a router of our first design that may abstain"
    surrogate: ClassVar[str] = EMBEDDING
    maturity: ClassVar[str] = "baseline: no issue of Verified is that short"
    knobs_type: ClassVar[type[Knobs]] = FirstDesignAbstainingKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = ({"confidence": 0.5}, {"confidence": 0.3})

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """The two stages of the first design; it never abstains."""
        cheap = cheapest_that_resolves(training) == 0
        rows = training_vectors(training)[cheap]
        near = np.zeros(len(batch))
        if len(rows):
            near = (text_vectors(training).of(batch) @ rows.T).max(axis=1)
        short = np.array([len(require_text(one).split()) < self.knobs.words for one in batch])
        stays = short | (near > self.knobs.confidence)
        return np.column_stack([np.where(stays, 0, len(training.arms) - 1), np.ones(len(batch))])


class ChainRouter(AbstainingRouter[AbstainingKnobs]):
    """Hybrid multi-stage: certain rules, then exemplars, then a fitted model; each may abstain."""

    name: ClassVar[str] = "chain"
    source: ClassVar[str] = "our own baseline: rules, then an embedding, then a model"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[Knobs]] = AbstainingKnobs

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """The first confident stage; else the confidence of the last one."""
        exemplars = SemanticRouter(self.ladder).predict(training, batch)
        rates = quality_by_features(training)(batch)
        out = np.zeros((len(batch), 2))
        for row, one in enumerate(batch):
            values = require_values(one)
            if values.get("diff") or values.get("fix_hints", 0) >= 3:
                out[row] = 0, 1.0
            elif exemplars[row, 1] >= 0.8:
                out[row] = exemplars[row]
            else:
                sure = np.flatnonzero(rates[row] >= 0.7)
                rung = int(sure[0]) if len(sure) else len(self.ladder) - 1
                out[row] = rung, max(0.0, 2 * rates[row, rung] - 1)
        return out
