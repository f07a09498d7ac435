"""Routers that may abstain: confident, they pick one tier; in doubt, a cascade takes the issue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.estimators import by_network, by_numbers, rows_of, texts
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.cascade import Cascade
from swe_router.policies.learned import Learned
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import BudgetView, Features, Outcome, RouteDecision
from swe_router.stats.arrays import Floats

EMBEDDING = "TF-IDF for the sentence embedding"
SHARPNESS = 5.0
"""Of fastc's softmax over cosines, which differ by little."""


class AbstainKnobs(Knobs):
    """Knobs of every abstaining router."""

    threshold: float = Field(default=0.3, ge=0, le=1)
    """Confidence below which it abstains."""


K = TypeVar("K", bound=AbstainKnobs)


class Abstaining(Learned[K], SingleShot[K]):
    """``predict`` gives (rung, confidence) an issue."""

    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = AbstainKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"threshold": bar} for bar in (0.0, 0.15, 0.45, 0.6)
    )

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> RouteDecision:
        """The chosen tier alone, or the cascade over all tiers."""
        _, confidence = self.seen(features)
        if confidence >= self.knobs.threshold:
            return super().decide(features, history, purse)
        cascade = Cascade(self.ladder, thresholds=(), candidates=self.knobs.candidates)
        move = cascade.decide(features, history, purse)
        why = f"{self.name}: abstains at {confidence:.2f}; {move.why}"
        return move.model_copy(update={"why": why})

    def choose(self, features: Features, purse: BudgetView) -> Choice:
        """The tier that it is confident of."""
        rung, confidence = self.seen(features)
        return Choice(int(rung), f"{self.name}: confidence {confidence:.2f}")


def cheapest_that_resolves(lessons: Training) -> Floats:
    """Label of each past issue: its cheapest rung that resolves; NaN where none does."""
    rates = np.nan_to_num(lessons.resolved)
    first: Floats = np.argmax(rates >= 0.5, axis=1).astype(float)
    first[~(rates >= 0.5).any(axis=1)] = np.nan
    return first


class SemanticKnobs(AbstainKnobs):
    """Knobs of ``semantic-router``."""

    top_k: int = Field(default=5, gt=0)
    """Nearest exemplars that count, of all tiers together."""
    aggregation: Literal["mean", "max", "sum"] = "mean"
    """How the cosines of a tier's exemplars among them become its score."""


class SemanticRouter(Abstaining[SemanticKnobs]):
    """The tier with the best of the top k exemplars by mean cosine, abstaining when it is far."""

    name: ClassVar[str] = "semantic-router"
    source: ClassVar[str] = "aurelio-labs/semantic-router 0.1.16: top_k = 5, mean, threshold"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[Knobs]] = SemanticKnobs

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Exemplars of a tier are the past issues that it is the cheapest to resolve."""
        labels = cheapest_that_resolves(lessons)
        cosine = texts(lessons).of(batch) @ rows_of(lessons).T
        scores = route_scores(cosine, labels, len(lessons.arms), self.knobs.top_k,
                              self.knobs.aggregation)  # fmt: skip
        return np.column_stack([scores.argmax(axis=1), np.clip(scores.max(axis=1), 0, 1)])


def route_scores(cosine: Floats, labels: Floats, rungs: int, top_k: int, how: str) -> Floats:
    """(n, rungs): the cosines of the ``top_k`` nearest labelled exemplars, gathered by label.

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


class Centroid(Abstaining[AbstainKnobs]):
    """fastc: nearest class centroid by cosine, with a softmax for confidence."""

    name: ClassVar[str] = "fastc"
    source: ClassVar[str] = "EveripediaNetwork/fastc (2024-06): centroid of transformer embeddings"
    surrogate: ClassVar[str] = EMBEDDING

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Classes as the semantic router's."""
        labels = cheapest_that_resolves(lessons)
        rows = rows_of(lessons)
        means = np.zeros((len(lessons.arms), rows.shape[1]))
        for rung in range(len(lessons.arms)):
            if (labels == rung).any():
                means[rung] = rows[labels == rung].mean(axis=0)
        lengths = np.linalg.norm(means, axis=1)
        cosine = texts(lessons).of(batch) @ (means / np.maximum(lengths, 1e-9)[:, None]).T
        odds = np.exp(SHARPNESS * cosine) * (lengths > 0)
        odds /= np.maximum(odds.sum(axis=1, keepdims=True), 1e-12)
        return np.column_stack([odds.argmax(axis=1), odds.max(axis=1)])


