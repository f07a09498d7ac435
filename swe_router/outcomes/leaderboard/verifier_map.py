"""The verifier map: for which (TPR, FPR) a cascade weak -> strong is worth having.

In channel notation: quality = p_W TPR + P(both)(1 - TPR) + P(W fails, S
resolves)(1 - FPR); the strong run is paid for wherever the weak patch is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from swe_router.outcomes.simulation.stage import Simulation
from swe_router.stats.arrays import Floats
from swe_router.stats.hull import hull_at
from swe_router.stats.rates import wilson_interval

STEPS = 101


@dataclass(frozen=True)
class Pair:
    """First runs of two systems on the same issues, (n,) each."""

    weak: Floats
    """1 where the weak one resolves."""
    strong: Floats
    weak_usd: Floats
    strong_usd: Floats

    def cascade(self, tpr: Floats | float, fpr: Floats | float) -> tuple[Any, Any]:
        """Rate and mean USD of weak -> strong behind a verifier, in closed form."""
        both = float((self.weak * self.strong).mean())
        only = float(((1 - self.weak) * self.strong).mean())
        rate = self.weak.mean() * tpr + both * (1 - tpr) + only * (1 - fpr)
        right = float((self.weak * self.strong_usd).mean())
        wrong = float(((1 - self.weak) * self.strong_usd).mean())
        return rate, self.weak_usd.mean() + right * (1 - tpr) + wrong * (1 - fpr)


def pair(stage: Simulation, weak: str, strong: str) -> Pair:
    """The two systems' first runs."""

    def column(arm: str) -> tuple[Floats, Floats]:
        cells = [stage.cells[(f.instance_id, arm, 0)] for f in stage.features]
        return np.array([c.resolved for c in cells]), np.array([c.usd for c in cells])

    (a, x), (b, y) = column(weak), column(strong)
    return Pair(a, b, x, y)


def verifier_map(stage: Simulation, weak: str, strong: str) -> dict[str, Any]:
    """JSON-ready: grids of TPR and FPR, the highest FPR that serves at each TPR, and the verifier.

    ``strong_fpr`` is where the cascade resolves no less than strong-only and costs no more;
    ``hull_fpr`` where it lies above the hull of the ladder; null where no FPR does.
    """
    known = pair(stage, weak, strong)
    axis = np.linspace(0, 1, STEPS)
    tpr, fpr = np.meshgrid(axis, axis, indexing="ij")
    rate, usd = known.cascade(tpr, fpr)
    costs = np.array([np.mean([_first(stage, f, a).usd for f in _ids(stage)]) for a in stage.arms])
    rates = np.array(
        [np.mean([_first(stage, f, a).resolved for f in _ids(stage)]) for a in stage.arms]
    )
    slack = 1e-12
    beats = (rate >= known.strong.mean() - slack) & (usd <= known.strong_usd.mean() + slack)
    above = rate > hull_at(costs, rates, usd) + slack
    return {
        "weak": weak,
        "strong": strong,
        "axis": [round(float(x), 4) for x in axis],
        "strong_fpr": _highest(beats, axis),
        "hull_fpr": _highest(above, axis),
        "beats_strong": beats.astype(int).tolist(),
        "above_hull": above.astype(int).tolist(),
        "share_beats_strong": float(beats.mean()),
        "share_above_hull": float(above.mean()),
        "verifier": _standing(stage, known, weak, (costs, rates)),
    }


def _ids(stage: Simulation) -> list[str]:
    return [one.instance_id for one in stage.features]


def _first(stage: Simulation, instance_id: str, arm: str) -> Any:
    return stage.cells[(instance_id, arm, 0)]


def _highest(inside: np.ndarray, axis: Floats) -> list[float | None]:
    return [round(float(axis[row.nonzero()[0].max()]), 4) if row.any() else None for row in inside]


def _standing(
    stage: Simulation, known: Pair, weak: str, systems: tuple[Floats, Floats]
) -> dict[str, Any]:
    """Where the verifier of this board stands, measured or assumed."""
    tpr, fpr = stage.channel.tpr, stage.channel.fpr
    found: dict[str, Any] = {"name": stage.channel.description, "measured": False}
    if stage.channel.measured is not None:
        found |= {**vars(stage.channel.measured), "measured": True}
    if stage.channel.recorded:
        cells = [_first(stage, one, weak) for one in _ids(stage)]
        judged = [cell for cell in cells if cell.row.verdict]
        for name, truth in (("tpr", 1.0), ("fpr", 0.0)):
            mine = [cell for cell in judged if cell.resolved == truth]
            passed = sum(cell.row.verdict == "pass" for cell in mine)
            if mine:
                low, high = wilson_interval(passed, len(mine))
                found |= {f"{name}_low": low, f"{name}_high": high, f"{name}_n": len(mine)}
                tpr, fpr = (passed / len(mine), fpr) if truth else (tpr, passed / len(mine))
        found["measured"] = "tpr_n" in found and "fpr_n" in found
    rate, usd = (float(x) for x in known.cascade(tpr, fpr))
    return found | {
        "tpr": tpr, "fpr": fpr, "cascade_rate": rate, "cascade_usd": usd,
        "beats_strong": bool(
            rate >= known.strong.mean() - 1e-12 and usd <= known.strong_usd.mean() + 1e-12
        ),
        "above_hull": bool(rate > float(hull_at(*systems, usd)) + 1e-12),
    }  # fmt: skip
