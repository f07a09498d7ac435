"""How much of an earlier conversation the first message of an attempt may hold."""

from __future__ import annotations

from decimal import Decimal

from swe_router.agents.dialogue import BYTES_PER_TOKEN
from swe_router.journal.header import Header
from swe_router.records import Plan

SHARE = Decimal("0.25")
"""Of the attempt's dollar limit, for what the first request may be reserved for its sake."""
WINDOW_SHARE = 2
"""The conversation takes at most this part (one half) of what the window leaves a prompt."""
UNKNOWN_WINDOW = 60_000
"""Bytes where nobody says how much the window holds."""


def handover_limit(header: Header, plan: Plan) -> int:
    """UTF-8 bytes for an earlier conversation: what window and dollar limit bear.

    A request that nothing has measured yet is reserved at one token a byte, so that a longer
    prefix could be refused by the attempt's own limit.
    """
    tier = header.settings.tiers[plan.arm.model]
    free = max(0, tier.window - tier.max_output_tokens)
    by_window = free * BYTES_PER_TOKEN // WINDOW_SHARE if tier.window else UNKNOWN_WINDOW
    rate = header.rates.get(plan.arm.model)
    if rate is None:
        return by_window
    dearest = max(band.max_input_price for band in rate.bands)
    if not dearest:
        return by_window
    by_money = int(plan.budget.dollars * SHARE * 1_000_000 / dearest)
    return min(by_window, by_money)
