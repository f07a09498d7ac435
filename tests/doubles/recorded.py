"""A small outcome table with a known truth, and the features of its issues."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable
from swe_router.records import Features

SYSTEMS: Mapping[str, tuple[float, float]] = {
    "cheap": (0.5, 0.03), "middle": (0.62, 0.2), "strong": (0.72, 0.6)
}  # fmt: skip
"""System -> (rate, USD)."""


def table(n: int = 40, seed: int = 1, repeats: int = 1, **more: tuple[float, float]):
    """Runs of ``SYSTEMS`` and ``more`` on ``n`` issues of four repositories."""
    rng = np.random.default_rng(seed)
    rows = []
    for system, (rate, usd) in {**SYSTEMS, **more}.items():
        for k in range(n):
            for run in range(repeats):
                spent = float(usd * rng.lognormal(0, 0.5))
                right = bool(rng.random() < rate)
                rows.append(
                    OutcomeRow(f"own__repo{k % 4}-{k}", system, right, run=str(run + 1),
                        usd=round(spent, 6), steps=10 + k % 7)
                )  # fmt: skip
    return OutcomeTable(tuple(rows), "made up")


def features(known: OutcomeTable) -> list[Features]:
    """Words and a complexity that say nothing of the outcome."""
    return [
        Features(
            instance_id=name,
            repo=f"own/repo{int(name.rsplit('-', 1)[1]) % 4}",
            text=f"thing {k % 5} fails when value {k % 3} is given to part {k}",
            values={"complexity": float(1 + k % 9), "words": float(10 + k % 13)},
            provenance={"complexity": "issue", "words": "issue"},
        )
        for k, name in enumerate(known.instances)
    ]
