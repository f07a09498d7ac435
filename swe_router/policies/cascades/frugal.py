"""FrugalGPT (arXiv 2305.05176): a learned scorer and one acceptance threshold per tier."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.run_scorer import (
    held_out_or_fitted_scores,
    run_scorer,
    threshold_grid,
)
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.cascades.climb import LadderCascade, StopJudgement
from swe_router.policies.escalation_order import EscalationKnobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.records import Features, Outcome
from swe_router.stats.arrays import Floats


class FrugalGptKnobs(EscalationKnobs):
    """Knobs of ``frugalgpt``."""

    value: float = Field(default=2.0, gt=0)
    """USD that a resolved issue is worth: thresholds maximise the net value."""


class FrugalGpt(LearnedPolicy[FrugalGptKnobs], LadderCascade[FrugalGptKnobs]):
    """Accept a patch when P(right | verdict, cost, steps) is over the tier's threshold.

    A grid search over score quantiles finds the thresholds of all tiers together; it maximises
    value * resolved - cost. Scores come from fits without the issue's repository, where there are
    several. (The published code fits scorer and thresholds on one split.)
    """

    name: ClassVar[str] = "frugalgpt"
    source: ClassVar[str] = "FrugalGPT (arXiv 2305.05176), sections 3 and 4"
    surrogate: ClassVar[str] = "logistic regression on what a run leaves for DistilBERT"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = FrugalGptKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"value": value} for value in (0.1, 0.3, 1.0, 5.0, 20.0)
    )

    def learn(self, training: Training) -> None:
        """Fit scorer and thresholds."""
        run_scorer(training)
        self._thresholds(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Zeros: nothing is predicted before a run."""
        return np.zeros((len(batch), 1))

    def judge(self, outcome: Outcome, spent: float) -> StopJudgement:
        """Compare the score with the tier's threshold."""
        last = outcome
        score = run_scorer(self.training).score(last)
        bar = self._thresholds(self.training)[str(last.arm)]
        result = f"{last.arm}'s patch scores {score:.2f}, threshold {bar:.2f}"
        return StopJudgement(score >= bar, f"accepted: {result}" if score >= bar else result)

    def _thresholds(self, training: Training) -> dict[str, float]:
        return training.fit(("frugal", self.knobs.value), self._search)

    def _search(self, training: Training) -> dict[str, float]:
        """Thresholds per tier: a full grid for up to three tiers, else two rounds per tier."""
        arms = training.arms[:-1]
        grids = [threshold_grid(held_out_or_fitted_scores(training, arm)[1]) for arm in arms]
        if len(arms) <= 2:
            best = max(itertools.product(*grids), key=lambda bars: self._net_value(training, bars))
        else:
            chosen = [float(np.median(g)) for g in grids]
            for _ in range(2):
                for place, options in enumerate(grids):
                    chosen[place] = max(
                        options,
                        key=lambda bar, place=place: self._net_value(  # type: ignore[misc]
                            training, [*chosen[:place], bar, *chosen[place + 1 :]]
                        ),
                    )
            best = tuple(chosen)
        return {**dict(zip(arms, map(float, best), strict=True)), training.arms[-1]: 0.0}

    def _net_value(self, training: Training, bars: Sequence[Any]) -> float:
        """Mean net USD per issue of the training data, in expectation over verdicts."""
        reach, earned = np.ones(len(training)), np.zeros(len(training))
        for place in range(len(training.arms)):
            if place < len(bars):
                accept, kept = _accept_rates(training, place, bars[place])
            else:
                accept, kept = np.ones(len(training)), training.rates[:, place]
            earned += reach * (self.knobs.value * kept - training.prices[:, place])
            reach = reach * (1 - accept)
        return float(earned.mean())


def _accept_rates(training: Training, place: int, bar: float) -> tuple[Floats, Floats]:
    """P(a run is accepted) and P(it is accepted and right) per issue, (n,) each.

    The product is taken run by run, since a scorer may separate the runs of one issue too.
    An issue without a scored run gets the mean of the others.
    """
    runs, scores = held_out_or_fitted_scores(training, training.arms[place])
    issue, size = runs.issue.astype(int), len(training)
    taken = runs.weight * (scores >= bar)
    count = np.bincount(issue, runs.weight, size)
    known = count > 0
    accept, kept = (np.bincount(issue, column, size) / np.where(known, count, 1.0)
                    for column in (taken, taken * runs.right))  # fmt: skip
    return np.where(known, accept, accept[known].mean()), np.where(known, kept, kept[known].mean())
