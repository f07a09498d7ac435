"""RouteLLM's four routers (arXiv 2406.18665; code lm-sys/RouteLLM), on outcomes instead of votes.

A battle is a past issue that exactly one of two tiers resolved; an issue on which one of them was
not tried is none. All pairs of tiers count; a ladder is climbed over its neighbouring pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from swe_router.errors import UsageError
from swe_router.estimates.prediction.estimators import Predictor, text_vectors, training_vectors
from swe_router.estimates.prediction.training import Training
from swe_router.policies.predicted.climbing import NeedScoreKnobs, NeedScoreRouter
from swe_router.records import Features
from swe_router.records.known_features import require_values
from swe_router.stats.arrays import Floats

EMBEDDING = "TF-IDF cosine for text-embedding-3-small"
RATING_FEATURE = "judge.weak_rating"
"""Feature of an LLM judge: 1 to 5, how well the weak answer would do."""


def win_share(training: Training, winner: int, loser: int) -> Floats:
    """(n,) share of an issue's pairs of runs in which only ``winner`` resolves; 0 if not tried."""
    won: Floats = training.resolved[:, winner] * (1 - training.resolved[:, loser])
    return np.nan_to_num(won)


def stack_columns(scores: Sequence[Floats], size: int) -> Floats:
    """(size, len(scores))."""
    return np.column_stack(scores) if scores else np.zeros((size, 0))


def similarity_weights(cosine: Floats) -> Floats:
    """10 * 10^(cosine / highest cosine): a row per issue, a column per battle (section 4.2)."""
    top = cosine.max(axis=1, keepdims=True)
    return 10.0 * 10.0 ** np.where(top > 0, cosine / np.where(top > 0, top, 1.0), 0.0)


def bradley_terry(wins: Floats, steps: int = 60) -> Floats:
    """Maximum-likelihood log strengths (n, m), mean 0, of weighted wins (n, m, m).

    ``wins[q, i, j]`` is the weight of battles that i won over j. P(i beats j) is the logistic of
    the difference: 400 / ln 10 of it are one Elo point's scale. Newton's method, all n at once.
    """
    wins = (
        wins * (1 - np.eye(wins.shape[1])) / np.maximum(wins.sum(axis=(1, 2)), 1e-12)[:, None, None]
    )
    games = wins + wins.transpose(0, 2, 1)
    theta = np.zeros(wins.shape[:2])
    for _ in range(steps):
        chance = expit(theta[:, :, None] - theta[:, None, :])
        slope = (wins - games * chance).sum(axis=2)
        tie = games * chance * (1 - chance)
        curve = np.eye(wins.shape[1]) * tie.sum(axis=2)[:, :, None] - tie
        # Strengths are defined up to a constant: the ones pin their mean.
        move = np.linalg.solve(curve + 1.0, slope[:, :, None])[:, :, 0]
        theta = theta + np.clip(move, -2, 2)
        if np.abs(move).max(initial=0.0) < 1e-10:
            break
    return theta


class RouteLlmSimilarity(NeedScoreRouter[NeedScoreKnobs]):
    """Bradley-Terry over past battles, each weighted by 10 * 10^(cosine / highest cosine)."""

    name: ClassVar[str] = "routellm-sw"
    source: ClassVar[str] = "RouteLLM similarity-weighted ranking, section 4.2"
    surrogate: ClassVar[str] = EMBEDDING

    def scorer(self, training: Training) -> Predictor:
        """P(upper beats lower) for each rung, by one ranking of all tiers per issue.

        The published fit has no penalty. Here each pair of tiers gets one more battle of mean
        weight, half won, which keeps the strength of a tier that never lost finite.
        """
        words, size = text_vectors(training), len(training.arms)

        def predict(batch: Sequence[Features]) -> Floats:
            weight = similarity_weights(words.of(batch) @ training_vectors(training).T)
            wins = np.zeros((len(batch), size, size))
            for i, j in itertools.permutations(range(size), 2):
                wins[:, i, j] = weight @ win_share(training, i, j) + 0.5 * weight.mean(axis=1)
            strength = bradley_terry(wins)
            chance: Floats = expit(strength[:, 1:] - strength[:, :-1])
            return chance

        return predict


@dataclass(frozen=True)
class BilinearModel:
    """delta(M, q) = w . (v_M / |v_M| * W1 q): RouteLLM's matrix factorisation."""

    models: Floats
    """v, (m, d)."""
    projection: Floats
    """W1, (d, D)."""
    head: Floats
    """w, (d,)."""

    def delta(self, rows: Floats) -> Floats:
        """(n, m) strengths of all models on issues (n, D)."""
        unit = self.models / np.linalg.norm(self.models, axis=1, keepdims=True)
        out: Floats = (rows @ self.projection.T) @ (unit * self.head).T
        return out


