"""What a model on a GPU costs by the hour, per attempt and per month, and when hardware pays.

All amounts are USD. Hardware is counted once: its price is spread over its months *or* paid back
by what it saves, never both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from swe_router.settings import HardwareSettings

HOURS_PER_MONTH = Decimal(730)
"""24 hours x 365 days / 12."""


def energy_usd_per_month(hardware: HardwareSettings) -> Decimal:
    """USD of energy per month: as given, else watts x busy hours x the price of a kWh."""
    if hardware.energy_usd is not None:
        return hardware.energy_usd
    return hardware.watts / 1000 * busy_hours_per_month(hardware) * hardware.usd_per_kwh


def busy_hours_per_month(hardware: HardwareSettings) -> Decimal:
    """Hours per month in which the hardware serves."""
    return HOURS_PER_MONTH * hardware.utilisation


def usd_per_month(hardware: HardwareSettings) -> Decimal:
    """USD per month: price / lifetime in months + energy."""
    return hardware.usd / hardware.months + energy_usd_per_month(hardware)


def usd_per_gpu_hour(hardware: HardwareSettings) -> Decimal:
    """USD per hour in which the hardware serves: what a month costs over its busy hours."""
    return usd_per_month(hardware) / busy_hours_per_month(hardware)


def usd_saved_per_month(hardware: HardwareSettings, cloud_usd_saved: Decimal) -> Decimal:
    """USD that remain of a cloud bill saved per month, after hardware and energy."""
    return cloud_usd_saved - usd_per_month(hardware)


def payback_months(hardware: HardwareSettings, cloud_usd_saved: Decimal) -> Decimal | None:
    """Months until the price of the hardware is back: price / (cloud bill saved - energy).

    None: never, since energy alone costs as much. The divisor is not ``usd_saved_per_month``: that
    has the price in it already, so it would be counted twice.
    """
    left = cloud_usd_saved - energy_usd_per_month(hardware)
    return hardware.usd / left if left > 0 else None


def usd_per_attempt(
    gpu_hour_usd: Decimal, call_seconds: Decimal, concurrency: Decimal | int
) -> Decimal:
    """USD of one attempt: seconds of its calls x the price of a second / calls that share it."""
    return call_seconds * gpu_hour_usd / 3600 / concurrency


def break_even_attempts(period_usd: Decimal, cloud_usd_per_attempt: Decimal) -> Decimal | None:
    """Attempts per period from which local is the cheaper one; None where the cloud is free.

    ``period_usd``: what the local tier costs in that period, an hour or a month, however busy.
    """
    return period_usd / cloud_usd_per_attempt if cloud_usd_per_attempt > 0 else None


@dataclass(frozen=True)
class CallOverlap:
    """How many calls of a tier were in flight at a time, over the time in which any was."""

    calls: int
    call_seconds: float
    """Sum over the calls."""
    busy_seconds: float
    """Time in which at least one was in flight."""
    most: int
    """In flight at once."""

    @property
    def concurrency(self) -> float:
        """Calls in flight on average while there was one; 0 without calls."""
        if not self.busy_seconds:
            return float(bool(self.calls))
        return self.call_seconds / self.busy_seconds


def measure_overlap(spans: Iterable[tuple[float, float]]) -> CallOverlap:
    """The overlap of calls, each given as Unix seconds of its begin and end."""
    calls = [(begin, max(begin, end)) for begin, end in spans]
    # An end goes before a begin of the same moment: those two calls do not overlap.
    edges = sorted([(begin, 1) for begin, _ in calls] + [(end, -1) for _, end in calls])
    flying = most = 0
    busy = since = 0.0
    for at, change in edges:
        if flying:
            busy += at - since
        flying, since = flying + change, at
        most = max(most, flying)
    whole = sum(end - begin for begin, end in calls)
    return CallOverlap(len(calls), whole, busy, most)
