"""Quality estimators: P(an arm resolves an issue), from text or numbers, fitted once per training.

Each recipe is a function (training) -> ``Predictor``; ``training.fit`` keeps what was fitted.
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

from swe_router.estimates.prediction.training import Training, values_of
from swe_router.records import Features
from swe_router.records.known_features import require_text
from swe_router.stats.arrays import Floats

Predictor = Callable[[Sequence[Features]], Floats]
"""Issues -> (n, m), one column an arm."""


DIMENSIONS = 48
"""Length of a text vector."""


class Texts:
    """Issue texts as unit vectors: TF-IDF of 1- and 2-grams, reduced by latent semantic analysis.

    The stand-in for every text embedding here. It learns from texts alone, no outcome; so the
    folds inside the training share it.
    """

    def __init__(self, training: Training) -> None:
        """Fit vocabulary and axes on the training."""
        self._tfidf = TfidfVectorizer(ngram_range=(1, 2), max_features=20_000, sublinear_tf=True,
                                      min_df=2 if len(training) > 20 else 1)  # fmt: skip
        self._axes: TruncatedSVD | None = None
        self._known: dict[str, Floats] = {}
        try:
            raw = self._tfidf.fit_transform([_words(text) for text in training.texts])
        except ValueError:  # no word at all
            return
        if min(raw.shape) < 3:
            return
        self._axes = TruncatedSVD(min(DIMENSIONS, min(raw.shape) - 1), random_state=0, n_iter=2)
        self._known = dict(zip(training.texts, _unit(self._axes.fit_transform(raw)), strict=True))

    def of(self, batch: Sequence[Features]) -> Floats:
        """(n, dimensions); all 0 when the training' texts told nothing apart."""
        if self._axes is None:
            return np.zeros((len(batch), 1))
        asked = [require_text(one) for one in batch]
        new = [text for text in asked if text not in self._known]
        if new:
            raw = self._tfidf.transform([_words(text) for text in new])
            self._known |= dict(zip(new, _unit(self._axes.transform(raw)), strict=True))
        return np.array([self._known[text] for text in asked]).reshape(len(batch), -1)


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.where(lengths > 0, lengths, 1.0)
    return unit


def _words(text: str) -> str:
    return text[:20_000] or "empty"


def texts(training: Training) -> Texts:
    """The vectors of these training."""
    return (training.whole or training).fit(("texts",), Texts)


def rows_of(training: Training) -> Floats:
    """Text vectors of the training themselves."""
    return training.fit(("text rows",), lambda known: texts(known).of(known.features))


class Numbers:
    """Standardised numeric features, log-scaled where they are counts.

    A feature that an issue lacks counts as the mean; with no feature at all there is one constant.
    """

    def __init__(self, training: Training) -> None:
        """Fit means and deviations on the training."""
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
        rows = np.array([values_of(one, self.names) for one in batch], dtype=float)
        rows = rows.reshape(len(batch), len(self.names))
        rows[~np.isfinite(rows)] = np.nan
        squeezed: Floats = np.sign(rows) * np.log1p(np.abs(rows))
        return squeezed


def numbers(training: Training) -> Numbers:
    """The scaled features of these training."""
    return training.fit(("numbers",), Numbers)


def per_arm(
    training: Training,
    rows: Any,
    target: Floats,
    make: Callable[[Any, Floats], Callable[[Any], Floats]],
) -> Callable[[Any], Floats]:
    """One model an arm, fitted where the target is known; the mean where it never varies."""
    models: list[Callable[[Any], Floats]] = []
    for column in range(len(training.arms)):
        known = np.flatnonzero(~np.isnan(target[:, column]))
        y = target[known, column]
        if len(known) == 0 or np.ptp(y) == 0:
            level = float(y[0]) if len(known) else float("nan")
            models.append(constant(level))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                models.append(make(rows[known], y))
    return lambda x: np.column_stack([model(x) for model in models])


def constant(level: float) -> Callable[[Any], Floats]:
    """The same for every row."""
    return lambda x: np.full(x.shape[0], level)


def logistic(x: Any, y: Floats, strength: float = 0.3) -> Callable[[Any], Floats]:
    """Logistic regression; a share resolved counts as that much of either class."""
    labels = np.repeat([1, 0], len(y))
    weights = np.concatenate([y, 1 - y])
    used = weights > 0
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-3)
    model.fit(np.vstack([x, x])[used], labels[used], sample_weight=weights[used])
    return lambda z: np.asarray(model.predict_proba(z)[:, 1])


def by_numbers(training: Training) -> Predictor:
    """Logistic regression an arm on the numeric features (text structure and graph)."""

    def make(known: Training) -> Predictor:
        scaled = numbers(known)
        models = per_arm(known, scaled.rows, known.resolved, lambda x, y: logistic(x, y, 0.05))
        return lambda batch: models(scaled.of(batch))

    return training.fit(("by_numbers",), make)


