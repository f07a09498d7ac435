"""Prices: exact, dated, never below what a call can cost, never silently nothing."""

from __future__ import annotations

import datetime
from decimal import Decimal

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router import prices
from swe_router.errors import UsageError
from swe_router.prices import PriceBand, PriceRate
from swe_router.records import Usage

D = Decimal

DAY = datetime.date(2026, 11, 24)

usd = st.decimals(0, 200, places=6, allow_nan=False)
tokens = st.integers(0, 2_000_000)
bands = st.builds(
    PriceBand, above=st.just(0), input=usd, output=usd, cache_read=usd, cache_write=usd
)


@st.composite
def rates(draw):
    starts = [0, *sorted(draw(st.sets(st.integers(1, 1_500_000), max_size=3)))]
    made = tuple(draw(bands).model_copy(update={"above": start}) for start in starts)
    per_second = draw(st.decimals(0, 1, places=9, allow_nan=False))
    return PriceRate(bands=made, per_second=per_second, source="drawn", date=DAY)


@st.composite
def usages(draw):
    parts = [draw(st.integers(0, 700_000)) for _ in range(3)]
    return Usage(
        input_tokens=parts[0],
        cache_read_tokens=parts[1],
        cache_write_tokens=parts[2],
        output_tokens=draw(tokens),
        seconds=draw(st.floats(0, 5000)),
    )


@given(rate=rates(), usage=usages(), slack=st.integers(0, 1000))
def test_no_split_of_the_input_costs_more_than_the_worst_case(rate, usage, slack):
    worst = rate.max_usd(
        usage.prompt_tokens + slack, usage.output_tokens + slack, usage.seconds + slack
    )
    assert rate.usd(usage) <= worst


@given(rate=rates(), usage=usages())
def test_a_replay_from_json_recomputes_the_same_usd(rate, usage):
    again = PriceRate.model_validate_json(rate.model_dump_json())
    same = Usage.model_validate_json(usage.model_dump_json())
    assert again.usd(same) == rate.usd(usage)


@given(rate=rates(), n=tokens, m=tokens)
def test_a_charge_without_usage_stays_within_its_reservation(rate, n, m):
    usage = rate.max_usage(n, m, 10.0)
    assert usage.prompt_tokens == n
    assert rate.usd(usage) <= rate.max_usd(n, m, 10.0)


@settings(deadline=None, max_examples=40)
@given(
    model=st.sampled_from(["claude-sonnet-5-5", "claude-haiku-5-5", "gpt-5.5", "o3", "gpt-6-luna"]),
    usage=usages(),
)
def test_our_arithmetic_is_that_of_genai_prices(model, usage):
    provider = "anthropic" if model.startswith("claude") else "openai"
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.prompt_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            output_tokens=usage.output_tokens,
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC),
    ).total_price
    bare = usage.model_copy(update={"seconds": 0.0})
    ours = prices.rate_for(model, dialect=provider, on=DAY).usd(bare)
    assert 0 <= ours - theirs < D("0.000000002")


def test_a_fraction_of_a_nano_dollar_is_rounded_up():
    rate = prices.flat_rate(D("0.0001"), D(0), source="s", on=DAY)
    assert rate.usd(Usage(input_tokens=1)) == D("0.000000001")
    assert rate.usd(Usage()) == 0


def test_a_long_prompt_prices_the_whole_call_at_its_band():
    rate = prices.rate_for("claude-haiku-5-5", dialect="anthropic", on=DAY)
    assert rate.usd(Usage(input_tokens=100_000)) == D("0.01")
    assert rate.usd(Usage(input_tokens=100_001)) == D("0.0500005")
    assert rate.usd(Usage(cache_read_tokens=100_001, output_tokens=1)) == D("0.005002550")


def test_an_hour_of_cache_is_written_at_its_own_price():
    both = prices.rate_for("claude-sonnet-5-5", dialect="anthropic", on=DAY, hour=True)
    band = both.bands[0]
    assert (band.input, band.cache_write, band.cache_write_1h) == (D(2), D("2.5"), D(4))
    written = Usage(cache_write_tokens=1_000_000, cache_write_1h_tokens=400_000)
    assert both.usd(written) == D("0.6") * D("2.5") + D("0.4") * 4
    assert both.max_usd(1_000_000, 0, 0) == 4
    assert both.usd(both.max_usage(1_000_000, 0, 0)) == 4


def test_a_bound_has_no_hour_of_cache_where_no_call_may_ask_for_one():
    rate = prices.rate_for("claude-sonnet-5-5", dialect="anthropic", on=DAY)
    assert rate.max_usd(1_000_000, 0, 0) == D("2.5")


