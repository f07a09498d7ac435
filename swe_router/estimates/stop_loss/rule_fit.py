"""Fits a stop-loss on recorded runs: where P(resolved | still running) is not worth going on.

Of the runs that went on beyond a point, value * P(resolved) is held against what they cost from
there on. P falls with the length of a run (isotonic regression): so it does in the data, and a
bump in a few long runs is noise. What a run had cost at a step is taken as spread evenly over its
steps; conversations grow, so that what comes after is rather more: in 65 recorded runs 1.07 to 1.08
times that (medians after a quarter, a half and three quarters of the steps, by list prices).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.stop_loss.rule import Checked, Measure, Profile, StopPoint
from swe_router.lazy_imports import deferred
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import clopper_pearson_upper

if TYPE_CHECKING:
    from scipy import optimize
else:
    optimize = deferred("scipy.optimize")

MIN_RUNS, MIN_REPOSITORIES, MIN_BEYOND = 60, 4, 20
CONFIDENCE = 0.95
"""Of the bound on P(resolved | went on) that must still be a loss."""
NEARLY_ALL = 0.8
"""Share of runs beyond a point from which it is no stop-loss but a verdict on the tier."""
CANDIDATES = 40
BOOTSTRAPS = 4000


@dataclass(frozen=True)
class PastAttempt:
    """One recorded run."""

    steps: int
    usd: float
    resolved: bool
    group: str
    """Repository."""


def fitted(system: str, runs: Sequence[PastAttempt], value: float) -> Profile:
    """The stop-loss of a system at ``value`` USD a resolved issue.

    Points are kept only if, on repositories left out of the fit, they earn money by the lower end
    of a 95% interval. Raises ``UsageError`` where the runs are too few to tell.
    """
    groups = sorted({run.group for run in runs})
    if len(runs) < MIN_RUNS or len(groups) < MIN_REPOSITORIES:
        raise UsageError(
            f"too little to calibrate a stop-loss for {system}: {len(runs)} runs with steps and"
            f" cost over {len(groups)} repositories; it takes {MIN_RUNS} over"
            f" {MIN_REPOSITORIES}"
        )
    points = found(runs, value)
    nearly_all = any(point.n > NEARLY_ALL * len(runs) for point in points)
    checked = cross_validated(runs, value, groups) if points else None
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
    return Profile(
        system=system,
        value=Decimal(str(value)),
        runs=len(runs),
        repositories=len(groups),
        points=points if shown else (),
        checked=checked,
        why=why,
    )


def found(runs: Sequence[PastAttempt], value: float) -> tuple[StopPoint, ...]:
    """The best point by steps and by USD, each where one is shown to be a loss in these runs."""
    points = (_best(runs, value, measure) for measure in ("steps", "usd"))
    return tuple(point for point in points if point is not None)


def _best(runs: Sequence[PastAttempt], value: float, measure: Measure) -> StopPoint | None:
    length = np.array([run.steps if measure == "steps" else run.usd for run in runs], dtype=float)
    resolved = np.array([run.resolved for run in runs], dtype=float)
    chance = monotone(length, resolved)
    best: tuple[float, StopPoint] | None = None
    for at in _candidates(length, measure):
        beyond = length > at
        n, right = int(beyond.sum()), int(resolved[beyond].sum())
        if n < MIN_BEYOND:
            continue
        further = float(_further(runs, at, measure)[beyond].mean())
        upper = float(clopper_pearson_upper(right, n, 1 - CONFIDENCE))
        if upper * value >= further:
            continue
        gain = n * (further - value * float(chance[beyond].mean()))
        if best is None or gain > best[0]:
            exact = Decimal(str(int(at) if measure == "steps" else at))
            point = StopPoint(measure=measure, at=exact, n=n, resolved=right, further_usd=further)
            best = (gain, point)
    return None if best is None else best[1]


def _candidates(length: Floats, measure: Measure) -> list[float]:
    """Points to look at: quantiles of the lengths, whole steps or whole cents up."""
    marks = np.quantile(length, np.linspace(0, 1, CANDIDATES))
    held = np.floor(marks) if measure == "steps" else np.ceil(marks * 100) / 100
    return [round(float(mark), 2) for mark in np.unique(held) if mark > 0]


def _further(runs: Sequence[PastAttempt], at: float, measure: Measure) -> Floats:
    """USD that each run cost from the point on; 0 for one that ended before."""
    steps = np.array([run.steps for run in runs], dtype=float)
    usd = np.array([run.usd for run in runs], dtype=float)
    if measure == "usd":
        return np.maximum(0.0, usd - at)
    out: Floats = usd * np.maximum(0.0, 1 - at / np.maximum(steps, 1))
    return out


def monotone(length: Floats, resolved: Floats) -> Floats:
    """P(resolved | a run's length), held not to rise: isotonic regression, equals pooled."""
    distinct, place = np.unique(length, return_inverse=True)
    counts = np.bincount(place)
    rates = np.bincount(place, resolved) / counts
    held = optimize.isotonic_regression(rates, weights=counts.astype(float), increasing=False).x
    out: Floats = held[place]
    return out if len(distinct) else np.zeros(0)


def effect(runs: Sequence[PastAttempt], points: Sequence[StopPoint]) -> tuple[Floats, Floats]:
    """USD saved of each run, and 1 for each run that would have been resolved and is not."""
    saved = np.zeros(len(runs))
    for point in points:
        saved = np.maximum(saved, _further(runs, float(point.at), point.measure))
    lost = np.array([float(run.resolved) for run in runs]) * (saved > 0)
    return saved, lost


def cross_validated(runs: Sequence[PastAttempt], value: float, groups: Sequence[str]) -> Checked:
    """The effect of points on the runs of each repository, found without it."""
    saved, lost = np.zeros(len(runs)), np.zeros(len(runs))
    place = np.array([groups.index(run.group) for run in runs])
    for number in range(len(groups)):
        mine = np.flatnonzero(place == number).tolist()
        points = found([run for run, own in zip(runs, place, strict=True) if own != number], value)
        saved[mine], lost[mine] = effect([runs[n] for n in mine], points)
    shares = _shares(place, len(groups))
    columns = np.stack([saved, lost, saved - value * lost])
    low, high = np.quantile(shares @ columns.T, (0.025, 0.975), axis=0)
    mean = columns.mean(axis=1)
    return Checked(
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


def _shares(place: np.ndarray, groups: int) -> Floats:
    """Share of each run in resamples of whole repositories, (b, n); rows sum to 1."""
    drawn = np.random.default_rng(0).integers(0, groups, (BOOTSTRAPS, groups))
    times = np.stack([np.bincount(row, minlength=groups) for row in drawn]).astype(float)
    out: Floats = times[:, place] / (times @ np.bincount(place, minlength=groups))[:, None]
    return out
