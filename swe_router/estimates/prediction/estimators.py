"""Quality estimators: P(an arm resolves an issue), from text or numeric features.

Each is a function (training) -> ``Predictor``; ``training.fit`` caches the fit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from swe_router.estimates.prediction.training import Training, feature_values
from swe_router.records import Features
from swe_router.records.known_features import require_text
from swe_router.stats.arrays import Floats

Predictor = Callable[[Sequence[Features]], Floats]
"""Issues -> (n, m), one column per arm."""


TEXT_DIMENSIONS = 48
"""Length of a text vector."""


class TextVectors:
    """Issue texts as unit vectors: TF-IDF of 1- and 2-grams, reduced by latent semantic analysis.

    The surrogate of every text embedding here. It uses texts only, no outcomes, so all folds of the
    training data share it.
    """

    def __init__(self, training: Training) -> None:
        """Fit vocabulary and axes on the training texts."""
        self._tfidf = TfidfVectorizer(ngram_range=(1, 2), max_features=20_000, sublinear_tf=True,
                                      min_df=2 if len(training) > 20 else 1)  # fmt: skip
        self._axes: TruncatedSVD | None = None
        self._known: dict[str, Floats] = {}
        try:
            raw = self._tfidf.fit_transform([_clipped_text(text) for text in training.texts])
        except ValueError:  # the texts hold no word
            return
        if min(raw.shape) < 3:
            return
        self._axes = TruncatedSVD(
            min(TEXT_DIMENSIONS, min(raw.shape) - 1), random_state=0, n_iter=2
        )
        self._known = dict(
            zip(training.texts, _unit_rows(self._axes.fit_transform(raw)), strict=True)
        )

    def of(self, batch: Sequence[Features]) -> Floats:
        """(n, dimensions); all 0 when there were too few distinct training texts."""
        if self._axes is None:
            return np.zeros((len(batch), 1))
        asked = [require_text(one) for one in batch]
        new = [text for text in asked if text not in self._known]
        if new:
            raw = self._tfidf.transform([_clipped_text(text) for text in new])
            self._known |= dict(zip(new, _unit_rows(self._axes.transform(raw)), strict=True))
        return np.array([self._known[text] for text in asked]).reshape(len(batch), -1)


def _unit_rows(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.where(lengths > 0, lengths, 1.0)
    return unit


def _clipped_text(text: str) -> str:
    return text[:20_000] or "empty"


def text_vectors(training: Training) -> TextVectors:
    """The text vectors of this training data."""
    return (training.complete or training).fit(("texts",), TextVectors)


def training_vectors(training: Training) -> Floats:
    """Text vectors of the training issues, (n, dimensions)."""
    return training.fit(("text rows",), lambda known: text_vectors(known).of(known.features))


class NumericFeatures:
    """Standardised numeric features, log-scaled where they are counts.

    A feature that an issue lacks counts as the mean; with no feature at all there is one constant.
    """

    def __init__(self, training: Training) -> None:
        """Fit means and deviations on the training issues."""
        self.names = training.names
        self._scale = StandardScaler()
        self._scale.fit(self._raw(training.features))
        self.rows: Floats = self.of(training.features)

    def of(self, batch: Sequence[Features]) -> Floats:
        """(n, features)."""
        scaled: Floats = self._scale.transform(self._raw(batch)) if len(batch) else self._raw(batch)
        return np.clip(np.nan_to_num(scaled), -4, 4)

    def _raw(self, batch: Sequence[Features]) -> Floats:
        if not self.names:
            return np.zeros((len(batch), 1))
        rows = np.array([feature_values(one, self.names) for one in batch], dtype=float)
        rows = rows.reshape(len(batch), len(self.names))
        rows[~np.isfinite(rows)] = np.nan
        squeezed: Floats = np.sign(rows) * np.log1p(np.abs(rows))
        return squeezed


def numeric_features(training: Training) -> NumericFeatures:
    """The scaled features of this training data."""
    return training.fit(("numbers",), NumericFeatures)


def fit_per_arm(
    training: Training,
    rows: Any,
    target: Floats,
    make: Callable[[Any, Floats], Callable[[Any], Floats]],
) -> Callable[[Any], Floats]:
    """One model per arm, fitted where the target is known; constant where it does not vary."""
    models: list[Callable[[Any], Floats]] = []
    for column in range(len(training.arms)):
        known = np.flatnonzero(~np.isnan(target[:, column]))
        y = target[known, column]
        if len(known) == 0 or np.ptp(y) == 0:
            level = float(y[0]) if len(known) else float("nan")
            models.append(constant_model(level))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                models.append(make(rows[known], y))
    return lambda x: np.column_stack([model(x) for model in models])


def constant_model(level: float) -> Callable[[Any], Floats]:
    """A predictor that returns ``level`` for every row."""
    return lambda x: np.full(x.shape[0], level)


def logistic_model(x: Any, y: Floats, strength: float = 0.3) -> Callable[[Any], Floats]:
    """Logistic regression on soft labels ``y`` in [0, 1]."""
    labels = np.repeat([1, 0], len(y))
    weights = np.concatenate([y, 1 - y])
    used = weights > 0
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-3)
    model.fit(np.vstack([x, x])[used], labels[used], sample_weight=weights[used])
    return lambda z: np.asarray(model.predict_proba(z)[:, 1])


def quality_by_features(training: Training) -> Predictor:
    """Logistic regression per arm on the numeric features (text structure and graph)."""

    def make(known: Training) -> Predictor:
        scaled = numeric_features(known)
        models = fit_per_arm(
            known, scaled.rows, known.resolved, lambda x, y: logistic_model(x, y, 0.05)
        )
        return lambda batch: models(scaled.of(batch))

    return training.fit(("by_numbers",), make)


@lru_cache(maxsize=4096)
def _hashed_text(text: str) -> Floats:
    hashing = HashingVectorizer(n_features=256, ngram_range=(1, 2))
    row: Floats = np.asarray(hashing.transform([_clipped_text(text)]).todense())[0]
    return row


def hashed_texts(batch: Sequence[Features]) -> Floats:
    """Hashed word 1- and 2-grams, (n, 256): fastText's buckets, few since issues are few."""
    return np.array([_hashed_text(require_text(one)) for one in batch]).reshape(len(batch), -1)


