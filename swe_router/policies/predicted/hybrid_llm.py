"""Hybrid LLM (arXiv 2404.14618): predict that the small model is at least as good; three labels.

det: 1 when the small model's quality is no less. prob: the probability of that over repeated
runs. trans: P(gap >= -t), with t chosen to spread the labels (maximal mean pairwise difference).
A tie in failure counts for the small model: hopeless issues go to the cheap tier.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.prediction.estimators import Predictor, constant, logistic, rows_of, texts
from swe_router.estimates.prediction.training import Training
from swe_router.policies.predicted.climbing import Climbing, ClimbKnobs
from swe_router.policies.predicted.routellm import columns
from swe_router.records import Example, Features
from swe_router.stats.arrays import Floats

ENCODER = "TF-IDF and logistic regression for the fine-tuned DeBERTa"
LEAST = 6
"""Issues with repeats that a fit needs."""


class Deterministic(Climbing[ClimbKnobs]):
    """Labels from one run each: whether the lower tier is no worse."""

    name: ClassVar[str] = "hybrid-llm-det"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.1"
    surrogate: ClassVar[str] = ENCODER
    least_runs: ClassVar[int] = 1
    """Runs that both tiers of a pair must have on an issue."""

    def scorer(self, lessons: Training) -> Predictor:
        """1 - P(the lower tier is no worse), for each rung but the last."""
        words, fits = texts(lessons), []
        for low, high in itertools.pairwise(lessons.arms):
            rows = [n for n, e in enumerate(lessons.examples) if self._serves(e, low, high)]
            if self.least_runs > 1 and len(rows) < LEAST:
                raise UsageError(f"needs {self.needs}")
            y = self.labels([qualities(lessons.examples[n], low, high) for n in rows])
            fitted = len(y) > 0 and np.ptp(y) > 0
            fits.append(logistic(rows_of(lessons)[rows], y, 1.0) if fitted
                        else constant(float(y.mean()) if len(y) else 0.5))  # fmt: skip

        def predict(batch: Sequence[Features]) -> Floats:
            x = words.of(batch)
            return columns([1 - fit(x) for fit in fits], len(batch))

        return predict

    needs: ClassVar[str] = ""

    def labels(self, runs: Sequence[tuple[Floats, Floats]]) -> Floats:
        """Soft labels in [0, 1], an issue each, from the qualities of (lower, upper) runs."""
        return np.array([float(low[0] >= high[0]) for low, high in runs])

    def _serves(self, example: Example, low: str, high: str) -> bool:
        return all(len(example.runs.get(arm, ())) >= self.least_runs for arm in (low, high))


class Probabilistic(Deterministic):
    """Labels from repeated runs: the share of pairs of runs in which the lower is no worse."""

    name: ClassVar[str] = "hybrid-llm-prob"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.2"
    needs: ClassVar[str] = f"real repeats: two runs of each tier on {LEAST} issues or more"
    least_runs: ClassVar[int] = 2

    def labels(self, runs: Sequence[tuple[Floats, Floats]]) -> Floats:
        """P(lower >= upper) over all pairs of runs."""
        return no_worse(runs, 0.0)


class Transformed(Probabilistic):
    """Labels P(lower >= upper - t), with the t that spreads them most.

    Pass and fail alone give every t below 1 the same labels, so that a quality is the mean of two
    runs here, over all pairs of runs: 0, 0.5 or 1.
    """

    name: ClassVar[str] = "hybrid-llm-trans"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.3"

    def labels(self, runs: Sequence[tuple[Floats, Floats]]) -> Floats:
        """With t*, the lowest that has the highest mean pairwise difference of labels."""
        graded = [(by_two(low), by_two(high)) for low, high in runs]
        return no_worse(graded, best_shift(graded))


def qualities(example: Example, low: str, high: str) -> tuple[Floats, Floats]:
    """1 where a run resolved, for the runs of two arms."""
    low_, high_ = (np.array([float(r.resolved) for r in example.runs[a]]) for a in (low, high))
    return low_, high_


def by_two(quality: Floats) -> Floats:
    """Mean of each pair of runs."""
    return np.array([sum(pair) / 2 for pair in itertools.combinations(quality, 2)])


def no_worse(runs: Sequence[tuple[Floats, Floats]], shift: float) -> Floats:
    """P(lower >= upper - shift) over all pairs, for each issue."""
    return np.array([float((low[:, None] >= high[None, :] - shift).mean()) for low, high in runs])


def best_shift(runs: Sequence[tuple[Floats, Floats]]) -> float:
    """t* = argmax over t of the mean of |y_i(t) - y_j(t)| (equation 3); t at observed gaps."""
    gaps = {float(g) for low, high in runs for g in (high[None, :] - low[:, None]).ravel()}
    options = sorted({0.0, *(gap for gap in gaps if gap > 0)})

    def spread(shift: float) -> float:
        y = no_worse(runs, shift)
        return float(np.abs(y[:, None] - y[None, :]).mean())

    return max(options, key=lambda t: (round(spread(t), 12), -t))
