"""Stop-loss: the point of an attempt, in steps or USD, from which continuing loses money.

Off unless the settings name a file of ``swe-router calibrate --stop-loss``; see ``rule_fit``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from pydantic import Field

from swe_router.records import FrozenRecord, Usd

Measure = Literal["steps", "usd"]


class StopPoint(FrozenRecord):
    """Where an attempt is stopped, and the past runs that continued beyond it."""

    measure: Measure
    at: Decimal = Field(gt=0)
    """Steps, or USD."""
    n: int = Field(gt=0)
    """Past runs that continued beyond it."""
    resolved: int = Field(ge=0)
    """How many of them were resolved in the end."""
    further_usd: float = Field(ge=0)
    """Mean further USD of these runs."""

    def reached(self, steps: int, usd: Decimal) -> bool:
        """Whether an attempt with so many steps and USD is at the point."""
        return (steps if self.measure == "steps" else usd) >= self.at


class StopLossEffect(FrozenRecord):
    """Effect of the points on repositories that they were not fitted on."""

    runs: int
    stopped: int
    saved_usd: float
    """Mean USD saved per run."""
    saved_low: float
    saved_high: float
    """95% interval, whole repositories resampled; as all intervals here."""
    lost: float
    """Share of all runs that stopping turns from resolved to unresolved."""
    lost_low: float
    lost_high: float
    net_usd: float
    """saved_usd - value * lost."""
    net_low: float
    net_high: float


class TierStopLoss(FrozenRecord):
    """The stop-loss of one tier."""

    system: str
    """System of the outcome table that stands for the tier."""
    value: Usd
    """USD that a resolved issue is worth."""
    runs: int
    repositories: int
    points: tuple[StopPoint, ...] = ()
    """Empty: no point was shown to earn money."""
    checked: StopLossEffect | None = None
    """Cross-validated over repositories; None without points."""
    why: str

    def gives_up(self, steps: int, usd: Decimal) -> str:
        """Why an attempt at ``steps`` and ``usd`` should be given up now, or the empty string."""
        for point in self.points:
            if point.reached(steps, usd):
                at = f"{point.at} steps" if point.measure == "steps" else f"${point.at}"
                return (
                    f"stop-loss at {at}: {point.resolved} of {point.n} such runs that went on"
                    f" were resolved, for ${point.further_usd:.2f} more each"
                )
        return ""


class StopLoss(FrozenRecord):
    """The stop-loss file: one rule per tier."""

    kind: Literal["swe-router stop-loss"] = "swe-router stop-loss"
    outcomes: str
    """Name of the outcome table."""
    digest: str
    """SHA-256 of its rows."""
    tiers: Mapping[str, TierStopLoss]