def fit_bilinear(
    rows: Floats, winner: Any, loser: Any, models: int, dimension: int, decay: float = 1e-3
) -> BilinearModel:
    """Fit by binary cross-entropy on battles (row, winner, loser) with weight decay, by L-BFGS.

    The published trainer is Adam with decay 1e-5 on 65k battles; a few hundred need more decay.
    """
    shapes = ((models, dimension), (dimension, rows.shape[1]), (dimension,))
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def parts(flat: Floats) -> list[Floats]:
        return [p.reshape(s) for p, s in zip(np.split(flat, cuts), shapes, strict=True)]

    def loss(flat: Floats) -> tuple[float, Floats]:
        v, projection, head = parts(flat)
        length = np.linalg.norm(v, axis=1, keepdims=True)
        unit = v / length
        hidden, gap = rows @ projection.T, unit[winner] - unit[loser]
        margin = (gap * hidden) @ head
        pull = -expit(-margin)[:, None] / len(rows)
        onto = pull * hidden * head
        slope = np.zeros_like(v)
        np.add.at(slope, winner, onto)
        np.add.at(slope, loser, -onto)
        slope = (slope - (slope * unit).sum(axis=1, keepdims=True) * unit) / length
        grown = [slope, (pull * gap * head).T @ rows, (pull * gap * hidden).sum(axis=0)]
        flat_slope = np.concatenate([g.ravel() for g in grown]) + decay * flat
        total = np.logaddexp(0, -margin).mean() + 0.5 * decay * float(flat @ flat)
        return float(total), flat_slope

    start = np.random.default_rng(0).normal(0, 0.5, sum(int(np.prod(s)) for s in shapes))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return BilinearModel(*parts(found.x))


class RouteLlmMatrixKnobs(NeedScoreKnobs):
    """Knobs of ``routellm-mf``."""

    dimension: int = Field(default=8, gt=0)
    """Length of the latent vectors (the paper has 128 for 65k battles)."""


class RouteLlmMatrix(NeedScoreRouter[RouteLlmMatrixKnobs]):
    """delta(M, q) = w . (v_M * W q): models and issues in one latent space, sigma of the gap."""

    name: ClassVar[str] = "routellm-mf"
    source: ClassVar[str] = "RouteLLM matrix factorisation, section 4.2"
    surrogate: ClassVar[str] = EMBEDDING
    knobs_type: ClassVar[type[RouteLlmMatrixKnobs]] = RouteLlmMatrixKnobs

    def recipe(self) -> tuple[Any, ...]:
        """The fit depends on the dimension."""
        return (self.name, self.knobs.dimension)

    def scorer(self, training: Training) -> Predictor:
        """sigma(delta(upper) - delta(lower)) for each rung."""
        size, battles = len(training.arms), []
        for i, j in itertools.permutations(range(size), 2):
            issues = np.flatnonzero(win_share(training, i, j) > 0.5)
            battles += [(issue, i, j) for issue in issues.tolist()]
        if not battles:
            return lambda batch: np.full((len(batch), size - 1), 0.5)
        issue, winner, loser = np.array(battles).T
        rows, words = training_vectors(training)[issue], text_vectors(training)
        fit = fit_bilinear(rows, winner, loser, size, self.knobs.dimension)

        def predict(batch: Sequence[Features]) -> Floats:
            delta = fit.delta(words.of(batch))
            chance: Floats = expit(delta[:, 1:] - delta[:, :-1])
            return chance

        return predict


class RouteLlmBert(NeedScoreRouter[NeedScoreKnobs]):
    """An encoder with three labels, lower wins, tie, upper wins: 1 - P(tie or lower wins)."""

    name: ClassVar[str] = "routellm-bert"
    source: ClassVar[str] = "RouteLLM BERT classifier, section 4.2"
    surrogate: ClassVar[str] = "TF-IDF and multinomial regression for the fine-tuned encoder"

    def scorer(self, training: Training) -> Predictor:
        """P(only the upper resolves)."""
        words, fits = text_vectors(training), []
        for k in range(len(training.arms) - 1):
            up, down = win_share(training, k + 1, k), win_share(training, k, k + 1)
            known = ~np.isnan(training.resolved[:, k] + training.resolved[:, k + 1])
            weights = np.column_stack([down, 1 - up - down, up])[known]
            fits.append(last_class_model(training_vectors(training)[known], weights))
        return lambda batch: stack_columns([fit(words.of(batch)) for fit in fits], len(batch))


def last_class_model(x: Floats, weights: Floats) -> Callable[[Floats], Floats]:
    """Multinomial predictor of P(last class); ``weights`` (n, classes) are soft labels."""
    size = weights.shape[1]
    labels, many = np.tile(np.arange(size), len(x)), np.repeat(x, size, axis=0)
    used = weights.ravel() > 0
    there = np.unique(labels[used])
    if size - 1 not in there or len(there) < 2:
        level = float(size - 1 in there)
        return lambda z: np.full(len(z), level)
    model = LogisticRegression(C=1.0, max_iter=300)
    model.fit(many[used], labels[used], sample_weight=weights.ravel()[used])
    return lambda z: np.asarray(model.predict_proba(z)[:, -1])


class RouteLlmCausal(NeedScoreRouter[NeedScoreKnobs]):
    """A language model rates the weak answer from 1 to 5; a good rating stays at the weak tier."""

    name: ClassVar[str] = "routellm-causal"
    source: ClassVar[str] = "RouteLLM causal LLM classifier; Anyscale's llm-router tutorial"
    needs: ClassVar[str] = f"feature {RATING_FEATURE} (swe-router features --judge MODEL)"

    def scorer(self, training: Training) -> Predictor:
        """1 - P(the rung resolves | rating), the probability by isotonic regression."""
        if RATING_FEATURE not in training.names:
            raise UsageError(f"needs {self.needs}")
        rating = np.array([require_values(one)[RATING_FEATURE] for one in training.features])
        fits = []
        for k in range(len(training.arms) - 1):
            known = ~np.isnan(training.resolved[:, k])
            fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            fits.append(fit.fit(rating[known], training.resolved[known, k]))

        def predict(batch: Sequence[Features]) -> Floats:
            given = np.array([require_values(one).get(RATING_FEATURE, 3.0) for one in batch])
            return stack_columns([1 - fit.predict(given) for fit in fits], len(batch))

        return predict
