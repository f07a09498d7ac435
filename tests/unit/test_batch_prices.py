"""The prices of calls in batches, and of prompts that they ask to keep."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from decimal import Decimal

import pytest

from swe_router import prices
from swe_router.models import tier_checks
from swe_router.records import CallLimits, Message, Usage
from swe_router.settings import PriceSettings, Tier
from swe_router.wiring import batch_prices
from tests.doubles.batch_server import BatchServer
from tests.doubles.batched import model_at

D = Decimal
DAY = datetime.date(2026, 11, 24)


def tier(model="claude-sonnet-4-5", dialect="anthropic", **more):
    return Tier(dialect=dialect, model=model, window=100_000, attempt_usd=D(1), **more)


@dataclass
class OneTier:
    tiers: dict


def rates_of(cloud):
    live = tier_checks.rate_of("cloud", cloud, PriceSettings(), DAY)
    return batch_prices.batch_rates(OneTier({"cloud": cloud}), {"cloud": live})


def test_a_prompt_that_a_batch_keeps_for_an_hour_is_reserved_and_charged_at_that_price():
    """The price of five minutes alone was known, and a write of an hour costs 1.6 times that."""
    with BatchServer("anthropic") as server:
        talk = (Message(role="system", content="x" * 9000), Message(role="user", content="go"))
        item = model_at(server).batches().item("t-1", talk, limits=CallLimits(max_output_tokens=9))
    assert '"ttl": "1h"' in json.dumps(item.body)
    rate = rates_of(tier())["cloud"]
    written = Usage(cache_write_tokens=100_000, cache_write_1h_tokens=100_000)
    assert rate.usd(written) == D("0.3"), "half of twice 3 USD per million"
    assert rate.max_usd(100_000, 0, 0) == D("0.3")
    short = rates_of(tier(options={"cache_ttl": "5m"}))["cloud"]
    assert short.max_usd(100_000, 0, 0) == D("0.1875")


def test_a_price_of_ones_own_is_halved_and_an_unknown_batch_price_is_left_out():
    own = tier(model="nobody-knows", price={"input": "4", "output": "8", "cache_read": "1"})
    found = rates_of(own)["cloud"]
    assert found.usd(Usage(input_tokens=1_000_000, output_tokens=1_000_000)) == D(6)
    assert found.usd(Usage(cache_read_tokens=1_000_000)) == D("0.5")
    assert found.service == "batch"
    unknown = OneTier({"cloud": tier(model="nobody-knows")})
    assert batch_prices.batch_rates(unknown, {"cloud": found}) == {}


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-5"])
def test_half_of_a_listed_price_is_what_the_list_says_of_batches(model):
    live = prices.rate_for(model, dialect="anthropic", on=DAY, hour=True)
    listed = prices.rate_for(model, dialect="anthropic", on=DAY, hour=True, service="batch")
    assert batch_prices.half_of(live).bands == listed.bands
