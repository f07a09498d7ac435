"""P(a patch is right | what its run left behind): verdict, probability, cost and steps, per arm.

The scorer of FrugalGPT, AutoMix's bins and the gates: what a policy may see after a run. A verdict
that the training data gives as a probability counts as that much of either verdict. The verifiers'
own P(right) is a further observation where it is known both in the training data and of the run;
it can only raise the score. Where it is unknown nothing is put in its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.prediction.training import Training
from swe_router.records import Outcome
from swe_router.stats.arrays import Floats
from swe_router.stats.logistic import Sign, fitted, sigmoid

SIGNS = (
    Sign("verdict", 0, strength=1.0),
    Sign("log USD", 0, strength=1.0),
    Sign("log steps", 0, strength=1.0),
    Sign("log odds of P(right)", +1, strength=1.0),
)
"""What is known of the weights of ``RunFeatures.x``, in standard deviations."""
BIAS_STRENGTH = 1e-3
"""Hardly any: the base rate is what the runs say it is."""


@dataclass(frozen=True)
class RunFeatures:
    """All recorded runs of an arm as weighted observations."""

    x: Floats
    """(n, 4): verdict (1 passed, 0 not), log USD, log steps, log odds of the verifiers' own
    P(right), NaN where that is unknown."""
    right: Floats
    """(n,) official verdicts."""
    weight: Floats
    """(n,) probability of the verdict in ``x``."""
    issue: Floats
    """(n,) row of the issue in the training."""


def runs_of(training: Training, arm: str) -> RunFeatures:
    """The runs of an arm; each stands once for either verdict that it may have got."""
    rows = []
    for number, example in enumerate(training.examples):
        for run in example.runs.get(arm, ()):
            passed = 0.5 if run.passes is None else run.passes
            spent = math.nan if run.usd is None else math.log(max(run.usd, 1e-4))
            steps = math.nan if run.steps is None else math.log1p(run.steps)
            left = (spent, steps, _odds(run.probability))
            rows += [
                (verdict, *left, float(run.resolved), part, float(number))
                for verdict, part in ((1.0, passed), (0.0, 1 - passed))
                if part > 0
            ]
    table = np.array(rows, dtype=float).reshape(-1, 7)
    for column in (1, 2):  # an unknown effort is the usual one, never none
        bare = np.isnan(table[:, column])
        table[bare, column] = 0.0 if bare.all() else np.nanmean(table[:, column])
    return RunFeatures(table[:, :4], table[:, 4], table[:, 5], table[:, 6])


def _odds(probability: float | None) -> float:
    """Log odds, held to those of one in a thousand; NaN where it is unknown."""
    if probability is None:
        return math.nan
    held = min(0.999, max(0.001, probability))
    return math.log(held / (1 - held))


class Scorer:
    """P(right) of a run of each arm."""

    def __init__(self, training: Training) -> None:
        """Fit one logistic regression an arm."""
        self._models = {}
        for arm in training.arms:
            known = runs_of(training, arm)
            mean, scale = _spread(known.x)
            self._models[arm] = (mean, scale, _fit(_standard(known.x, mean, scale), known))

    def of(self, arm: str, x: Floats) -> Floats:
        """Probabilities for observations (n, 4) of an arm."""
        mean, scale, weights = self._models[arm]
        held = np.clip(_standard(x, mean, scale), -4, 4)
        z = np.column_stack([np.ones(len(x)), held]) @ weights
        return sigmoid(np.clip(z, -30, 30))

    def seen(self, outcome: Outcome) -> float:
        """Probability for what a policy looks back on; 0 without a patch or for an unknown arm."""
        bare = outcome.candidate is None or not outcome.candidate.patch
        if bare or str(outcome.arm) not in self._models:
            return 0.0
        return float(self.of(str(outcome.arm), observed(outcome)[None])[0])


def observed(outcome: Outcome) -> Floats:
    """(4,): verdict, log USD, log steps, log odds of P(right), as in ``RunFeatures.x``."""
    spent = float(outcome.attempt.trajectory.usd)
    steps = outcome.attempt.trajectory.steps
    effort = (math.log(max(spent, 1e-4)), math.log1p(steps))
    return np.array([float(outcome.accepted), *effort, _odds(outcome.probability)])


def _spread(x: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column's known values; (0, 1) where none is known."""
    bare = np.isnan(x).all(axis=0)
    filled = np.where(bare, 0.0, x)
    return np.nanmean(filled, axis=0), np.maximum(np.nanstd(filled, axis=0), 1e-6)


def _standard(x: Floats, mean: Floats, scale: Floats) -> Floats:
    """Columns in standard deviations from the mean; what is unknown stands at the mean."""
    out: Floats = np.nan_to_num((x - mean) / scale, nan=0.0)
    return out


def _fit(z: Floats, known: RunFeatures) -> Floats:
    """Weights (5,) with intercept; that of the last column, P(right), is held to 0 or more."""
    bias, weights = fitted(z, known.right, known.weight, SIGNS, bias_strength=BIAS_STRENGTH)
    return np.array([bias, *weights])


def scorer(training: Training) -> Scorer:
    """The scorer of these training."""
    return training.fit(("scorer",), Scorer)


def blind_scores(training: Training, arm: str) -> tuple[RunFeatures, Floats]:
    """The runs of an arm that fits without their repository could score, and these scores.

    None of a single repository. Where the rest of a fold lacks an arm there is no fit either:
    the fold's runs are left out.
    """

    def make(known: Training) -> tuple[RunFeatures, Floats]:
        runs = runs_of(known, arm)
        scores = np.full(len(runs.right), np.nan)
        for rows in known.folds():
            mine = np.isin(runs.issue, rows)
            if len(rows) == len(known) or not mine.any():
                continue
            try:
                rest = known.without(rows)
            except UsageError:  # an arm that only these repositories were tried with
                continue
            scores[mine] = scorer(rest).of(arm, runs.x[mine])
        told = ~np.isnan(scores)
        return RunFeatures(*(column[told] for column in vars(runs).values())), scores[told]

    return training.fit(("blind", arm), make)


def usual_scores(training: Training, arm: str) -> tuple[RunFeatures, Floats]:
    """``blind_scores``; where there are none, every run by the fit that saw it.

    For policies that claim nothing of their thresholds: any threshold is better than none.
    """

    def make(known: Training) -> tuple[RunFeatures, Floats]:
        runs = runs_of(known, arm)
        return runs, scorer(known).of(arm, runs.x)

    blind = blind_scores(training, arm)
    return blind if len(blind[1]) else training.fit(("seeing", arm), make)


def grid(scores: Sequence[float] | Floats, size: int = 12) -> Floats:
    """Candidate thresholds: all pass, quantiles of the scores, none passes."""
    found: Floats = np.unique(np.quantile(scores, np.linspace(0, 1, size)))
    return np.concatenate([[0.0], found, [1.1]])
