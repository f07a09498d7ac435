"""Hybrid LLM (arXiv 2404.14618): predict if the small model is at least as good; three labels.

det: 1 when the small model's quality is no lower. prob: the probability of that over repeated
runs. trans: P(gap >= -t), with t chosen to spread the labels (maximal mean pairwise difference).
A tie in failure counts for the small model: hopeless issues go to the cheap tier.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.prediction.estimators import (
    Predictor,
    constant_model,
    logistic_model,
    text_vectors,
    training_vectors,
)
from swe_router.estimates.prediction.training import Training
from swe_router.policies.predicted.climbing import NeedScoreKnobs, NeedScoreRouter
from swe_router.policies.predicted.routellm import stack_columns
from swe_router.records import Example, Features
from swe_router.stats.arrays import Floats

ENCODER = "TF-IDF and logistic regression for the fine-tuned DeBERTa"
MIN_ISSUES = 6
"""Issues with repeated runs that a fit needs."""


class HybridLlmDeterministic(NeedScoreRouter[NeedScoreKnobs]):
    """Labels from one run each: whether the lower tier is no worse."""

    name: ClassVar[str] = "hybrid-llm-det"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.1"
    surrogate: ClassVar[str] = ENCODER
    min_runs: ClassVar[int] = 1
    """Runs that both tiers of a pair must have on an issue."""

    def scorer(self, training: Training) -> Predictor:
        """1 - P(the lower tier is no worse), for each rung but the last."""
        words, fits = text_vectors(training), []
        for low, high in itertools.pairwise(training.arms):
            rows = [n for n, e in enumerate(training.examples) if self._has_runs(e, low, high)]
            if self.min_runs > 1 and len(rows) < MIN_ISSUES:
                raise UsageError(f"needs {self.needs}")
            y = self.labels([run_qualities(training.examples[n], low, high) for n in rows])
            fitted = len(y) > 0 and np.ptp(y) > 0
            fits.append(logistic_model(training_vectors(training)[rows], y, 1.0) if fitted
                        else constant_model(float(y.mean()) if len(y) else 0.5))  # fmt: skip

        def predict(batch: Sequence[Features]) -> Floats:
            x = words.of(batch)
            return stack_columns([1 - fit(x) for fit in fits], len(batch))

        return predict

    needs: ClassVar[str] = ""

    def labels(self, runs: Sequence[tuple[Floats, Floats]]) -> Floats:
        """Soft labels in [0, 1], (n,), from the qualities of each issue's (lower, upper) runs."""
        return np.array([float(low[0] >= high[0]) for low, high in runs])

    def _has_runs(self, example: Example, low: str, high: str) -> bool:
        return all(len(example.runs.get(arm, ())) >= self.min_runs for arm in (low, high))


class HybridLlmProbabilistic(HybridLlmDeterministic):
    """Labels from repeated runs: the share of pairs of runs in which the lower is no worse."""

    name: ClassVar[str] = "hybrid-llm-prob"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.2"
    needs: ClassVar[str] = f"real repeats: two runs of each tier on {MIN_ISSUES} issues or more"
    min_runs: ClassVar[int] = 2

    def labels(self, runs: Sequence[tuple[Floats, Floats]]) -> Floats:
        """P(lower >= upper) over all pairs of runs."""
        return no_worse_rates(runs, 0.0)


class HybridLlmTransformed(HybridLlmProbabilistic):
    """Labels P(lower >= upper - t), with the t that spreads them most.

    With 0/1 qualities every t below 1 gives the same labels. Here a quality is therefore the mean
    of a pair of runs, over all pairs: 0, 0.5 or 1.
    """

    name: ClassVar[str] = "hybrid-llm-trans"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.3"

    def labels(self, runs: Sequence[tuple[Floats, Floats]]) -> Floats:
        """Labels at t*, the lowest t with the highest mean pairwise difference of labels."""
        graded = [(pair_means(low), pair_means(high)) for low, high in runs]
        return no_worse_rates(graded, best_shift(graded))


def run_qualities(example: Example, low: str, high: str) -> tuple[Floats, Floats]:
    """1 where a run resolved, for the runs of two arms."""
    low_, high_ = (np.array([float(r.resolved) for r in example.runs[a]]) for a in (low, high))
    return low_, high_


def pair_means(quality: Floats) -> Floats:
    """Mean of each pair of runs."""
    return np.array([sum(pair) / 2 for pair in itertools.combinations(quality, 2)])


def no_worse_rates(runs: Sequence[tuple[Floats, Floats]], shift: float) -> Floats:
    """P(lower >= upper - shift) over all pairs of runs, per issue, (n,)."""
    return np.array([float((low[:, None] >= high[None, :] - shift).mean()) for low, high in runs])


def best_shift(runs: Sequence[tuple[Floats, Floats]]) -> float:
    """t* = argmax over t of the mean of |y_i(t) - y_j(t)| (equation 3); t at observed gaps."""
    gaps = {float(g) for low, high in runs for g in (high[None, :] - low[:, None]).ravel()}
    options = sorted({0.0, *(gap for gap in gaps if gap > 0)})

    def spread(shift: float) -> float:
        y = no_worse_rates(runs, shift)
        return float(np.abs(y[:, None] - y[None, :]).mean())

    return max(options, key=lambda t: (round(spread(t), 12), -t))
