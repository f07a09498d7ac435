"""How much of an earlier conversation the first message of an attempt may hold."""

from __future__ import annotations

from decimal import Decimal

from swe_router.agents.dialogue import BYTES_PER_TOKEN
from swe_router.journal.header import Header
from swe_router.records import Plan

MAX_BUDGET_SHARE = Decimal("0.25")
"""Share of the attempt's dollar limit that the handover may add to the first reservation."""
WINDOW_DIVISOR = 2
"""The conversation takes at most this part (one half) of what the window leaves a prompt."""
UNKNOWN_WINDOW_TOKENS = 60_000
"""Bytes where the size of the context window is unknown."""


def handover_limit(header: Header, plan: Plan) -> int:
    """UTF-8 bytes for an earlier conversation: what window and dollar limit bear.

    A request that nothing has measured yet is reserved at one token per byte: a longer
    prefix could exceed the attempt's own limit.
    """
    tier = header.settings.tiers[plan.arm.model]
    free = max(0, tier.window - tier.max_output_tokens)
    by_window = free * BYTES_PER_TOKEN // WINDOW_DIVISOR if tier.window else UNKNOWN_WINDOW_TOKENS
    rate = header.rates.get(plan.arm.model)
    if rate is None:
        return by_window
    max_price = max(band.max_input_price for band in rate.bands)
    if not max_price:
        return by_window
    by_money = int(plan.budget.dollars * MAX_BUDGET_SHARE * 1_000_000 / max_price)
    return min(by_window, by_money)