def test_a_rate_of_before_the_two_writes_prices_both_alike():
    sealed = {"above": 0, "input": "2", "output": "10", "cache_read": "0.1", "cache_write": "4"}
    rate = prices.PriceRate.model_validate({"bands": [sealed], "source": "s", "date": "2026-11-24"})
    written = Usage(cache_write_tokens=1_000_000, cache_write_1h_tokens=400_000)
    assert rate.usd(written) == 4
    assert rate.model_dump(mode="json")["bands"] == [sealed]
    assert "service" not in rate.model_dump(mode="json")
    assert "cache_write_1h_tokens" not in Usage(cache_write_tokens=5).model_dump()


def test_more_kept_for_an_hour_than_written_is_no_usage():
    with pytest.raises(ValueError, match="hour"):
        Usage(cache_write_tokens=1, cache_write_1h_tokens=2)


def test_a_batch_is_priced_as_its_list_says_and_not_at_half_of_everything():
    rate = prices.rate_for("o3", dialect="openai", on=DAY, service="batch")
    band = rate.bands[0]
    # o3's cache reads have no discount in batches.
    assert (band.input, band.output, band.cache_read) == (D(1), D(4), D("0.5"))
    assert rate.service == "batch"
    long = prices.rate_for("claude-haiku-5-5", dialect="anthropic", on=DAY, service="batch")
    assert long.usd(Usage(input_tokens=100_001)) == D("0.02500025")


def test_a_model_without_a_price_in_batches_is_refused():
    with pytest.raises(UsageError, match="no price in batches is known for model 'kimi-k2'"):
        prices.rate_for("kimi-k2", dialect="openai", on=DAY, service="batch")


def test_a_price_that_varies_over_the_day_is_taken_at_its_dearest():
    rate = prices.rate_for(
        "deepseek-chat",
        dialect="openai",
        base_url="https://api.deepseek.com/v1",
        on=datetime.date(2025, 6, 1),
    )
    assert rate.bands[0].input == D("0.27")


def test_prices_are_those_of_the_day(tmp_path):
    table = tmp_path / "prices.toml"
    row = '[[price]]\nmodel = "m"\nsince = {}\nsource = "s"\ninput = {}\noutput = 1\n'
    table.write_text(row.format("2026-01-01", "0.1") + row.format("2026-06-01", "0.2"))

    def price(day):
        return prices.rate_for("m", on=day, table=table).bands[0].input

    assert price(datetime.date(2026, 5, 31)) == D("0.1")
    assert price(datetime.date(2026, 6, 1)) == D("0.2")
    with pytest.raises(UsageError):
        price(datetime.date(2025, 12, 31))


def test_the_shipped_table_has_deepseek_coder_with_its_source():
    rate = prices.rate_for(
        "deepseek-coder", dialect="openai", base_url="https://api.deepseek.com", on=DAY
    )
    assert rate.bands[0].output == D("1.10")
    assert "https://api-docs.deepseek.com" in rate.source


@pytest.mark.parametrize(
    ("model", "dialect"), [("nobody-knows-me", "openai"), ("o3", "vllm"), ("", "anthropic")]
)
def test_a_model_without_a_price_is_refused_with_both_ways_out(model, dialect):
    with pytest.raises(UsageError, match=r"tiers\.mine\.price = .*\"free\"") as caught:
        prices.rate_for(model, dialect=dialect, on=DAY, tier="mine")
    assert repr(model) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["sonar", "sonar-deep-research"])
def test_a_model_that_is_billed_for_more_than_its_tokens_counts_as_unpriced(model):
    with pytest.raises(UsageError, match="no price is known"):
        prices.rate_for(model, dialect="openai", base_url="https://api.perplexity.ai", on=DAY)


def test_a_gpu_hour_is_never_silently_free():
    rate = prices.gpu_hour_rate(D("2.00"), 4, DAY)
    assert rate.usd(Usage(input_tokens=10**6, output_tokens=10**6, seconds=3600)) >= D("0.5")
    assert rate.max_usd(0, 0, 300.0) >= rate.usd(Usage(seconds=300.0)) > D("0.04")


@pytest.mark.parametrize("text", ["[[price]]\nmodel = 1\n", "nonsense", "[[price]]\nx = 1\n"])
def test_a_broken_price_table_is_named(tmp_path, text):
    table = tmp_path / "prices.toml"
    table.write_text(text)
    with pytest.raises(UsageError, match=r"prices\.toml is not a price table"):
        prices.rate_for("o3", dialect="openai", on=DAY, table=table)


def test_bands_out_of_order_are_refused():
    band = PriceBand(input=D(1), output=D(1), cache_read=D(1), cache_write=D(1))
    with pytest.raises(ValueError, match="bands must start at 0"):
        PriceRate(bands=(band.model_copy(update={"above": 5}),), source="s", date=DAY)