@lru_cache(maxsize=4096)
def _hashed(text: str) -> Floats:
    hashing = HashingVectorizer(n_features=256, ngram_range=(1, 2))
    row: Floats = np.asarray(hashing.transform([_words(text)]).todense())[0]
    return row


def hashed(batch: Sequence[Features]) -> Floats:
    """Hashed word 1- and 2-grams, (n, 256): fastText's buckets, few because the issues are few."""
    return np.array([_hashed(require_text(one)) for one in batch]).reshape(len(batch), -1)


def by_hashes(training: Training) -> Predictor:
    """FastText's shape without its trainer: hashed word n-grams into a linear classifier."""

    def make(known: Training) -> Predictor:
        rows = hashed(known.features)
        models = per_arm(known, rows, known.resolved, lambda x, y: logistic(x, y, 1.0))
        return lambda batch: models(hashed(batch))

    return training.fit(("by_hashes",), make)


def by_neighbours(training: Training, k: int) -> Predictor:
    """Mean of the k nearest issues by TF-IDF cosine (RouterBench's KNN router)."""

    def make(known: Training) -> Predictor:
        words = texts(known)
        near = NearestNeighbors(n_neighbors=min(k, len(known)), metric="cosine").fit(rows_of(known))

        def predict(batch: Sequence[Features]) -> Floats:
            found = near.kneighbors(words.of(batch), return_distance=False)
            rates: Floats = known.rates[found].mean(axis=1)
            return rates

        return predict

    return training.fit(("by_neighbours", k), make)


def by_network(training: Training, layers: tuple[int, ...], text: bool = False) -> Predictor:
    """A perceptron for all arms at once, on numbers or on text vectors."""

    def make(known: Training) -> Predictor:
        source: Any = texts(known) if text else numbers(known)
        rows = rows_of(known) if text else numbers(known).rows
        net = MLPRegressor(hidden_layer_sizes=layers, alpha=1.0, max_iter=60, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net.fit(rows, known.rates if len(known.arms) > 1 else known.rates.ravel())
        size = len(known.arms)
        return lambda batch: np.clip(net.predict(source.of(batch)).reshape(-1, size), 0, 1)

    return training.fit(("by_network", layers, text), make)


def by_forest(
    training: Training, trees: int = 60
) -> Callable[[Sequence[Features]], tuple[Floats, Floats]]:
    """Random forest on the numbers: mean and spread over trees, each (n, m)."""

    def make(known: Training) -> Callable[[Sequence[Features]], tuple[Floats, Floats]]:
        scaled = numbers(known)
        leaf = min(8, max(1, len(known) // 4))
        forest = RandomForestRegressor(trees, min_samples_leaf=leaf, random_state=0, max_depth=6)
        forest.fit(scaled.rows, known.rates if len(known.arms) > 1 else known.rates.ravel())
        size = len(known.arms)

        def predict(batch: Sequence[Features]) -> tuple[Floats, Floats]:
            # The trees themselves: the wrapper's checks cost more than the trees.
            x = scaled.of(batch).astype(np.float32)
            each = np.stack([t.tree_.predict(x).reshape(-1, size) for t in forest.estimators_])
            return each.mean(axis=0), each.std(axis=0)

        return predict

    return training.fit(("by_forest", trees), make)


class Clusters:
    """KMeans over unit TF-IDF vectors, with each arm's mean in each cluster."""

    def __init__(self, training: Training, k: int) -> None:
        """Fit ``k`` clusters, fewer when there are fewer texts."""
        self._words = texts(training)
        rows = rows_of(training)
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
            # Two issues' worth of the overall mean: small clusters say little.
            out[cluster] = (np.nansum(rows, axis=0) + 2 * overall) / (known + 2)
        return out


def clusters(training: Training, k: int) -> Clusters:
    """The clusters of these training."""
    return training.fit(("clusters", k), lambda known: Clusters(known, k))


def cost(training: Training) -> Predictor:
    """Expected USD an arm: ridge on log cost with Duan's smearing, on the numeric features."""

    def make(known: Training) -> Predictor:
        scaled = numbers(known)

        def one(x: Any, y: Floats) -> Callable[[Any], Floats]:
            logs = np.log(np.maximum(y, 1e-6))
            model = Ridge(alpha=50.0).fit(x, logs)
            smear = float(np.exp(logs - model.predict(x)).mean())
            return lambda z: np.asarray(np.exp(model.predict(z)) * smear)

        ceiling = known.prices.max(axis=0)
        models = per_arm(known, scaled.rows, known.usd, one)
        return lambda batch: np.minimum(models(scaled.of(batch)), ceiling)

    return training.fit(("cost",), make)
