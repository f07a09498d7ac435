"""Risk-controlled acceptance: a bound on false accepts sets the threshold.

The bound is Clopper-Pearson's on the share of wrong patches that would be accepted, on scores by
fits without an issue's repository (conformal risk control; UCCI arXiv 2605.18796). The wrong runs
of one issue are not independent: together they count as one, as in ``selective_threshold``.
With too few wrong issues or repositories to show a bound, nothing is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from swe_router.estimates.acceptance.selective_threshold import MIN_REPOS
from swe_router.estimates.prediction.run_scorer import (
    WeightedRuns,
    held_out_scores,
    run_scorer,
    threshold_grid,
)
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs, rung_of
from swe_router.policies.cascades.climb import LadderCascade, StopJudgement
from swe_router.policies.escalation_order import EscalationKnobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.records import Features, Outcome
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import clopper_pearson_upper


class ConformalGateKnobs(EscalationKnobs):
    """Knobs of ``conformal``."""

    alpha: float = Field(default=0.3, gt=0, lt=1)
    """Maximum share of wrong patches that may be accepted."""
    delta: float = Field(default=0.05, gt=0, lt=1)
    """Probability that the bound does not hold."""


class ConformalGate(LearnedPolicy[ConformalGateKnobs], LadderCascade[ConformalGateKnobs]):
    """Accept above the lowest threshold whose false-accept bound holds; else escalate.

    The bound is monotone in the threshold, so no multiple-testing correction is needed.
    """

    name: ClassVar[str] = "conformal"
    source: ClassVar[str] = "Clopper-Pearson gate; UCCI (arXiv 2605.18796), CP-Router"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = ConformalGateKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"alpha": alpha} for alpha in (0.1, 0.2, 0.4, 0.6)
    )

    def learn(self, training: Training) -> None:
        """Fit the scorer and the thresholds."""
        for arm in training.arms[:-1]:
            self._threshold(training, arm)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Zeros: nothing is predicted before a run."""
        return np.zeros((len(batch), 1))

    def judge(self, outcome: Outcome, spent: float) -> StopJudgement:
        """Compare the score with the arm's threshold; the strongest tier needs none."""
        last = outcome
        if rung_of(self.ladder, last) == len(self.ladder) - 1:
            return StopJudgement(True, f"{last.arm} is the strongest tier")
        score = run_scorer(self.training).score(last)
        bar = self._threshold(self.training, str(last.arm))
        if bar > 1:
            return StopJudgement(False, f"no gate for {last.arm} can be shown to hold")
        result = f"{last.arm}'s patch scores {score:.2f}, gate {bar:.2f}"
        return StopJudgement(score >= bar, result)

    def _threshold(self, training: Training, arm: str) -> float:
        alpha, delta = self.knobs.alpha, self.knobs.delta

        def make(known: Training) -> float:
            runs, scores = held_out_scores(known, arm)
            wrong, issues = wrong_patch_weights(runs)
            if len(set(known.groups[issues].tolist())) < MIN_REPOS:
                return 1.1
            for bar in threshold_grid(scores, 25):
                accepted = float(wrong[scores >= bar].sum())
                if clopper_pearson_upper(accepted, len(issues), delta) <= alpha:
                    return float(bar)
            return 1.1

        return training.fit(("gate", arm, alpha, delta), make)


def wrong_patch_weights(runs: WeightedRuns) -> tuple[Floats, NDArray[np.intp]]:
    """Weight of each run as a wrong patch, (n,), 1 per issue in sum; these issues."""
    wrong = runs.weight * (1 - runs.right)
    issue = runs.issue.astype(int)
    of_issue = np.bincount(issue, wrong)
    shared: Floats = wrong / np.where(of_issue > 0, of_issue, 1.0)[issue]
    return shared, np.flatnonzero(of_issue > 0)
