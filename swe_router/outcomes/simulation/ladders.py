"""Which systems make the ladder: named ones, or the vertices of the zero-router hull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swe_router.errors import UsageError
from swe_router.outcomes.simulation.oracle_policies import LIVE
from swe_router.outcomes.tables.table import OutcomeTable
from swe_router.stats.hull import hull_at, upper_hull

MAX_COUNT = 4
"""Tiers of a ladder that was not named."""


@dataclass(frozen=True)
class LadderPoint:
    """A system on the cost-quality plane."""

    system: str
    rate: float
    usd: float
    """USD an issue, mean."""
    n: int
    """Issues with a run whose cost is known."""


def points(table: OutcomeTable, instances: Sequence[str]) -> list[LadderPoint]:
    """Every system with costs, over its own first runs on these issues, by rising cost."""
    found = []
    for system in table.systems:
        runs = [table.runs.get((one, system), ()) for one in instances]
        first = [costed[0] for many in runs if (costed := [r for r in many if r.usd is not None])]
        if first:
            usd = float(np.mean([row.usd for row in first if row.usd is not None]))
            rate = float(np.mean([row.resolved for row in first]))
            found.append(LadderPoint(system, rate, usd, len(first)))
    return sorted(found, key=lambda p: (p.usd, -p.rate, p.system))


def ladder(
    table: OutcomeTable,
    instances: Sequence[str],
    *,
    weak: str = "",
    strong: str = "",
    models: Sequence[str] = (),
) -> list[str]:
    """Systems from cheap to strong.

    ``weak`` and ``strong`` are taken as given; ``models`` are put in order of mean cost.
    With neither, the vertices of the hull of all systems that were run on most of the issues: at
    most ``MAX_COUNT``, and at least two (the nearest to the hull joins a lonely one). Raises
    ``UsageError`` for a name that is unknown, half a pair, or a table with a single system.
    """
    if bool(weak) != bool(strong) or (weak and models):
        raise UsageError("name the systems with --weak A --strong B, or with --models A,B,C")
    known = points(table, instances)
    if weak:
        pair = [table.system_named(weak), table.system_named(strong)]
        if pair[0] == pair[1]:
            raise UsageError(f"--weak and --strong are both {pair[0]!r}")
        return pair
    if models:
        wanted = list(dict.fromkeys(table.system_named(word) for word in models))
        usd = {p.system: p.usd for p in known}
        if len(wanted) < 2:
            raise UsageError(f"--models names one system, {wanted[0]!r}: a ladder needs two")
        return sorted(wanted, key=lambda name: (usd.get(name, 0.0), name))
    known = [p for p in known if not p.system.startswith(LIVE)]
    if len(known) < 2:
        have = ", ".join(p.system for p in known) or "none"
        raise UsageError(f"a board needs two systems with costs; {table.source} has {have}")
    most = max(p.n for p in known)
    wide = [p for p in known if p.n > most / 2]
    return _vertices(wide if len(wide) > 1 else known)


def _vertices(known: Sequence[LadderPoint]) -> list[str]:
    cost, rate = np.array([p.usd for p in known]), np.array([p.rate for p in known])
    hull = upper_hull(cost, rate)
    while len(hull) > MAX_COUNT:
        hull.remove(min(hull[1:-1], key=lambda i: _loss(cost, rate, hull, i)))
    if len(hull) == 1:
        gaps = hull_at(cost, rate, cost) - rate
        others = [i for i in range(len(known)) if i != hull[0]]
        hull.append(min(others, key=lambda i: (gaps[i], cost[i])))
    return [known[i].system for i in sorted(hull, key=lambda i: (cost[i], known[i].system))]


def _loss(cost: np.ndarray, rate: np.ndarray, hull: Sequence[int], i: int) -> float:
    """Area that the hull loses with one inner vertex."""
    place = list(hull).index(i)
    a, b = hull[place - 1], hull[place + 1]
    area = (cost[b] - cost[a]) * (rate[i] - rate[a]) - (rate[b] - rate[a]) * (cost[i] - cost[a])
    return float(abs(area) / 2)
