"""How many instances a sum of money is expected to reach: past runs drawn again and again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

DRAWS = 200
LEVEL = (0.05, 0.95)


@dataclass(frozen=True)
class PastRun:
    """What a tier is like, by the past runs of a system on a table's issues, in their order."""

    usd: Sequence[float]
    """At the tier's own price, no attempt over its limit."""
    seconds: Sequence[float]
    resolved: Sequence[float]
    """Share of the runs on the issue that resolved it."""


@dataclass(frozen=True)
class Reach:
    """Middle and 90% interval over the draws of each figure."""

    instances: tuple[float, float, float]
    resolved: tuple[float, float, float]
    usd: tuple[float, float, float]
    hours: tuple[float, float, float]
    usd_of_all: tuple[float, float, float]
    """Were there no cap."""


def reach(
    ladder: Sequence[PastRun],
    *,
    instances: int,
    budget: float,
    tpr: float,
    fpr: float,
    workers: int = 1,
    many: int = 1,
    seed: int = 0,
) -> Reach:
    """A ladder climbed until a patch is accepted, by so many instances, until the money is gone.

    Each draw takes the table's issues with replacement twice: as the table that might have been,
    then as the instances of the run. ``tpr`` and ``fpr`` are how often a right and a wrong patch
    is accepted; ``many`` attempts are made on a rung.
    """
    draw, rows = random.Random(seed), []  # noqa: S311  (a simulation, not a secret)
    issues = range(len(ladder[0].usd))
    for _ in range(DRAWS):
        table = draw.choices(issues, k=len(issues))
        total = reached = solved = used = wall = 0.0
        for issue in draw.choices(table, k=instances):
            paid, spent, won = _climbed(ladder, issue, tpr, fpr, draw)
            total += many * paid
            if total <= budget:
                reached, solved, used = reached + 1, solved + won, total
                wall += many * spent
        rows.append((reached, solved, used, wall / 3600 / max(1, workers), total))
    return Reach(*(_spread(column) for column in zip(*rows, strict=True)))


def _climbed(
    ladder: Sequence[PastRun], issue: int, tpr: float, fpr: float, draw: random.Random
) -> tuple[float, float, bool]:
    """USD and seconds of one instance that is like an issue, and whether it ends resolved."""
    usd = seconds = 0.0
    won = False
    for rung in ladder:
        usd, seconds = usd + rung.usd[issue], seconds + rung.seconds[issue]
        won = draw.random() < rung.resolved[issue]
        if draw.random() < (tpr if won else fpr):
            break
    return usd, seconds, won


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    ordered, last = sorted(values), len(values) - 1
    low, middle, high = (float(ordered[round(q * last)]) for q in (LEVEL[0], 0.5, LEVEL[1]))
    return middle, low, high
