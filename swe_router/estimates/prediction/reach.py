"""How many instances a budget reaches, by simulation over past runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

SIMULATIONS = 200
QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class PastTier:
    """A tier described by a system's past runs on the issues of a table, in the table's order."""

    usd: Sequence[float]
    """USD per issue at the tier's own price, capped at the attempt's limit."""
    seconds: Sequence[float]
    resolved: Sequence[float]
    """Share of the runs on the issue that resolved it."""


@dataclass(frozen=True)
class Reach:
    """Median and 90% interval of each figure over the simulations."""

    instances: tuple[float, float, float]
    resolved: tuple[float, float, float]
    usd: tuple[float, float, float]
    hours: tuple[float, float, float]
    usd_of_all: tuple[float, float, float]
    """USD of all instances without a budget."""


def simulate_reach(
    ladder: Sequence[PastTier],
    *,
    instances: int,
    budget: float,
    tpr: float,
    fpr: float,
    workers: int = 1,
    attempts_per_rung: int = 1,
    seed: int = 0,
) -> Reach:
    """Simulate ``instances`` that climb a ladder until a patch is accepted or the budget is spent.

    Each simulation resamples the table's issues twice: once as another possible table, then as
    the instances of the run. ``tpr`` and ``fpr`` are the rates at which right and wrong patches
    are accepted; ``attempts_per_rung`` attempts are made per rung.
    """
    draw, rows = random.Random(seed), []  # noqa: S311  (a simulation, not a secret)
    issues = range(len(ladder[0].usd))
    for _ in range(SIMULATIONS):
        table = draw.choices(issues, k=len(issues))
        total = reached = solved = used = wall = 0.0
        for issue in draw.choices(table, k=instances):
            paid, spent, won = _simulate_instance(ladder, issue, tpr, fpr, draw)
            total += attempts_per_rung * paid
            if total <= budget:
                reached, solved, used = reached + 1, solved + won, total
                wall += attempts_per_rung * spent
        rows.append((reached, solved, used, wall / 3600 / max(1, workers), total))
    return Reach(*(_middle_and_interval(column) for column in zip(*rows, strict=True)))


def _simulate_instance(
    ladder: Sequence[PastTier], issue: int, tpr: float, fpr: float, draw: random.Random
) -> tuple[float, float, bool]:
    """USD and seconds of one instance like ``issue``, and whether it ends resolved."""
    usd = seconds = 0.0
    won = False
    for rung in ladder:
        usd, seconds = usd + rung.usd[issue], seconds + rung.seconds[issue]
        won = draw.random() < rung.resolved[issue]
        if draw.random() < (tpr if won else fpr):
            break
    return usd, seconds, won


def _middle_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    ordered, last = sorted(values), len(values) - 1
    low, middle, high = (float(ordered[round(q * last)]) for q in (QUANTILES[0], 0.5, QUANTILES[1]))
    return middle, low, high
