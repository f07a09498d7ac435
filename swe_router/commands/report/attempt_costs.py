"""What an attempt cost on each tier of recorded runs, and when a local tier beats a cloud tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from swe_router.estimates import local_cost
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.ledger import log_reader
from swe_router.settings import PriceSettings, Tier

if TYPE_CHECKING:
    import numpy as np

    from swe_router.stats import rates
else:
    np = deferred_module("numpy")
    rates = deferred_module("swe_router.stats.rates")

BY_THE_HOUR = ("gpu-hour", "owned")
"""Prices of tiers whose hour costs the same however many calls it serves."""


@dataclass
class _TierAttempts:
    """The attempts of one tier, over the runs that were named."""

    tier: Tier
    prices: PriceSettings
    usd: list[float] = field(default_factory=list)
    call_seconds: list[float] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    recorded: bool = False
    """Some were played from recordings, whose calls overlap as they please."""


def attempt_costs(runs: Sequence[RunFolder], headers: Sequence[Header]) -> list[dict[str, Any]]:
    """One row per tier of the runs, in ladder order: attempts, USD, seconds, overlap, break-even.

    A tier that has another model, price or hardware in another run is a row of its own.
    """
    found: dict[str, _TierAttempts] = {}
    for run, header in zip(runs, headers, strict=True):
        _add_run(found, run, header)
    rows = [_tier_row(name.split("\0")[0], one) for name, one in found.items() if one.usd]
    cloud = [row for row in rows if row["price"] not in (*BY_THE_HOUR, "free")]
    for row in rows:
        row["break_even"] = [_break_even(row, other) for other in cloud if row["usd_per_hour"]]
    return rows


def _add_run(found: dict[str, _TierAttempts], run: RunFolder, header: Header) -> None:
    spans = log_reader.call_spans(run.ledger_file)
    groups: dict[str, _TierAttempts] = {}
    for name in header.settings.ladder:
        tier, prices = header.settings.tiers[name], header.settings.prices
        hour = gpu_hour_usd(tier, prices)
        key = "\0".join((name, tier.model, str(tier.price), str(hour), str(tier.concurrency)))
        group = groups[name] = found.setdefault(key, _TierAttempts(tier, prices))
        group.spans += spans.get(name, [])
        group.recorded |= header.recordings
    for record in run.records().values():
        for outcome in record.outcomes:
            here = groups.get(outcome.arm.model)
            if here is None or outcome.attempt.source:
                continue
            usage = outcome.attempt.trajectory.usage
            here.usd.append(float(outcome.attempt.trajectory.usd))
            here.call_seconds.append(usage.seconds)
            here.instances.append(record.instance.id)


def gpu_hour_usd(tier: Tier, prices: PriceSettings) -> Decimal | None:
    """USD that an hour of the tier's GPUs costs; None for one that is paid by the token."""
    if tier.price == "gpu-hour":
        return prices.usd_per_gpu_hour * tier.cards
    if tier.price == "owned" and prices.hardware is not None:
        return local_cost.usd_per_gpu_hour(prices.hardware)
    return None


def _tier_row(name: str, found: _TierAttempts) -> dict[str, Any]:
    hour = gpu_hour_usd(found.tier, found.prices)
    overlap = local_cost.measure_overlap(found.spans)
    measured = overlap.concurrency if overlap.calls and not found.recorded else None
    seconds = float(np.mean(found.call_seconds))
    price = found.tier.price if isinstance(found.tier.price, str) else "own table"
    row: dict[str, Any] = {
        "tier": name,
        "model": found.tier.model,
        "price": price,
        "attempts": len(found.usd),
        "usd_per_attempt": _mean_with_interval(found.usd, found.instances),
        "call_seconds_per_attempt": seconds,
        "usd_per_hour": None if hour is None else float(hour),
        "concurrency_set": found.tier.concurrency if hour is not None else None,
        "concurrency_measured": measured if hour is not None else None,
        "most_calls_at_once": overlap.most if measured is not None else None,
    }
    if hour is not None:
        alone, shared = Decimal(1), Decimal(str(measured)) if measured else None
        spent = Decimal(str(seconds))
        row["usd_per_attempt_alone"] = float(local_cost.usd_per_attempt(hour, spent, alone))
        row["usd_per_attempt_measured"] = (
            float(local_cost.usd_per_attempt(hour, spent, shared)) if shared else None
        )
    return row


def _mean_with_interval(values: Sequence[float], clusters: Sequence[str]) -> dict[str, Any]:
    """Mean, with the 95% interval of a bootstrap over instances; none of a single instance."""
    numbers = np.array(values)
    low = high = None
    if len(set(clusters)) > 1:
        low, high = rates.cluster_interval(rates.ratio_statistic(numbers), clusters)
    return {"value": float(numbers.mean()), "low": low, "high": high}


def _break_even(local: dict[str, Any], cloud: dict[str, Any]) -> dict[str, Any]:
    """From how many attempts per hour on the local tier is cheaper than on a cloud tier."""
    hour, price = Decimal(str(local["usd_per_hour"])), cloud["usd_per_attempt"]["value"]
    needed = local_cost.break_even_attempts(hour, Decimal(str(price)))
    shared = local["concurrency_measured"] or local["concurrency_set"]
    seconds = local["call_seconds_per_attempt"]
    return {
        "cloud": cloud["tier"],
        "cloud_usd_per_attempt": price,
        "attempts_per_hour_needed": None if needed is None else float(needed),
        "attempts_per_hour_reached": 3600 * shared / seconds if seconds else None,
        "concurrency": shared,
        "measured": local["concurrency_measured"] is not None,
    }
