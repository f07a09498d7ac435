"""P(right) from trajectory and patch signals: signs are fixed, weights are fitted.

Fitted on graded patches by ``eval/fit_acceptance.py``. A patch of a training repository is scored
by the fit without this repository.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from swe_router.errors import UsageError
from swe_router.estimates.acceptance.verdict_signals import log_odds
from swe_router.estimates.complexity.score import ScoreTerm
from swe_router.lazy_imports import deferred_module
from swe_router.stats.arrays import Floats
from swe_router.stats.logistic import SignedPrior, fit_logistic, logistic_function

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred_module("numpy")

STRENGTH = 50.0
"""Inverse variance of each weight around 0, per standard deviation of its signal; 30 to 100 give
the same held-out log loss within .003."""
CLIPPED_SHARE = 0.02
"""Share of the training rows clipped at each bound of a signal."""
MIN_ROWS, MIN_REPOS, MIN_GIVEN = 50, 3, 20
_UNLOGGED = ("patch_comment_share", "issue_words_shared", "run_edit_share", "run_error_share")
USD_PER_STEP = "run_usd_per_step"
"""Used only for authors with known prices: dollars of two models do not compare."""
SIGNS = {
    "patch_files": -1, "patch_hunks": -1, "patch_added": -1, "patch_removed": -1,
    "patch_branches": -1, "patch_guards": -1, "patch_swallows": -1, "patch_new_definitions": -1,
    "patch_signatures": -1, "patch_comment_share": -1, "patch_tests": +1,
    "issue_words_shared": +1, "issue_names_scope": +1, "issue_names_file": +1,
    "issue_names_module": +1, "issue_fix_taken": +1,
    "run_steps": -1, USD_PER_STEP: -1, "run_edits": -1, "run_edits_again": -1, "run_reads": -1,
    "run_edit_share": -1, "run_files": -1, "run_error_share": -1, "run_last_test_failed": -1,
    "run_last_edit_at": -1, "run_untested": -1, "run_undone": -1, "run_words_per_step": -1,
    "run_doubts_per_step": -1, "run_malformed": -1, "run_ended_early": -1,
}  # fmt: skip
"""Sign of each weight: more work, doubt or code is worse; more of the issue's words is better."""


class BehaviourRow(NamedTuple):
    """A graded patch of the training data."""

    repo: str
    signals: Mapping[str, float]
    right: bool
    weight: float = 1.0


class BehaviourFit(NamedTuple):
    """One fitted regression."""

    bias: float
    base: float
    """Share of right patches among its rows."""
    terms: tuple[ScoreTerm, ...]


def behaviour_score(fit: BehaviourFit, signals: Mapping[str, float]) -> float:
    """Calibrated P(right), 0 to 1, for authors like those of the training rows."""
    parts = (
        t.weight * t.standardised(signals[t.feature]) for t in fit.terms if t.feature in signals
    )
    return round(logistic_function(fit.bias + math.fsum(parts)), 4)


def behaviour_lift(fit: BehaviourFit, signals: Mapping[str, float]) -> float:
    """Log odds of the signals relative to the mean patch; 0 without signals."""
    return round(log_odds(behaviour_score(fit, signals)) - log_odds(fit.base), 4)


def fit_behaviour(rows: Sequence[BehaviourRow]) -> BehaviourFit:
    """One fit on all rows. Raises ``UsageError`` for too few rows or repositories."""
    repos = {row.repo for row in rows}
    if len(rows) < MIN_ROWS or len(repos) < MIN_REPOS:
        raise UsageError(
            f"behaviour needs {MIN_ROWS} graded patches of {MIN_REPOS} repositories:"
            f" there are {len(rows)} of {len(repos)}"
        )
    unfitted = [term for name in SIGNS if (term := _unfitted_term(name, rows)) is not None]
    x = np.array([[_standard_value(term, row) for term in unfitted] for row in rows], dtype=float)
    right = np.array([row.right for row in rows], dtype=float)
    weight = np.array([row.weight for row in rows], dtype=float)
    base = float(np.clip(np.average(right, weights=weight), 0.02, 0.98))
    signs = [SignedPrior(term.feature, SIGNS[term.feature], 0.0, STRENGTH) for term in unfitted]
    bias, weights = fit_logistic(x, right, weight, signs, log_odds(base))
    terms = tuple(
        term._replace(weight=round(float(w), 5)) for term, w in zip(unfitted, weights, strict=True)
    )
    return BehaviourFit(
        round(bias, 5), round(base, 4), tuple(term for term in terms if term.weight)
    )


def cross_validate_behaviour(
    rows: Sequence[BehaviourRow],
) -> tuple[dict[str, BehaviourFit], Floats]:
    """Fits by left-out repository ("" for none), and held-out scores (n,)."""
    fits = {"": fit_behaviour(rows)}
    for repo in sorted({row.repo for row in rows}):
        fits[repo.lower()] = fit_behaviour([row for row in rows if row.repo != repo])
    scores = [behaviour_score(fits[row.repo.lower()], row.signals) for row in rows]
    return fits, np.array(scores)


def _unfitted_term(name: str, rows: Sequence[BehaviourRow]) -> ScoreTerm | None:
    """Bounds, mean and deviation of a signal over the rows that have it; None for few rows."""
    given = np.array([row.signals[name] for row in rows if name in row.signals], dtype=float)
    if len(given) < MIN_GIVEN:
        return None
    log = name not in _UNLOGGED and name != USD_PER_STEP
    shaped = np.log1p(np.maximum(given, 0)) if log else given
    low, high = np.quantile(shaped, [CLIPPED_SHARE, 1 - CLIPPED_SHARE])
    if high <= low:  # a rare flag: clipping would remove it
        low, high = shaped.min(), shaped.max()
    clipped = np.clip(shaped, low, high)
    if high <= low:
        return None
    low, high, mean, scale = (float(f"{n:.6g}") for n in (low, high, clipped.mean(), clipped.std()))
    return ScoreTerm(name, log, low, high, mean, scale, weight=0.0)


def _standard_value(term: ScoreTerm, row: BehaviourRow) -> float:
    return term.standardised(row.signals[term.feature]) if term.feature in row.signals else 0.0
