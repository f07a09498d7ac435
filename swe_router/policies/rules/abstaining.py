"""Routers that may abstain: confident, they pick one tier; in doubt, a cascade takes the issue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from swe_router.errors import UsageError
from swe_router.estimates.recipes import by_network, by_numbers, rows_of, texts
from swe_router.estimates.training import Floats, Training
from swe_router.policies.base import Knobs
from swe_router.policies.cascade import Cascade
from swe_router.policies.learned import Learned
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import Features, Outcome, PurseView, RouteDecision

EMBEDDING = "TF-IDF for the sentence embedding"


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
        self, features: Features, history: Sequence[Outcome], purse: PurseView
    ) -> RouteDecision:
        """The chosen tier alone, or the cascade over all tiers."""
        _, confidence = self.seen(features)
        if confidence >= self.knobs.threshold:
            return super().decide(features, history, purse)
        cascade = Cascade(self.ladder, thresholds=(), candidates=self.knobs.candidates)
        move = cascade.decide(features, history, purse)
        why = f"{self.name}: abstains at {confidence:.2f}; {move.why}"
        return move.model_copy(update={"why": why})

    def choose(self, features: Features, purse: PurseView) -> Choice:
        """The tier that it is confident of."""
        rung, confidence = self.seen(features)
        return Choice(int(rung), f"{self.name}: confidence {confidence:.2f}")


def cheapest_that_resolves(lessons: Training) -> Floats:
    """Label of each past issue: its cheapest rung that resolves; NaN where none does."""
    rates = np.nan_to_num(lessons.resolved)
    first = np.argmax(rates >= 0.5, axis=1).astype(float)
    first[~(rates >= 0.5).any(axis=1)] = np.nan
    return first


class SemanticKnobs(AbstainKnobs):
    """Knobs of ``semantic-router``."""

    top_k: int = Field(default=5, gt=0)
    """Nearest exemplars that count."""


class SemanticRouter(Abstaining[SemanticKnobs]):
    """The tier whose exemplars are nearest: mean cosine of the top k, abstaining when far."""

    name: ClassVar[str] = "semantic-router"
    source: ClassVar[str] = "aurelio-labs/semantic-router 0.1.16: top_k = 5, mean, threshold"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[Knobs]] = SemanticKnobs

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Exemplars of a tier are the past issues that it is the cheapest to resolve."""
        labels = cheapest_that_resolves(lessons)
        cosine = texts(lessons).of(batch) @ rows_of(lessons).T
        scores = np.full((len(batch), len(lessons.arms)), -1.0)
        for rung in range(len(lessons.arms)):
            mine = cosine[:, labels == rung]
            if mine.shape[1]:
                top = np.sort(mine, axis=1)[:, -self.knobs.top_k :]
                scores[:, rung] = top.mean(axis=1)
        return np.column_stack([scores.argmax(axis=1), np.clip(scores.max(axis=1), 0, 1)])


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
        odds = np.exp(5 * cosine) * (lengths > 0)
        odds /= odds.sum(axis=1, keepdims=True)
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
        rates = by_network(lessons, self.knobs.width, text=True)(batch)
        good = rates >= self.knobs.bar
        rung = np.where(good.any(axis=1), good.argmax(axis=1), rates.shape[1] - 1)
        known = rows_of(lessons)
        among = known @ known.T
        np.fill_diagonal(among, -1.0)
        usual = np.sort(among.max(axis=1))
        nearest = (texts(lessons).of(batch) @ known.T).max(axis=1)
        return np.column_stack([rung, np.searchsorted(usual, nearest) / max(1, len(usual))])


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
    source: ClassVar[str] = "source document, appendix A3"
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
    source: ClassVar[str] = "source document, sections 2.4 and 5.1: rules, embedding, model"
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
                out[row] = rung, abs(2 * rates[row, rung] - 1)
        return out


class ArchKnobs(Knobs):
    """Knobs of ``arch-router``."""

    routes: Mapping[str, str] = Field(default_factory=dict)
    """Route name -> tier. The route model's choice is feature ``judge.route.NAME``."""
    default: str = ""
    """Tier of an issue that fits no route; empty is the strongest."""


class ArchRouter(SingleShot[ArchKnobs]):
    """Named preference routes; a generative model says which one an issue is."""

    name: ClassVar[str] = "arch-router"
    source: ClassVar[str] = "Arch-Router (arXiv 2506.16655), katanemo/archgw"
    needs: ClassVar[str] = "features judge.route.NAME of a route model behind HTTP, and its routes"
    maturity: ClassVar[str] = "experimental"
    knobs_type: ClassVar[type[Knobs]] = ArchKnobs

    def choose(self, features: Features, purse: PurseView) -> Choice:
        """The tier of the route that was chosen. Raises ``UsageError`` without a choice."""
        seen = {k: v for k, v in features.values.items() if k.startswith("judge.route.")}
        if not seen or not self.knobs.routes:
            raise UsageError(f"needs {self.needs}")
        route = max(seen, key=lambda name: seen[name]).removeprefix("judge.route.")
        names = [str(plan.arm) for plan in self.ladder]
        tier = self.knobs.routes.get(route, self.knobs.default or names[-1])
        if tier not in names:
            raise UsageError(f"policy 'arch-router': route {route!r} names tier {tier!r},"
                             f" there is {', '.join(names)}")  # fmt: skip
        return Choice(names.index(tier), f"route {route}")
