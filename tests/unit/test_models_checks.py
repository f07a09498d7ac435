"""What is said of a tier before a cent is spent."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from swe_router import settings
from swe_router.errors import UsageError
from swe_router.models.tier_checks import address_of, key_of, rate_of, retirement_notice, window_gap
from swe_router.settings import PriceSettings, Tier

DAY = datetime.date(2026, 11, 24)


def tier(**fields):
    given = {"dialect": "anthropic", "model": "m", "window": 100_000, "attempt_usd": Decimal(1)}
    return Tier(**{**given, **fields})


def test_a_missing_key_names_the_variable_and_the_tier():
    for environ in ({}, {"A_KEY": "  "}):
        with pytest.raises(UsageError, match=r"tier 'big' needs a key: .* A_KEY"):
            key_of("big", tier(api_key_env="A_KEY"), environ)
    assert key_of("big", tier(api_key_env="A_KEY"), {"A_KEY": "k\n"}) == "k"
    with pytest.raises(UsageError, match="A_KEY holds characters") as caught:
        key_of("big", tier(api_key_env="A_KEY"), {"A_KEY": "s\u00e9cret"})
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "api_key_env is missing"),
        ({"dialect": "vllm"}, "base_url is missing"),
        ({"dialect": "vllm", "base_url": "127.0.0.1:8000"}, "must begin with http"),
    ],
)
def test_a_tier_that_cannot_be_reached_is_refused(fields, why):
    with pytest.raises(UsageError, match=why):
        key_of("big", tier(**fields), {})


def test_a_password_in_an_address_is_refused_and_not_shown():
    for url in ("http://me:s3cret@127.0.0.1/v1", "https://s3cret@host/v1"):
        with pytest.raises(UsageError, match="holds a user or a password") as refused:
            address_of("big", tier(dialect="vllm", base_url=url))
        assert "s3cret" not in str(refused.value)
    with pytest.raises(UsageError, match="must begin with http") as refused:
        key_of("big", tier(dialect="vllm", base_url="me:s3cret@host/v1"), {})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("dialect", "url", "home"),
    [
        ("vllm", "http://h:8000/v1/chat/completions", "http://h:8000/v1"),
        ("openai", "https://h/api/v1/responses/", "https://h/api/v1"),
        ("anthropic", "https://h/v1/messages", "https://h"),
    ],
)
def test_the_address_of_a_call_is_no_base_url(dialect, url, home):
    with pytest.raises(UsageError, match=f"give what stands before it, {home}$"):
        address_of("big", tier(dialect=dialect, base_url=url))
    assert address_of("big", tier(dialect=dialect, base_url=home)) == home


def test_local_and_recorded_tiers_need_no_key():
    assert key_of("l", tier(dialect="vllm", base_url="http://127.0.0.1:8000/v1"), {}) == ""
    assert key_of("s", tier(dialect="scripted"), {}) == ""


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-11-10", None),
        ("2026-11-11", "in 30 days"),
        ("2026-12-10", "in 1 days"),
        ("2026-12-11", "was retired on 2026-12-11"),
        ("2027-01-01", "was retired"),
    ],
)
def test_a_retirement_is_named_thirty_days_ahead_with_its_successor(day, said):
    old = tier(model="o3", retires=datetime.date(2026, 12, 11), successor="gpt-5.5")
    notice = retirement_notice("o3", old, datetime.date.fromisoformat(day))
    assert (notice is None) == (said is None)
    if said:
        assert said in notice
        assert "gpt-5.5" in notice
    moved = old.model_copy(update={"model": "gpt-5.5"})
    assert retirement_notice("o3", moved, datetime.date.fromisoformat(day)) is None


def test_a_window_that_cannot_hold_one_step_says_the_numbers():
    small = tier(window=20_000, max_output_tokens=8192)
    assert window_gap("s", small, 1_800) == ""
    gap = window_gap("s", small, 1_809)
    assert "20000" in gap
    assert "20001" in gap


@pytest.mark.parametrize("price", ["free", "gpu-hour", {"input": "1", "output": "2"}, "table"])
def test_every_way_to_say_a_price_gives_a_rate_with_its_source(price):
    rate = rate_of("s", tier(model="claude-sonnet-5-5", price=price), PriceSettings(), DAY)
    assert rate.source
    assert rate.date == DAY
    assert (rate.max_usd(1000, 1000, 60) > 0) == (price != "free")


def test_the_hybrid_preset_is_complete_and_priced():
    hybrid = settings.load("hybrid")
    assert hybrid.ladder == ("local", "sonnet", "o3")
    for name, one in hybrid.tiers.items():
        rate = rate_of(name, one, hybrid.prices, DAY)
        assert rate.max_usd(1000, 1000, 60) > 0
        assert window_gap(name, one, 10_000) == ""
        # An hour of cache is taken only once a call came late.
        step = rate.max_usd(one.window, one.max_output_tokens, one.timeout, hour=False)
        assert step <= one.attempt_usd, f"{name}: an attempt could not pay one full-window call"
    notice = retirement_notice("o3", hybrid.tiers["o3"], DAY)
    assert notice == (
        "tier 'o3': o3 retires on 2026-12-11 (in 17 days): set tiers.o3.model = 'gpt-5.5'"
    )
    successor = hybrid.tiers["o3"].model_copy(update={"model": hybrid.tiers["o3"].successor})
    assert rate_of("o3", successor, PriceSettings(), DAY).max_usd(1000, 1000, 60) > 0
