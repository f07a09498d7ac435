"""RouteLLM's four routers (arXiv 2406.18665; code lm-sys/RouteLLM), on outcomes instead of votes.

A battle is a past issue on which exactly one of two tiers resolved. More than two tiers are a
ladder of neighbouring pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from sklearn.linear_model import LogisticRegression

from swe_router.errors import UsageError
from swe_router.estimates.recipes import Predictor, rows_of, texts
from swe_router.estimates.training import Floats, Training
from swe_router.policies.predicted.climbing import Climbing, ClimbKnobs
from swe_router.records import Features

EMBEDDING = "TF-IDF cosine for text-embedding-3-small"
RATING = "judge.weak_rating"
"""Feature of an LLM judge: 1 to 5, how well the weak answer would do."""


def pairs(lessons: Training) -> list[tuple[Floats, Floats]]:
    """(lower resolved, upper resolved) for each pair of neighbours; 0.5 if unknown."""
    rates = np.where(np.isnan(lessons.resolved), 0.5, lessons.resolved)
    return [(rates[:, k], rates[:, k + 1]) for k in range(rates.shape[1] - 1)]


def columns(scores: Sequence[Floats], size: int) -> Floats:
    """(size, len(scores))."""
    return np.column_stack(scores) if scores else np.zeros((size, 0))


class SimilarityWeighted(Climbing[ClimbKnobs]):
    """Bradley-Terry over past battles, each weighted by 10 * 10^(cosine / highest cosine)."""

    name: ClassVar[str] = "routellm-sw"
    source: ClassVar[str] = "RouteLLM similarity-weighted ranking, section 4.2"
    surrogate: ClassVar[str] = EMBEDDING

    def scorer(self, lessons: Training) -> Predictor:
        """P(upper wins), two models to a pair: the weighted share of battles that it won.

        With two players and no intercept the weighted maximum-likelihood Bradley-Terry win
        rate is that share in closed form; one battle each way is added for stability.
        """
        words = texts(lessons)
        battles = pairs(lessons)

        def predict(batch: Sequence[Features]) -> Floats:
            cosine = words.of(batch) @ rows_of(lessons).T
            top = np.maximum(cosine.max(axis=1, keepdims=True), 1e-9)
            weight = 10.0 * 10.0 ** (cosine / top)
            base = weight.mean(axis=1)
            scores = []
            for low, high in battles:
                won, lost = high * (1 - low), low * (1 - high)
                scores.append((weight @ won + base) / (weight @ (won + lost) + 2 * base))
            return columns(scores, len(batch))

        return predict


class MatrixKnobs(ClimbKnobs):
    """Knobs of ``routellm-mf``."""

    dimension: int = Field(default=8, gt=0)
    """Length of the latent vectors (the paper has 128 for 65k battles)."""


class MatrixFactorisation(Climbing[MatrixKnobs]):
    """delta(M, q) = w . (v_M * W q): models and issues in one latent space, sigma of the gap."""

    name: ClassVar[str] = "routellm-mf"
    source: ClassVar[str] = "RouteLLM matrix factorisation, section 4.2"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[MatrixKnobs]] = MatrixKnobs

    def recipe(self) -> tuple[Any, ...]:
        """The dimension shapes the fit."""
        return (self.name, self.knobs.dimension)

    def scorer(self, lessons: Training) -> Predictor:
        """sigma(delta(upper) - delta(lower)) by gradient descent on the battles."""
        words = texts(lessons)
        size = self.knobs.dimension
        rows = rows_of(lessons)[:, :size]
        gaps = [high - low for low, high in pairs(lessons)]
        fits = [_bilinear(rows[g != 0], (g[g != 0] > 0).astype(float)) for g in gaps]

        def predict(batch: Sequence[Features]) -> Floats:
            x = words.of(batch)[:, :size]
            return columns([fit(x) for fit in fits], len(batch))

        return predict


def _bilinear(x: Floats, won: Floats) -> Callable[[Floats], Floats]:
    """W . ((v_upper - v_lower) * x) is linear in x for one pair: fitted with weight decay."""
    if len(won) < 4 or np.ptp(won) == 0:
        level = (won.sum() + 1) / (len(won) + 2)
        return lambda z: np.full(len(z), level)
    model = LogisticRegression(C=1.0, max_iter=300).fit(x, won)
    return lambda z: np.asarray(model.predict_proba(z)[:, 1])


class ThreeClasses(Climbing[ClimbKnobs]):
    """An encoder with three labels, lower wins, tie, upper wins: 1 - P(tie or lower wins)."""

    name: ClassVar[str] = "routellm-bert"
    source: ClassVar[str] = "RouteLLM BERT classifier, section 4.2"
    surrogate: ClassVar[str] = "TF-IDF and multinomial regression for the fine-tuned encoder"

    def scorer(self, lessons: Training) -> Predictor:
        """P(only the upper resolves)."""
        words = texts(lessons)
        fits = []
        for low, high in pairs(lessons):
            labels = np.sign(high - low).astype(int)
            fits.append(_classes(rows_of(lessons), labels))
        return lambda batch: columns([fit(words.of(batch)) for fit in fits], len(batch))


def _classes(x: Any, labels: Any) -> Callable[[Any], Floats]:
    if len(set(labels.tolist())) < 2:
        level = float(np.mean(labels == 1))
        return lambda z: np.full(z.shape[0], level)
    model = LogisticRegression(C=1.0, max_iter=300).fit(x, labels)
    if 1 not in model.classes_:
        return lambda z: np.zeros(z.shape[0])
    column = list(model.classes_).index(1)
    return lambda z: np.asarray(model.predict_proba(z)[:, column])


class CausalRating(Climbing[ClimbKnobs]):
    """A language model rates from 1 to 5 how well the weak answer would do; 4 and 5 stay."""

    name: ClassVar[str] = "routellm-causal"
    source: ClassVar[str] = "RouteLLM causal LLM classifier; Anyscale's llm-router tutorial"
    needs: ClassVar[str] = f"feature {RATING} (swe-router features --judge MODEL)"

    def scorer(self, lessons: Training) -> Predictor:
        """5 less the rating, the same for each rung."""
        if RATING not in lessons.names:
            raise UsageError(f"needs {self.needs}")
        width = len(lessons.arms) - 1
        return lambda batch: np.array(
            [[5.0 - one.values.get(RATING, 3.0)] * width for one in batch]
        ).reshape(len(batch), width)
