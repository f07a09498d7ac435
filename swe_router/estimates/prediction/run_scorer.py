"""P(a patch is right | its run): from verdict, probability, cost and steps, per arm.

The scorer of FrugalGPT, AutoMix and the conformal gate: it uses what a policy sees after a run. A
verdict that the training data gives as a probability is a soft observation. The verifiers' own
P(right) is a further observation where the training data and the run both have it; it can only
raise the score, and is not imputed.
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
from swe_router.stats.logistic import SignedPrior, fit_logistic, sigmoid

SIGNS = (
    SignedPrior("verdict", 0, strength=1.0),
    SignedPrior("log USD", 0, strength=1.0),
    SignedPrior("log steps", 0, strength=1.0),
    SignedPrior("log odds of P(right)", +1, strength=1.0),
)
"""What is known of the weights of ``WeightedRuns.x``, in standard deviations."""
BIAS_STRENGTH = 1e-3
"""Hardly any: the base rate is what the runs say it is."""


@dataclass(frozen=True)
class WeightedRuns:
    """All recorded runs of an arm as weighted observations."""

    x: Floats
    """(n, 4): verdict (1 passed, 0 not), log USD, log steps, log odds of the verifiers' own
    P(right), NaN where that is unknown."""
    right: Floats
    """(n,) official verdicts."""
    weight: Floats
    """(n,) probability of the verdict in ``x``."""
    issue: Floats
    """(n,) row of the issue in the training data."""


def weighted_runs(training: Training, arm: str) -> WeightedRuns:
    """The runs of an arm; a run with an uncertain verdict gives one weighted row per verdict."""
    rows = []
    for number, example in enumerate(training.examples):
        for run in example.runs.get(arm, ()):
            passed = 0.5 if run.passes is None else run.passes
            spent = math.nan if run.usd is None else math.log(max(run.usd, 1e-4))
            steps = math.nan if run.steps is None else math.log1p(run.steps)
            effort = (spent, steps, _clipped_log_odds(run.probability))
            rows += [
                (verdict, *effort, float(run.resolved), part, float(number))
                for verdict, part in ((1.0, passed), (0.0, 1 - passed))
                if part > 0
            ]
    table = np.array(rows, dtype=float).reshape(-1, 7)
    for column in (1, 2):  # an unknown effort is the mean one, never 0
        unknown = np.isnan(table[:, column])
        table[unknown, column] = 0.0 if unknown.all() else np.nanmean(table[:, column])
    return WeightedRuns(table[:, :4], table[:, 4], table[:, 5], table[:, 6])


def _clipped_log_odds(probability: float | None) -> float:
    """Log odds of a probability clipped to [0.001, 0.999]; NaN if unknown."""
    if probability is None:
        return math.nan
    clipped = min(0.999, max(0.001, probability))
    return math.log(clipped / (1 - clipped))


class RunScorer:
    """P(right) of a run of each arm."""

    def __init__(self, training: Training) -> None:
        """Fit one logistic regression per arm."""
        self._models = {}
        for arm in training.arms:
            known = weighted_runs(training, arm)
            mean, scale = _mean_and_deviation(known.x)
            self._models[arm] = (
                mean,
                scale,
                _fit_weights(_standardised(known.x, mean, scale), known),
            )

    def of(self, arm: str, x: Floats) -> Floats:
        """Probabilities for observations (n, 4) of an arm."""
        mean, scale, weights = self._models[arm]
        clipped = np.clip(_standardised(x, mean, scale), -4, 4)
        z = np.column_stack([np.ones(len(x)), clipped]) @ weights
        return sigmoid(np.clip(z, -30, 30))

    def score(self, outcome: Outcome) -> float:
        """P(right) of an outcome; 0 without a patch or for an unknown arm."""
        empty = outcome.candidate is None or not outcome.candidate.patch
        if empty or str(outcome.arm) not in self._models:
            return 0.0
        return float(self.of(str(outcome.arm), observation_of(outcome)[None])[0])


def observation_of(outcome: Outcome) -> Floats:
    """(4,): verdict, log USD, log steps, log odds of P(right), as in ``WeightedRuns.x``."""
    spent = float(outcome.attempt.trajectory.usd)
    steps = outcome.attempt.trajectory.steps
    effort = (math.log(max(spent, 1e-4)), math.log1p(steps))
    return np.array([float(outcome.accepted), *effort, _clipped_log_odds(outcome.probability)])


def _mean_and_deviation(x: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column's known values; (0, 1) where none is known."""
    unknown = np.isnan(x).all(axis=0)
    filled = np.where(unknown, 0.0, x)
    return np.nanmean(filled, axis=0), np.maximum(np.nanstd(filled, axis=0), 1e-6)


def _standardised(x: Floats, mean: Floats, scale: Floats) -> Floats:
    """Columns in standard deviations from the mean; unknown values at the mean."""
    out: Floats = np.nan_to_num((x - mean) / scale, nan=0.0)
    return out


def _fit_weights(z: Floats, known: WeightedRuns) -> Floats:
    """Weights (5,) with intercept; that of the last column, P(right), is held to 0 or more."""
    bias, weights = fit_logistic(z, known.right, known.weight, SIGNS, bias_strength=BIAS_STRENGTH)
    return np.array([bias, *weights])


def run_scorer(training: Training) -> RunScorer:
    """The scorer of this training data."""
    return training.fit(("scorer",), RunScorer)


def held_out_scores(training: Training, arm: str) -> tuple[WeightedRuns, Floats]:
    """The runs of an arm with scores by fits without their repository.

    Empty for a single repository. A fold whose rest lacks an arm has no fit: its runs are left
    out.
    """

    def make(known: Training) -> tuple[WeightedRuns, Floats]:
        runs = weighted_runs(known, arm)
        scores = np.full(len(runs.right), np.nan)
        for rows in known.folds():
            mine = np.isin(runs.issue, rows)
            if len(rows) == len(known) or not mine.any():
                continue
            try:
                rest = known.without(rows)
            except UsageError:  # only these repositories have runs of an arm
                continue
            scores[mine] = run_scorer(rest).of(arm, runs.x[mine])
        scored = ~np.isnan(scores)
        return WeightedRuns(*(column[scored] for column in vars(runs).values())), scores[scored]

    return training.fit(("blind", arm), make)


def held_out_or_fitted_scores(training: Training, arm: str) -> tuple[WeightedRuns, Floats]:
    """``held_out_scores``; where there are none, in-sample scores of every run.

    For policies that claim no bound for their thresholds.
    """

    def make(known: Training) -> tuple[WeightedRuns, Floats]:
        runs = weighted_runs(known, arm)
        return runs, run_scorer(known).of(arm, runs.x)

    held_out = held_out_scores(training, arm)
    return held_out if len(held_out[1]) else training.fit(("seeing", arm), make)


def threshold_grid(scores: Sequence[float] | Floats, size: int = 12) -> Floats:
    """Candidate thresholds: 0, quantiles of the scores, 1.1."""
    found: Floats = np.unique(np.quantile(scores, np.linspace(0, 1, size)))
    return np.concatenate([[0.0], found, [1.1]])
