"""Rows that are no policies: oracles, which bound all policies, and live runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swe_router.outcomes.simulation.stage import Simulation
from swe_router.stats.arrays import Floats

LIVE = "swe-router:"
"""What the system of a whole run of ours begins with; it is a policy at work, not a rung."""


@dataclass(frozen=True)
class OracleBound:
    """An outcome per instance, in the order of the stage."""

    name: str
    idea: str
    resolved: Floats
    """(n,), 0 or 1."""
    usd: Floats
    """(n,), USD."""
    kind: str = "oracle"


def live(stage: Simulation) -> tuple[list[OracleBound], list[str]]:
    """Whole recorded runs of ours on the stage's instances, and a line for each that lacks some."""
    made, short = [], []
    for system in stage.table.systems:
        if not system.startswith(LIVE) or system in stage.arms:
            continue
        found = [stage.table.runs.get((f.instance_id, system), ()) for f in stage.features]
        rows = [many[0] for many in found if many and many[0].usd is not None]
        if len(rows) < len(found):
            short.append(f"{system}: no row, it has {len(rows)} of the {len(found)} issues")
            continue
        right = np.array([float(row.resolved) for row in rows])
        usd = np.array([row.usd for row in rows], dtype=float)
        made.append(
            OracleBound(system, "a live run, as it was graded and paid for", right, usd, "run")
        )
    return made, short


def oracles(stage: Simulation) -> tuple[OracleBound, OracleBound]:
    """The cheapest run that resolves, else the cheapest of all; and else none at all.

    Every recorded run of the ladder counts, repeats too, so no policy resolves more
    (after RouterBench, arXiv 2403.12031: regret against two oracles).
    """
    runs: dict[str, list[tuple[float, float]]] = {}
    for (instance_id, _, _), cell in stage.cells.items():
        runs.setdefault(instance_id, []).append((cell.usd, cell.resolved))
    right, paid, saved = [], [], []
    for features in stage.features:
        mine = runs[features.instance_id]
        solving = [usd for usd, resolved in mine if resolved]
        right.append(float(bool(solving)))
        paid.append(min(solving) if solving else min(usd for usd, _ in mine))
        saved.append(min(solving) if solving else 0.0)
    resolved = np.array(right)
    return (
        OracleBound(
            "oracle", "the cheapest run that resolves, else the cheapest", resolved, np.array(paid)
        ),
        OracleBound(
            "oracle-abandon",
            "the cheapest run that resolves, else nothing is spent",
            resolved,
            np.array(saved),
        ),
    )
