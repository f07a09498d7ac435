"""What a switch to another tier costs, by what its cache still holds of the attempt."""

from __future__ import annotations

from decimal import Decimal

import pytest

from swe_router.estimates.switch_price import (
    CacheState,
    ConversationPace,
    calls_usd,
    is_clearly_cheaper,
    next_call_usd,
    switch_usd,
)
from tests.doubles.phased import rate

PRICE = rate("3").usd
"""$3 per million in, $15 out, $0.30 read, $3.75 written."""


def test_a_first_visit_reads_the_whole_prefix_and_a_warm_return_only_what_is_new():
    """100,000 tokens: written for $0.375; after a return with 90,000 warm, $0.027 + $0.0375."""
    assert next_call_usd(PRICE, 100_000, 0, 0) == Decimal("0.375")
    assert next_call_usd(PRICE, 100_000, 90_000, 0) == Decimal("0.0645")
    assert next_call_usd(PRICE, 100_000, 90_000, 1000) == Decimal("0.0795")


@pytest.mark.parametrize(
    ("state", "usd"),
    [
        (CacheState(), "0.345"),
        (CacheState(100_000, 299.0), "0"),
        (CacheState(100_000, 300.0), "0.345"),
        (CacheState(90_000, 10.0), "0.0345"),
        (CacheState(120_000, 10.0), "0"),
    ],
    ids=["never asked", "warm", "forgotten", "warm but for the newest", "it knew more"],
)
def test_a_switch_costs_what_cannot_be_read_any_more(state, usd):
    assert switch_usd(PRICE, 100_000, state, 300.0) == Decimal(usd)


def test_each_call_reads_what_the_one_before_it_wrote():
    """10,000 then 11,000 tokens with 100 out: $0.0375 + $0.003 + $0.00375 + 2 x $0.0015."""
    assert calls_usd(PRICE, 10_000, 0, ConversationPace(100, 1000), 2) == Decimal("0.04725")
    assert calls_usd(PRICE, 10_000, 0, ConversationPace(100, 1000), 0) == 0


def test_a_price_without_a_cache_makes_all_visits_alike():
    def plain(usage):
        return Decimal(usage.prompt_tokens)

    assert switch_usd(plain, 1000, CacheState(), 300.0) == 0


def test_the_band_keeps_what_differs_by_noise_where_it_is():
    assert is_clearly_cheaper(Decimal("0.89"), Decimal(1), 0.1)
    assert not is_clearly_cheaper(Decimal("0.9"), Decimal(1), 0.1)
    assert is_clearly_cheaper(Decimal("0.9"), Decimal(1), 0.0)
