"""The settings of calls in batches."""

from __future__ import annotations

from pydantic import Field

from swe_router.settings.settings_table import Table


class BatchSettings(Table):
    """Calls sent in batches, for about half the price and answers within hours (``--batch``)."""

    enabled: bool = False
    """Send each step of all instances together, where the tier's provider takes batches."""
    instances: int = Field(default=64, gt=0)
    """Instances under way at a time, each with its sandbox."""
    working: int = Field(default=0, ge=0)
    """How many of them run commands at a time; 0: one per core and one more."""
    gather_seconds: float = Field(default=300.0, gt=0)
    """Seconds after which a call is sent though other instances still work."""
    poll_seconds: float = Field(default=30.0, gt=0)
    """Most seconds between two looks at a batch."""
    live_after_hours: float = Field(default=24.0, gt=0)
    """Hours after which a call is made live, at the live price, if no batch has answered it."""
    expected_minutes: float = Field(default=30.0, gt=0)
    """Minutes that a batch is taken to need, for the forecast of ``--dry-run``."""
