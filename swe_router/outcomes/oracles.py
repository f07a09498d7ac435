"""Oracles: what a router that knows the outcomes would come to. Bounds, never policies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swe_router.estimates.training import Floats
from swe_router.outcomes.stage import Stage


@dataclass(frozen=True)
class Bound:
    """An oracle's outcome per instance, in the order of the stage."""

    name: str
    idea: str
    resolved: Floats
    """(n,), 0 or 1."""
    usd: Floats
    """(n,), USD."""


def oracles(stage: Stage) -> tuple[Bound, Bound]:
    """The cheapest run that resolves, else the cheapest of all; and else none at all.

    Every recorded run of the ladder counts, repeats too, so no policy resolves more
    (routers.md section 2: regret against two oracles).
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
        Bound("oracle", "the cheapest run that resolves, else the cheapest", resolved,
              np.array(paid)),
        Bound("oracle-abandon", "the cheapest run that resolves, else nothing is spent", resolved,
              np.array(saved)),
    )  # fmt: skip