def quality_by_hashes(training: Training) -> Predictor:
    """FastText's shape without its trainer: hashed word n-grams into a linear classifier."""

    def make(known: Training) -> Predictor:
        rows = hashed_texts(known.features)
        models = fit_per_arm(known, rows, known.resolved, lambda x, y: logistic_model(x, y, 1.0))
        return lambda batch: models(hashed_texts(batch))

    return training.fit(("by_hashes",), make)


def quality_by_neighbours(training: Training, k: int) -> Predictor:
    """Mean of the k nearest issues by TF-IDF cosine (RouterBench's KNN router)."""

    def make(known: Training) -> Predictor:
        words = text_vectors(known)
        near = NearestNeighbors(n_neighbors=min(k, len(known)), metric="cosine").fit(
            training_vectors(known)
        )

        def predict(batch: Sequence[Features]) -> Floats:
            found = near.kneighbors(words.of(batch), return_distance=False)
            rates: Floats = known.rates[found].mean(axis=1)
            return rates

        return predict

    return training.fit(("by_neighbours", k), make)


def quality_by_network(
    training: Training, layers: tuple[int, ...], text: bool = False
) -> Predictor:
    """One perceptron for all arms, on numeric features or text vectors."""

    def make(known: Training) -> Predictor:
        source: Any = text_vectors(known) if text else numeric_features(known)
        rows = training_vectors(known) if text else numeric_features(known).rows
        net = MLPRegressor(hidden_layer_sizes=layers, alpha=1.0, max_iter=60, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net.fit(rows, known.rates if len(known.arms) > 1 else known.rates.ravel())
        size = len(known.arms)
        return lambda batch: np.clip(net.predict(source.of(batch)).reshape(-1, size), 0, 1)

    return training.fit(("by_network", layers, text), make)


def quality_by_forest(
    training: Training, trees: int = 60
) -> Callable[[Sequence[Features]], tuple[Floats, Floats]]:
    """Random forest on the numbers: mean and spread over trees, each (n, m)."""

    def make(known: Training) -> Callable[[Sequence[Features]], tuple[Floats, Floats]]:
        scaled = numeric_features(known)
        leaf = min(8, max(1, len(known) // 4))
        forest = RandomForestRegressor(trees, min_samples_leaf=leaf, random_state=0, max_depth=6)
        forest.fit(scaled.rows, known.rates if len(known.arms) > 1 else known.rates.ravel())
        size = len(known.arms)

        def predict(batch: Sequence[Features]) -> tuple[Floats, Floats]:
            # Call the trees directly: the wrapper's checks cost more than they do.
            x = scaled.of(batch).astype(np.float32)
            each = np.stack([t.tree_.predict(x).reshape(-1, size) for t in forest.estimators_])
            return each.mean(axis=0), each.std(axis=0)

        return predict

    return training.fit(("by_forest", trees), make)


class TextClusters:
    """KMeans over unit TF-IDF vectors, with each arm's mean in each cluster."""

    def __init__(self, training: Training, k: int) -> None:
        """Fit ``k`` clusters, fewer when there are fewer texts."""
        self._words = text_vectors(training)
        rows = training_vectors(training)
        distinct = len(np.unique(rows.round(6), axis=0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._means = KMeans(min(k, distinct), n_init=2, random_state=0).fit(rows)
        labels, count = self._means.labels_, self._means.n_clusters
        self.rate = self._by(labels, count, training.resolved)
        self.usd = self._by(labels, count, training.prices)

    def near(self, batch: Sequence[Features], p: int) -> tuple[Any, Floats]:
        """The ``p`` nearest clusters of each issue and their distances, both (n, p)."""
        gaps = self._means.transform(self._words.of(batch))
        order = np.argsort(gaps, axis=1, kind="stable")[:, :p]
        return order, np.take_along_axis(gaps, order, axis=1)

    @staticmethod
    def _by(labels: Any, count: int, target: Floats) -> Floats:
        overall, out = np.nanmean(target, axis=0), np.zeros((count, target.shape[1]))
        for cluster in range(count):
            rows = target[labels == cluster]
            known = (~np.isnan(rows)).sum(axis=0)
            # Two pseudo-issues of the overall mean: small clusters move little.
            out[cluster] = (np.nansum(rows, axis=0) + 2 * overall) / (known + 2)
        return out


def text_clusters(training: Training, k: int) -> TextClusters:
    """The text clusters of this training data."""
    return training.fit(("clusters", k), lambda known: TextClusters(known, k))


def expected_cost(training: Training) -> Predictor:
    """Expected USD per arm: ridge on log cost with Duan's smearing, on the numeric features."""

    def make(known: Training) -> Predictor:
        scaled = numeric_features(known)

        def one(x: Any, y: Floats) -> Callable[[Any], Floats]:
            logs = np.log(np.maximum(y, 1e-6))
            model = Ridge(alpha=50.0).fit(x, logs)
            smear = float(np.exp(logs - model.predict(x)).mean())
            return lambda z: np.asarray(np.exp(model.predict(z)) * smear)

        ceiling = known.prices.max(axis=0)
        models = fit_per_arm(known, scaled.rows, known.usd, one)
        return lambda batch: np.minimum(models(scaled.of(batch)), ceiling)

    return training.fit(("cost",), make)
