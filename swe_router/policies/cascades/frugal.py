"""FrugalGPT (arXiv 2305.05176): a learned scorer and one acceptance threshold a tier."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.run_scorer import grid, scorer, usual_scores
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.cascades.climb import Climb, Judgement
from swe_router.policies.escalation_order import Escalation
from swe_router.policies.learned import Learned
from swe_router.records import Features, Outcome
from swe_router.stats.arrays import Floats


class FrugalKnobs(Escalation):
    """Knobs of ``frugalgpt``."""

    value: float = Field(default=2.0, gt=0)
    """USD that a resolved issue is worth: thresholds are set to earn the most."""


class Frugal(Learned[FrugalKnobs], Climb[FrugalKnobs]):
    """Accept a patch when P(right | verdict, cost, steps) is over the tier's threshold.

    The thresholds are found by grid over quantiles of scores from fits without an issue's
    repository (where there are several), all tiers at once, for value * resolved - cost. (The
    published code fits scorer and thresholds on one split.)
    """

    name: ClassVar[str] = "frugalgpt"
    source: ClassVar[str] = "FrugalGPT (arXiv 2305.05176), sections 3 and 4"
    surrogate: ClassVar[str] = "logistic regression on what a run leaves for DistilBERT"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = FrugalKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"value": value} for value in (0.1, 0.3, 1.0, 5.0, 20.0)
    )

    def learn(self, lessons: Training) -> None:
        """Fit scorer and thresholds."""
        scorer(lessons)
        self._bars(lessons)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Nothing is predicted before a run."""
        return np.zeros((len(batch), 1))

    def judge(self, outcome: Outcome, spent: float) -> Judgement:
        """Score against threshold."""
        last = outcome
        score = scorer(self.lessons).seen(last)
        bar = self._bars(self.lessons)[str(last.arm)]
        said = f"{last.arm}'s patch scores {score:.2f}, threshold {bar:.2f}"
        return Judgement(score >= bar, f"accepted: {said}" if score >= bar else said)

    def _bars(self, lessons: Training) -> dict[str, float]:
        return lessons.fit(("frugal", self.knobs.value), self._search)

    def _search(self, lessons: Training) -> dict[str, float]:
        """All tiers at once up to three of them; else two rounds of one tier at a time."""
        arms = lessons.arms[:-1]
        grids = [grid(usual_scores(lessons, arm)[1]) for arm in arms]
        if len(arms) <= 2:
            best = max(itertools.product(*grids), key=lambda bars: self._worth(lessons, bars))
        else:
            chosen = [float(np.median(g)) for g in grids]
            for _ in range(2):
                for place, options in enumerate(grids):
                    chosen[place] = max(
                        options,
                        key=lambda bar, place=place: self._worth(  # type: ignore[misc]
                            lessons, [*chosen[:place], bar, *chosen[place + 1 :]]
                        ),
                    )
            best = tuple(chosen)
        return {**dict(zip(arms, map(float, best), strict=True)), lessons.arms[-1]: 0.0}

    def _worth(self, lessons: Training, bars: Sequence[Any]) -> float:
        """Mean USD that the cascade earns on the lessons, verdicts in expectation."""
        reach, earned = np.ones(len(lessons)), np.zeros(len(lessons))
        for place in range(len(lessons.arms)):
            if place < len(bars):
                accept, kept = _passed(lessons, place, bars[place])
            else:
                accept, kept = np.ones(len(lessons)), lessons.rates[:, place]
            earned += reach * (self.knobs.value * kept - lessons.prices[:, place])
            reach = reach * (1 - accept)
        return float(earned.mean())


def _passed(lessons: Training, place: int, bar: float) -> tuple[Floats, Floats]:
    """P(a run is accepted) and P(it is accepted and right), an issue each, (n,).

    The product is taken run by run: a scorer is worth what it tells apart inside an issue too.
    Issues without a scored run have the mean of the others.
    """
    runs, scores = usual_scores(lessons, lessons.arms[place])
    issue, size = runs.issue.astype(int), len(lessons)
    taken = runs.weight * (scores >= bar)
    count = np.bincount(issue, runs.weight, size)
    known = count > 0
    accept, kept = (np.bincount(issue, column, size) / np.where(known, count, 1.0)
                    for column in (taken, taken * runs.right))  # fmt: skip
    return np.where(known, accept, accept[known].mean()), np.where(known, kept, kept[known].mean())
