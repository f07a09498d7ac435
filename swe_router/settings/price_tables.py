"""The tables that say what models cost, each field documented where it is declared."""

from __future__ import annotations

import datetime
from decimal import Decimal

from pydantic import Field

from swe_router.settings.settings_table import Table


class Price(Table):
    """USD per million tokens, for a model that no price table knows."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    """Unset: as ``input``."""
    cache_write: Decimal | None = Field(default=None, ge=0)
    """Unset: as ``input``."""


class HardwareSettings(Table):
    """A GPU of your own, for ``price = "owned"``; ``doctor`` says what it costs and saves."""

    usd: Decimal = Field(gt=0)
    """What the hardware cost, once."""
    months: int = Field(default=24, gt=0)
    """Months over which its price is spread."""
    utilisation: Decimal = Field(default=Decimal("0.5"), gt=0, le=1)
    """Share of all hours in which it serves."""
    watts: Decimal = Field(default=Decimal(0), ge=0)
    """What it draws while it serves."""
    usd_per_kwh: Decimal = Field(default=Decimal("0.15"), ge=0)
    energy_usd: Decimal | None = Field(default=None, ge=0)
    """USD of energy per month; unset: from ``watts``, ``utilisation`` and ``usd_per_kwh``."""
    cloud_usd: Decimal | None = Field(default=None, ge=0)
    """Your cloud bill per month without it: what it saves is counted against this."""
    cloud_left_usd: Decimal = Field(default=Decimal(0), ge=0)
    """What is left of that bill with it, for issues that still go to the cloud."""


class PriceSettings(Table):
    """Where prices come from."""

    date: datetime.date | None = None
    """Day whose prices hold; unset is the day on which the run starts (then recorded)."""
    usd_per_gpu_hour: Decimal = Field(default=Decimal("2.00"), ge=0)
    """Rent of the GPU that serves local tiers: about one A100-80GB by the hour in 2026."""
    hardware: HardwareSettings | None = Field(default=None, exclude_if=lambda owned: owned is None)
    """Your own GPU in the place of a rented one, for tiers with ``price = "owned"``."""
