"""What ``doctor`` shows of a local tier's cost: by the hour, per month, next to the cloud."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router.commands.report import attempt_costs
from swe_router.errors import SweRouterError
from swe_router.estimates import local_cost
from swe_router.integrity.locate import find_run
from swe_router.journal.header import header_of_run
from swe_router.reports.attempt_cost_lines import attempt_cost_lines
from swe_router.settings import HardwareSettings, Settings, Tier
from swe_router.wiring.connectivity import ConnectivityCheck


def local_cost_checks(settings: Settings, runs_folder: Path) -> list[ConnectivityCheck]:
    """One row per ladder tier that is paid by the hour, and one on the hardware if it is owned."""
    checks = []
    measured = _measured_costs(runs_folder)
    for name in settings.ladder:
        hour = attempt_costs.gpu_hour_usd(settings.tiers[name], settings.prices)
        if hour is not None:
            lines = [_hourly_line(settings, name, hour), *_measured_lines(settings, name, measured)]
            checks.append(ConnectivityCheck(f"cost of {name}", "ok", "; ".join(lines)))
    hardware = settings.prices.hardware
    if hardware is not None:
        checks.append(ConnectivityCheck("hardware", "ok", hardware_line(hardware)))
    return checks


def _measured_costs(runs_folder: Path) -> list[dict[str, Any]]:
    """The costs of the newest run; none where there is no run that can be read."""
    try:
        run = find_run("latest", runs_folder)
        return attempt_costs.attempt_costs([run], [header_of_run(run)])
    except SweRouterError:
        return []


def _hourly_line(settings: Settings, name: str, hour: Decimal) -> str:
    tier = settings.tiers[name]
    full = local_cost.usd_per_attempt(hour, Decimal(str(tier.attempt_seconds)), tier.concurrency)
    return (
        f"${hour:.2f} per {_hour_of(tier)}, shared by {tier.concurrency} as set: an attempt of"
        f" {tier.attempt_seconds:.0f} s of calls costs ${full:.4f}, {_break_evens(settings, hour)}"
    )


def _hour_of(tier: Tier) -> str:
    return "GPU-hour" if tier.cards == 1 else f"hour of {tier.cards} GPUs"


def _break_evens(settings: Settings, hour: Decimal) -> str:
    clouds = [name for name in settings.ladder if _is_cloud(settings.tiers[name])]
    if not clouds:
        return "and the ladder has no cloud tier to compare it with"
    limits = {name: settings.tiers[name].attempt_usd for name in clouds}
    shown = ", ".join(
        f"{hour / usd:.2g} per hour of {name} (at its limit of ${usd:.2f})"
        for name, usd in limits.items()
    )
    return f"and an hour as much as attempts: {shown}"


def _is_cloud(tier: Tier) -> bool:
    return tier.price not in (*attempt_costs.BY_THE_HOUR, "free")


def _measured_lines(settings: Settings, name: str, measured: list[dict[str, Any]]) -> list[str]:
    rows = [row for row in measured if row["tier"] == name and _is_same(settings, row)]
    if not rows:
        return ["what an attempt takes is not measured: the newest run has not these tiers"]
    return [f"in the newest run {line}" for line in attempt_cost_lines(rows)]


def _is_same(settings: Settings, row: Mapping[str, Any]) -> bool:
    tier = settings.tiers.get(row["tier"])
    return tier is not None and (tier.model, tier.price) == (row["model"], row["price"])


def hardware_line(hardware: HardwareSettings) -> str:
    """What owned hardware costs and saves per month, and when its price is back."""
    month, energy = local_cost.usd_per_month(hardware), local_cost.energy_usd_per_month(hardware)
    line = (
        f"${month:.2f} a month: ${hardware.usd:,} over {hardware.months} months, ${energy:.2f} of"
        f" energy; ${local_cost.usd_per_gpu_hour(hardware):.4f} per hour at"
        f" {hardware.utilisation:.0%} utilisation"
    )
    if hardware.cloud_usd is None:
        return f"{line}; prices.hardware.cloud_usd, your cloud bill without it, shows what it saves"
    saved = hardware.cloud_usd - hardware.cloud_left_usd
    months = local_cost.payback_months(hardware, saved)
    left = local_cost.usd_saved_per_month(hardware, saved)
    balance = f"saves ${left:.2f}" if left >= 0 else f"loses ${-left:.2f}"
    line += f"; of a cloud bill of ${hardware.cloud_usd:,} a month it {balance}"
    if saved <= 0:
        return f"{line} and is never paid back: with it the cloud bill is no smaller"
    if months is None:
        return f"{line} and is never paid back: its energy costs as much as it saves"
    how = f"${hardware.usd:,} / (${saved:,} saved - energy)"
    late = f", after the {hardware.months} over which it is spread" if left < 0 else ""
    return f"{line} and is paid back in {months:.1f} months{late} ({how})"
