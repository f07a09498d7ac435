"""What batches are expected to take and cost, against sums worked out by hand."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from swe_router.commands.run.batch_forecast import (
    PastTokens,
    batch_forecast_lines,
    forecast_batches,
)
from swe_router.prices import flat_rate
from swe_router.wiring.batch_prices import half_of

LIVE = flat_rate(
    Decimal(3),
    Decimal(15),
    cache_read=Decimal("0.3"),
    cache_write=Decimal("3.75"),
    source="test",
    on=datetime.date(2026, 11, 24),
)
LONG = PastTokens(steps=39, prompt_tokens=780_000, output_tokens=39_000)
"""Prompts that grow by 1,000 tokens a step: 1,000 + … + 39,000 = 780,000."""


def forecast(past=(LONG,), **more):
    given = {"instances": 100, "at_once": 50, "minutes": 30.0}
    return forecast_batches(past, LIVE, half_of(LIVE), **{**given, **more})


def test_a_fleet_of_two_waves_takes_twice_the_steps_in_rounds():
    found = forecast()
    assert (found["batches"], found["hours"], found["hours_at_most"]) == (78, 39.0, 1872.0)
    found = forecast(instances=10)
    assert found["batches"] == 39, "the longest conversation is the least"


def test_dollars_are_those_of_a_cache_that_holds_and_of_one_that_does_not():
    usd = forecast(instances=1)["usd"]
    # 780,000 x 3 + 39,000 x 15 per million.
    assert usd["live"]["uncached"] == 2.925
    # 39,000 written at 3.75, 741,000 read at 0.3, and the output.
    assert usd["live"]["cached"] == pytest.approx(0.14625 + 0.2223 + 0.585, abs=1e-4)
    assert usd["batch"]["uncached"] == pytest.approx(2.925 / 2, abs=1e-4)
    assert usd["batch"]["cached"] == pytest.approx(0.95355 / 2, abs=1e-4)


def test_a_person_is_told_where_half_the_price_is_no_saving():
    """Agents read most of their prompt from the cache, which no batch of hours may keep."""
    (hours, money) = batch_forecast_lines(forecast(), 30.0)
    assert "39.0 hours" in hours
    assert "cost more than live calls in which it does" in money
    short = PastTokens(steps=2, prompt_tokens=2_000, output_tokens=4_000)
    assert "cost more" not in batch_forecast_lines(forecast((short,)), 30.0)[1]