class WideKnobs(AbstainKnobs):
    """Knobs of ``wide-mlp``."""

    threshold: float = Field(default=0.2, ge=0, le=1)
    """Share of past issues that lie further from their nearest neighbour than this one does;
    below it the issue counts as out of domain."""
    width: int = Field(default=64, gt=0)
    """Units of the hidden layer."""
    bar: float = Field(default=0.5, ge=0, le=1)
    """P(resolved) from which a tier is good enough."""


class WideMlp(Abstaining[WideKnobs]):
    """One wide hidden layer over the text, with a fall-back for issues unlike any past one."""

    name: ClassVar[str] = "wide-mlp"
    source: ClassVar[str] = "GQR-Bench (arXiv 2505.14524): WideMLP with an out-of-domain guard"
    surrogate: ClassVar[str] = "reduced TF-IDF for the bag of words"
    knobs_type: ClassVar[type[Knobs]] = WideKnobs

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """The first tier over the bar; confidence is how near the nearest past issue lies."""
        rates = by_network(lessons, (self.knobs.width,), text=True)(batch)
        good = rates >= self.knobs.bar
        rung = np.where(good.any(axis=1), good.argmax(axis=1), rates.shape[1] - 1)
        usual = lessons.fit(("nearest of each other",), nearest_of_each)
        nearest = (texts(lessons).of(batch) @ rows_of(lessons).T).max(axis=1)
        return np.column_stack([rung, np.searchsorted(usual, nearest) / max(1, len(usual))])


def nearest_of_each(lessons: Training) -> Floats:
    """Cosine of each past issue with the nearest other one, ascending."""
    among = rows_of(lessons) @ rows_of(lessons).T
    np.fill_diagonal(among, -1.0)
    out: Floats = np.sort(among.max(axis=1))
    return out


class DocumentA3Knobs(AbstainKnobs):
    """Knobs of ``doc-a3``."""

    threshold: float = 0.0
    words: int = Field(default=20, ge=0)
    """Issues shorter than this go to the cheap tier (stage 1)."""
    confidence: float = Field(default=0.85, ge=0, le=1)
    """Similarity to a local exemplar from which stage 2 stays local."""


class DocumentA3(Abstaining[DocumentA3Knobs]):
    """Short issues to the cheap tier; those very like a local exemplar too; all others up."""

    name: ClassVar[str] = "doc-a3"
    source: ClassVar[str] = "our own baseline: a router of our first design that may abstain"
    surrogate: ClassVar[str] = EMBEDDING
    maturity: ClassVar[str] = "baseline: no issue of Verified is that short"
    knobs_type: ClassVar[type[Knobs]] = DocumentA3Knobs
    sweep: ClassVar[Sequence[dict[str, object]]] = ({"confidence": 0.5}, {"confidence": 0.3})

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """The document's two stages; nothing abstains."""
        local = cheapest_that_resolves(lessons) == 0
        rows = rows_of(lessons)[local]
        near = np.zeros(len(batch))
        if len(rows):
            near = (texts(lessons).of(batch) @ rows.T).max(axis=1)
        short = np.array([len(one.text.split()) < self.knobs.words for one in batch])
        stays = short | (near > self.knobs.confidence)
        return np.column_stack([np.where(stays, 0, len(lessons.arms) - 1), np.ones(len(batch))])


class Chain(Abstaining[AbstainKnobs]):
    """Hybrid multi-stage: sure rules, then exemplars, then a fitted model; each may abstain."""

    name: ClassVar[str] = "chain"
    source: ClassVar[str] = "our own baseline: rules, then an embedding, then a model"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[Knobs]] = AbstainKnobs

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """The first stage that is sure; confidence of the last one where none is."""
        exemplars = SemanticRouter(self.ladder).predict(lessons, batch)
        rates = by_numbers(lessons)(batch)
        out = np.zeros((len(batch), 2))
        for row, one in enumerate(batch):
            if one.values.get("diff") or one.values.get("fix_hints", 0) >= 3:
                out[row] = 0, 1.0
            elif exemplars[row, 1] >= 0.8:
                out[row] = exemplars[row]
            else:
                sure = np.flatnonzero(rates[row] >= 0.7)
                rung = int(sure[0]) if len(sure) else len(self.ladder) - 1
                out[row] = rung, max(0.0, 2 * rates[row, rung] - 1)
        return out
