"""Phases of an attempt: calls that another tier than its arm's makes, and why it makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from swe_router.records.frozen import FrozenRecord, Usd

PhaseRole = Literal["executor", "planner", "finisher", "advisor"]
"""``executor`` is the attempt's arm, and never a phase."""
TOLERANCE_BAND = 0.1
"""Share by which another tier must be cheaper before an attempt goes back to it."""


class Phase(FrozenRecord):
    """What another tier may do in an attempt.

    ``planner``: look at the repository and write a work plan before the first step of the arm.
    ``finisher``: take over when the arm stalls, gives up or is stopped by its stop-loss.
    ``advisor``: answer questions that the arm asks through a tool.
    """

    role: Literal["planner", "finisher", "advisor"]
    tier: str
    """Name of the tier in the settings."""
    usd: Usd
    """USD that its calls may cost; a part of the attempt's own limit."""
    calls: int = Field(default=0, ge=0)
    """Calls that it may make; 0 is no limit of its own."""
    stall: int = Field(default=0, ge=0)
    """Finisher: how often the same call shows the same result before it takes over; 0: never."""
    after: int = Field(default=0, ge=0)
    """Finisher: steps of the arm after which it takes over; 0 is no such limit."""
    back: int = Field(default=0, ge=0)
    """Finisher: its steps after which the arm may take over again; 0: never."""
    band: float = Field(default=TOLERANCE_BAND, ge=0, lt=1)
    """Finisher: share by which the arm must be cheaper to take over again."""


class PhaseChoice(FrozenRecord):
    """Who makes a call of an attempt with phases; on the steps where that was decided."""

    role: PhaseRole
    tier: str
    why: str
    propensity: float = Field(default=1.0, gt=0, le=1)
    """Probability with which it is decided so here (1 when deterministic)."""
    usd: Usd | None = None
    """Expected USD of the calls that were weighed, by this tier; None where nothing was."""
    other_usd: Usd | None = None
    """The same by the tier that would have made them else."""
    refused: tuple[str, ...] = ()
    """``ROLE: why`` of calls that were due before this one and could not be made."""


def phase_of(phases: Sequence[Phase], role: str) -> Phase | None:
    """The phase of a role; None where no other tier has it."""
    return next((one for one in phases if one.role == role), None)


def label_with_phases(arm: object, phases: Sequence[Phase]) -> str:
    """An arm, and what other tiers do for it: ``local+strong:planner``."""
    return "+".join([str(arm), *(f"{one.tier}:{one.role}" for one in phases)])
