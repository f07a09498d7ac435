"""Fits a stop-loss on recorded runs: where continuing costs more than it is worth.

For the runs that continued beyond a point, value * P(resolved) is compared with their further cost.
P is fitted as falling with the length of a run (isotonic regression), as in the data. The cost
of a run is spread evenly over its steps. Conversations grow, so the true further cost is higher: in
65 recorded runs 1.07 to 1.08 times that (medians after a quarter, a half and three quarters of the
steps, by list prices).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.stop_loss.rule import Measure, StopLossEffect, StopPoint, TierStopLoss
from swe_router.lazy_imports import deferred_module
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import clopper_pearson_upper

if TYPE_CHECKING:
    from scipy import optimize
else:
    optimize = deferred_module("scipy.optimize")

MIN_RUNS, MIN_REPOSITORIES, MIN_BEYOND = 60, 4, 20
CONFIDENCE = 0.95
"""Confidence of the upper bound on P(resolved | continued); a point must lose money even there."""
MAX_STOPPED_SHARE = 0.8
"""With a larger share of runs beyond it, a point judges the whole tier and is no stop-loss."""
CANDIDATE_POINTS = 40
BOOTSTRAPS = 4000


@dataclass(frozen=True)
class PastAttempt:
    """One recorded run."""

    steps: int
    usd: float
    resolved: bool
    group: str
    """Repository."""


def fit_stop_loss(system: str, runs: Sequence[PastAttempt], value: float) -> TierStopLoss:
    """The stop-loss of a system at ``value`` USD per resolved issue.

    Points are kept only if the lower end of the 95% interval of their gain on held-out repositories
    is above 0. Raises ``UsageError`` for too few runs.
    """
    groups = sorted({run.group for run in runs})
    if len(runs) < MIN_RUNS or len(groups) < MIN_REPOSITORIES:
        raise UsageError(
            f"too little to calibrate a stop-loss for {system}: {len(runs)} runs with steps and"
            f" cost over {len(groups)} repositories; it takes {MIN_RUNS} over"
            f" {MIN_REPOSITORIES}"
        )
    points = find_stop_points(runs, value)
    nearly_all = any(point.n > MAX_STOPPED_SHARE * len(runs) for point in points)
    checked = cross_validate_points(runs, value, groups) if points else None
    shown = checked is not None and checked.net_low > 0 and not nearly_all
    if nearly_all:
        why = (
            f"at ${value:g} a resolved issue nearly all its runs lose money: leave the tier out,"
            " there is nothing to stop early"
        )
    elif not points:
        why = "no point beyond which going on is shown to lose money"
    elif not shown:
        why = "what it saves is not shown to be worth what it loses on other repositories: left out"
    else:
        why = "earns money on repositories that it was not fitted on"
    return TierStopLoss(
        system=system,
        value=Decimal(str(value)),
        runs=len(runs),
        repositories=len(groups),
        points=points if shown else (),
        checked=checked,
        why=why,
    )


def find_stop_points(runs: Sequence[PastAttempt], value: float) -> tuple[StopPoint, ...]:
    """The best point by steps and by USD, where continuing is shown to lose money."""
    points = (_best_point(runs, value, measure) for measure in ("steps", "usd"))
    return tuple(point for point in points if point is not None)


def _best_point(runs: Sequence[PastAttempt], value: float, measure: Measure) -> StopPoint | None:
    length = np.array([run.steps if measure == "steps" else run.usd for run in runs], dtype=float)
    resolved = np.array([run.resolved for run in runs], dtype=float)
    chance = falling_rates(length, resolved)
    best: tuple[float, StopPoint] | None = None
    for at in _candidate_points(length, measure):
        beyond = length > at
        n, right = int(beyond.sum()), int(resolved[beyond].sum())
        if n < MIN_BEYOND:
            continue
        further = float(_further_usd(runs, at, measure)[beyond].mean())
        upper = float(clopper_pearson_upper(right, n, 1 - CONFIDENCE))
        if upper * value >= further:
            continue
        gain = n * (further - value * float(chance[beyond].mean()))
        if best is None or gain > best[0]:
            exact = Decimal(str(int(at) if measure == "steps" else at))
            point = StopPoint(measure=measure, at=exact, n=n, resolved=right, further_usd=further)
            best = (gain, point)
    return None if best is None else best[1]


def _candidate_points(length: Floats, measure: Measure) -> list[float]:
    """Candidate points: quantiles of the lengths, in whole steps or cents."""
    marks = np.quantile(length, np.linspace(0, 1, CANDIDATE_POINTS))
    rounded = np.floor(marks) if measure == "steps" else np.ceil(marks * 100) / 100
    return [round(float(mark), 2) for mark in np.unique(rounded) if mark > 0]


def _further_usd(runs: Sequence[PastAttempt], at: float, measure: Measure) -> Floats:
    """USD of each run beyond the point, (n,); 0 for a run that ended before."""
    steps = np.array([run.steps for run in runs], dtype=float)
    usd = np.array([run.usd for run in runs], dtype=float)
    if measure == "usd":
        return np.maximum(0.0, usd - at)
    out: Floats = usd * np.maximum(0.0, 1 - at / np.maximum(steps, 1))
    return out


def falling_rates(length: Floats, resolved: Floats) -> Floats:
    """P(resolved | length) of each run, (n,), by falling isotonic regression."""
    distinct, place = np.unique(length, return_inverse=True)
    counts = np.bincount(place)
    rates = np.bincount(place, resolved) / counts
    fitted = optimize.isotonic_regression(rates, weights=counts.astype(float), increasing=False).x
    out: Floats = fitted[place]
    return out if len(distinct) else np.zeros(0)


def stop_effect(runs: Sequence[PastAttempt], points: Sequence[StopPoint]) -> tuple[Floats, Floats]:
    """USD saved per run, and 1 for each resolved run that is stopped, (n,) each."""
    saved = np.zeros(len(runs))
    for point in points:
        saved = np.maximum(saved, _further_usd(runs, float(point.at), point.measure))
    lost = np.array([float(run.resolved) for run in runs]) * (saved > 0)
    return saved, lost


def cross_validate_points(
    runs: Sequence[PastAttempt], value: float, groups: Sequence[str]
) -> StopLossEffect:
    """Effect on each repository of the points found without it."""
    saved, lost = np.zeros(len(runs)), np.zeros(len(runs))
    place = np.array([groups.index(run.group) for run in runs])
    for number in range(len(groups)):
        mine = np.flatnonzero(place == number).tolist()
        points = find_stop_points(
            [run for run, own in zip(runs, place, strict=True) if own != number], value
        )
        saved[mine], lost[mine] = stop_effect([runs[n] for n in mine], points)
    shares = _resampled_shares(place, len(groups))
    columns = np.stack([saved, lost, saved - value * lost])
    low, high = np.quantile(shares @ columns.T, (0.025, 0.975), axis=0)
    mean = columns.mean(axis=1)
    return StopLossEffect(
        runs=len(runs),
        stopped=int((saved > 0).sum()),
        saved_usd=float(mean[0]),
        saved_low=float(low[0]),
        saved_high=float(high[0]),
        lost=float(mean[1]),
        lost_low=float(low[1]),
        lost_high=float(high[1]),
        net_usd=float(mean[2]),
        net_low=float(low[2]),
        net_high=float(high[2]),
    )


def _resampled_shares(place: np.ndarray, groups: int) -> Floats:
    """Share of each run in resamples of whole repositories, (b, n); rows sum to 1."""
    drawn = np.random.default_rng(0).integers(0, groups, (BOOTSTRAPS, groups))
    times = np.stack([np.bincount(row, minlength=groups) for row in drawn]).astype(float)
    out: Floats = times[:, place] / (times @ np.bincount(place, minlength=groups))[:, None]
    return out
