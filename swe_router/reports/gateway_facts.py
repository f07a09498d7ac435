"""Who answered for a gateway, and what it says that cost, next to the price table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from swe_router.records import Completion, Outcome, ReturnedCost, ServedCalls, Trajectory
from swe_router.reports.run_summary import RunFacts

MAX_DIFFERENCE = 0.01
"""Share by which a gateway's cost may differ from the price table without a remark."""


def gateway_rows(facts: RunFacts) -> dict[str, dict[str, Any]]:
    """Tier -> who answered (calls by name), what was returned and listed; tiers of a gateway."""
    rows: dict[str, dict[str, Any]] = {}
    outcomes = (one for record in facts.records.values() for one in record.outcomes)
    for tier, ends in _by_tier(outcomes).items():
        served: Counter[str] = Counter()
        for end in ends:
            served.update(end.by)
        unknown = sum(end.usage_unknown for end in ends)
        costs = [end.returned for end in ends if end.returned is not None]
        rows[tier] = {"served": dict(sorted(served.items())), "usage_unknown": unknown}
        if costs:
            usd = sum((one.usd for one in costs), Decimal(0))
            listed = sum((one.listed for one in costs), Decimal(0))
            rows[tier] |= {"returned_usd": float(usd), "listed_usd": float(listed),
                           "difference": _difference(usd, listed)}  # fmt: skip
    return rows


def gateway_lines(facts: RunFacts) -> list[str]:
    """The same in words, a line per tier."""
    lines = []
    for tier, row in gateway_rows(facts).items():
        parts = [f"{name} ({calls})" for name, calls in row["served"].items()]
        if "returned_usd" in row:
            parts.append(_cost_words(row["returned_usd"], row["listed_usd"], row["difference"]))
        if row["usage_unknown"]:
            parts.append(f"{row['usage_unknown']} calls without counted tokens")
        lines.append(f"tier {tier}: {'; '.join(parts)}")
    return lines


def attempt_line(end: Trajectory) -> str:
    """Who answered the calls of an attempt, and at what cost; empty without a gateway."""
    known = end.served
    if known is None:
        return ""
    parts = [f"{name} ({calls})" for name, calls in known.by.items()]
    if known.returned is not None:
        parts.append(_words_of(known.returned))
    if known.usage_unknown:
        parts.append(f"{known.usage_unknown} calls without counted tokens")
    return "; ".join(parts)


def call_words(answer: Completion) -> str:
    """The same of one call."""
    parts = [f"{answer.model} by {answer.served_by}"] if answer.served_by else []
    if answer.returned is not None:
        parts.append(_words_of(answer.returned))
    if answer.usage_unknown:
        parts.append("tokens unknown")
    return "; ".join(parts)


def _by_tier(outcomes: Iterable[Outcome]) -> dict[str, list[ServedCalls]]:
    found: dict[str, list[ServedCalls]] = {}
    for outcome in outcomes:
        if (served := outcome.attempt.trajectory.served) is not None:
            found.setdefault(outcome.arm.model, []).append(served)
    return found


def _difference(usd: Decimal, listed: Decimal) -> float | None:
    """Share by which the gateway says more than the price table; None without a listed cost."""
    return round(float(usd / listed - 1), 4) if listed else None


def _words_of(cost: ReturnedCost) -> str:
    words = _cost_words(float(cost.usd), float(cost.listed), _difference(cost.usd, cost.listed))
    return words if cost.cap is None else f"{words}, charged as reserved: ${cost.cap:.6f}"


def _cost_words(usd: float, listed: float, difference: float | None) -> str:
    words = f"the gateway says ${usd:.6f}, the price table ${listed:.6f}"
    if difference is None or abs(difference) <= MAX_DIFFERENCE:
        return words
    return f"{words} ({difference:+.1%})"
