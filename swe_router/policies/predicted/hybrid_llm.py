"""Hybrid LLM (arXiv 2404.14618): predict that the small model is at least as good; three labels.

det: 1 when the small model's quality is no less. prob: the probability of that over repeated
runs. trans: P(gap >= -t), with t chosen to spread the labels (maximal mean pairwise difference).
A tie in failure counts for the small model: hopeless issues go to the cheap tier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.recipes import Predictor, logistic, rows_of, texts
from swe_router.estimates.training import Floats, Training
from swe_router.policies.predicted.climbing import Climbing, ClimbKnobs
from swe_router.policies.predicted.routellm import columns
from swe_router.records import Features

ENCODER = "TF-IDF and logistic regression for the fine-tuned DeBERTa"


class Deterministic(Climbing[ClimbKnobs]):
    """Labels from one run each: whether the lower tier is no worse."""

    name: ClassVar[str] = "hybrid-llm-det"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.1"
    surrogate: ClassVar[str] = ENCODER

    def scorer(self, lessons: Training) -> Predictor:
        """1 - P(the lower tier is no worse), for each rung but the last."""
        words = texts(lessons)
        fits = []
        for column in range(len(lessons.arms) - 1):
            y = self.labels(lessons, column)
            level = float(y.mean())
            fits.append(logistic(rows_of(lessons), y, 1.0) if np.ptp(y) > 0 else _level(level))

        def predict(batch: Sequence[Features]) -> Floats:
            x = words.of(batch)
            return columns([1 - fit(x) for fit in fits], len(batch))

        return predict

    def labels(self, lessons: Training, column: int) -> Floats:
        """Soft labels in [0, 1] for the pair (column, column + 1), an issue each."""
        low, high = _first(lessons, column), _first(lessons, column + 1)
        return (low >= high).astype(float)


class Probabilistic(Deterministic):
    """Labels from repeated runs: the share of pairs of runs in which the lower is no worse."""

    name: ClassVar[str] = "hybrid-llm-prob"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.2"
    needs: ClassVar[str] = "real repeats: more than one run of a tier on an issue"

    def labels(self, lessons: Training, column: int) -> Floats:
        """P(lower >= upper) over all pairs of runs."""
        return np.array([gaps.mean() for gaps in _pairs(self, lessons, column, 0.0)])


class Transformed(Deterministic):
    """Labels P(lower >= upper - t), with the t that spreads them most."""

    name: ClassVar[str] = "hybrid-llm-trans"
    source: ClassVar[str] = "Hybrid LLM (arXiv 2404.14618), section 3.3"
    needs: ClassVar[str] = "real repeats: more than one run of a tier on an issue"

    def labels(self, lessons: Training, column: int) -> Floats:
        """With t from a grid; quality is the running resolve rate of an arm's repeats."""
        best, found = -1.0, np.zeros(len(lessons))
        for t in (0.0, 0.1, 0.2, 0.3, 0.5):
            y = np.array([gaps.mean() for gaps in _pairs(self, lessons, column, t)])
            spread = float(np.abs(y[:, None] - y[None, :]).mean())
            if spread > best:
                best, found = spread, y
        return found


def _level(level: float) -> Callable[[Floats], Floats]:
    return lambda x: np.full(len(x), level)


def _first(lessons: Training, column: int) -> Floats:
    arm = lessons.arms[column]
    return np.array([float(e.runs[arm][0].resolved) if e.runs.get(arm) else 0.5
                     for e in lessons.examples])  # fmt: skip


def _pairs(
    policy: Probabilistic | Transformed, lessons: Training, column: int, t: float
) -> list[Floats]:
    """For each issue, 1 where a run of the lower is no worse than one of the upper less ``t``."""
    low, high = lessons.arms[column], lessons.arms[column + 1]
    if all(len(e.runs.get(arm, ())) < 2 for e in lessons.examples for arm in (low, high)):
        raise UsageError(f"needs {policy.needs}")
    out = []
    for example in lessons.examples:
        a = np.array([float(run.resolved) for run in example.runs.get(low, ())] or [0.5])
        b = np.array([float(run.resolved) for run in example.runs.get(high, ())] or [0.5])
        mean_a, mean_b = (a + a.mean()) / 2, (b + b.mean()) / 2
        out.append((mean_a[:, None] >= mean_b[None, :] - t).astype(float))
    return out
