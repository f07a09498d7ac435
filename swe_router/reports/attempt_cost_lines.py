"""What an attempt cost per tier, and when a local tier is the cheaper one, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.reports.run_text import usd_text


def attempt_cost_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences of the rows of ``report.attempt_costs``; none without attempts."""
    return [line for row in rows for line in (_price_line(row), *_break_even_lines(row))]


def _price_line(row: Mapping[str, Any]) -> str:
    spent = row["usd_per_attempt"]
    span = "" if spent["low"] is None else f" [{usd_text(spent['low'])}, {usd_text(spent['high'])}]"
    line = (
        f"an attempt on {row['tier']} cost {usd_text(spent['value'])}{span} (n = {row['attempts']})"
    )
    if row["usd_per_hour"] is None:
        return line
    line += (
        f": {row['call_seconds_per_attempt']:.0f} s of calls at {usd_text(row['usd_per_hour'])} per"
        f" hour, shared by {row['concurrency_set']} as set"
    )
    measured = row["concurrency_measured"]
    if measured is None:
        return f"{line}; how many shared it was not measured"
    return (
        f"{line}; {measured:.1f} calls at once were measured, which makes"
        f" {usd_text(row['usd_per_attempt_measured'])}"
    )


def _break_even_lines(row: Mapping[str, Any]) -> list[str]:
    return [_break_even_line(row["tier"], one) for one in row["break_even"]]


def _break_even_line(tier: str, one: Mapping[str, Any]) -> str:
    needed, reached = one["attempts_per_hour_needed"], one["attempts_per_hour_reached"]
    if needed is None:
        return f"{one['cloud']} cost nothing: {tier} cannot be cheaper"
    price = usd_text(one["cloud_usd_per_attempt"])
    line = (
        f"{tier} is cheaper per attempt than {one['cloud']} ({price})"
        f" from {needed:.2g} attempts per hour on"
    )
    if reached is None:
        return line
    how = "measured" if one["measured"] else "set"
    return f"{line}; with {one['concurrency']:.1f} calls at once, as {how}, it makes {reached:.2g}"
