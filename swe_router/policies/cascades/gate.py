"""Risk-controlled acceptance: accept only as many as a bound on the false accepts allows.

The bound is Clopper-Pearson's on the share of wrong patches that would be accepted, on scores by
fits without an issue's repository (conformal risk control; UCCI arXiv 2605.18796). Wrong runs of
one issue are no independent witnesses: together they count as one, as in ``estimates.bounds``.
With too few wrong issues to show any bound, or of too few repositories, nothing is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from swe_router.estimates.acceptance.selective_threshold import MIN_REPOS
from swe_router.estimates.prediction.run_scorer import RunFeatures, blind_scores, grid, scorer
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs, rung_of
from swe_router.policies.cascades.climb import Climb, Judgement
from swe_router.policies.escalation_order import Escalation
from swe_router.policies.learned import Learned
from swe_router.records import Features, Outcome
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import clopper_pearson_upper


class GateKnobs(Escalation):
    """Knobs of ``conformal``."""

    alpha: float = Field(default=0.3, gt=0, lt=1)
    """Highest share of wrong patches that may be accepted."""
    delta: float = Field(default=0.05, gt=0, lt=1)
    """Chance that the bound is broken."""


class Gate(Learned[GateKnobs], Climb[GateKnobs]):
    """Accept above the lowest threshold whose false-accept bound holds; else climb.

    For a fixed number of wrong issues the bound falls as the threshold rises, so that the lowest
    one that holds is also the last of a descent from the strictest: no correction is owed.
    """

    name: ClassVar[str] = "conformal"
    source: ClassVar[str] = "Clopper-Pearson gate; UCCI (arXiv 2605.18796), CP-Router"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = GateKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"alpha": alpha} for alpha in (0.1, 0.2, 0.4, 0.6)
    )

    def learn(self, lessons: Training) -> None:
        """Fit scorer and gates."""
        for arm in lessons.arms[:-1]:
            self._bar(lessons, arm)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Nothing is predicted before a run."""
        return np.zeros((len(batch), 1))

    def judge(self, outcome: Outcome, spent: float) -> Judgement:
        """Score against the gate of the arm; the strongest tier needs none."""
        last = outcome
        if rung_of(self.ladder, last) == len(self.ladder) - 1:
            return Judgement(True, f"{last.arm} is the strongest tier")
        score = scorer(self.lessons).seen(last)
        bar = self._bar(self.lessons, str(last.arm))
        if bar > 1:
            return Judgement(False, f"no gate for {last.arm} can be shown to hold")
        said = f"{last.arm}'s patch scores {score:.2f}, gate {bar:.2f}"
        return Judgement(score >= bar, said)

    def _bar(self, lessons: Training, arm: str) -> float:
        alpha, delta = self.knobs.alpha, self.knobs.delta

        def make(known: Training) -> float:
            runs, scores = blind_scores(known, arm)
            wrong, issues = witnesses(runs)
            if len(set(known.groups[issues].tolist())) < MIN_REPOS:
                return 1.1
            for bar in grid(scores, 25):
                let_through = float(wrong[scores >= bar].sum())
                if clopper_pearson_upper(let_through, len(issues), delta) <= alpha:
                    return float(bar)
            return 1.1

        return lessons.fit(("gate", arm, alpha, delta), make)


def witnesses(runs: RunFeatures) -> tuple[Floats, NDArray[np.intp]]:
    """What each run counts as a wrong patch, (n,), 1 an issue in sum; rows of these issues."""
    wrong = runs.weight * (1 - runs.right)
    issue = runs.issue.astype(int)
    of_issue = np.bincount(issue, wrong)
    shared: Floats = wrong / np.where(of_issue > 0, of_issue, 1.0)[issue]
    return shared, np.flatnonzero(of_issue > 0)
