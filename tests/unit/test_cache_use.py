"""What caches saved and what breaks cost, against sums by hand; where people see it."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from swe_router.estimates.caching.cache_use import (
    CacheTally,
    CacheUse,
    add_settled,
    break_usd,
    saved_usd,
    tally_of_steps,
)
from swe_router.ledger import Ledger, log_reader
from swe_router.prices import PriceBand, PriceRate, free_rate
from swe_router.records import Action, Completion, Message, Step, ToolCall, Usage
from swe_router.reports import cache_text, run_text

DAY = datetime.date(2026, 12, 1)
SONNET = PriceRate(
    bands=(
        PriceBand(
            input=Decimal(3),
            output=Decimal(15),
            cache_read=Decimal("0.3"),
            cache_write=Decimal("3.75"),
        ),
    ),
    source="platform.claude.com/docs pricing: Sonnet 4.5",
    date=DAY,
)
BLOCKS = SONNET.bands[0].model_copy(update={"cache_write": Decimal(3)})
OPENAI = SONNET.model_copy(update={"bands": (BLOCKS,)})


def usage(new=0, read=0, write=0, out=100, seconds=2.0):
    return Usage(
        input_tokens=new,
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=out,
        seconds=seconds,
    )


def test_saved_is_the_price_without_a_cache_less_the_price_paid():
    # 10,000 read: 0.030 would have been paid, 0.003 was; 1,000 written: 0.00375, not 0.003.
    assert saved_usd(usage(read=10_000, write=1_000), SONNET) == Decimal("0.02625")
    assert saved_usd(usage(write=1_000), SONNET) == Decimal("-0.00075"), "writes alone lose"
    assert saved_usd(usage(new=5_000), SONNET) == 0


def test_a_break_costs_what_it_was_paid_at_less_what_reading_costs():
    # 8,000 were written again (0.030) and not read (0.0024).
    assert break_usd(usage(write=10_000), 8_000, SONNET) == Decimal("0.0276")
    # Kept for an hour, each token was written at 6: 0.048 less 0.0024.
    band = SONNET.bands[0].model_copy(update={"cache_write_1h": Decimal(6)})
    hour = usage(write=10_000).model_copy(update={"cache_write_1h_tokens": 10_000})
    assert break_usd(hour, 8_000, SONNET.model_copy(update={"bands": (band,)})) == Decimal("0.0456")
    # 1,000 of them were written, the rest was plain input: 0.00375 + 0.021 - 0.0024.
    assert break_usd(usage(new=9_000, write=1_000), 8_000, SONNET) == Decimal("0.02235")


def test_only_a_lost_prefix_is_a_break_and_not_a_block_that_was_rounded_off():
    tally = CacheTally({"cloud": OPENAI})
    calls = [
        usage(new=6_000),  # the first has nothing to read
        usage(new=1_100, read=5_888),  # blocks of 128
        usage(new=9_000),  # 6,988 lost
        usage(new=600, read=9_000),
    ]
    found = [tally.add("cloud", "a/1", one) for one in calls]
    assert [one is not None for one in found] == [False, False, True, False]
    assert found[2].tokens == 6_988
    assert tally.whole.breaks == 1
    # 6,988 tokens at 3 less 0.3 USD per million.
    assert tally.whole.break_usd == found[2].usd == Decimal("0.0188676")
    assert tally.whole.share == pytest.approx(14_888 / 31_588)
    assert tally.add("cloud", "b/1", usage(new=9_000)) is None, "another attempt begins anew"


def test_a_server_that_tells_of_no_cache_and_costs_nothing_has_no_breaks():
    tally = CacheTally({"local": free_rate(DAY)})
    for _ in range(3):
        assert tally.add("local", "a/1", usage(new=5_000)) is None
    tally.add("local", "b/1", usage(new=100, read=5_000))
    assert tally.add("local", "b/1", usage(new=6_000)) is not None, "vLLM says what it read"
    assert tally.whole.saved_usd == 0


def step(index, used, note="", seconds=1.0):
    call = ToolCall(id="c", name="bash", arguments={"command": "make test"})
    return Step(
        index=index,
        request="",
        completion=Completion(message=Message(role="assistant"), usage=used),
        actions=(Action(call=call, observation="", seconds=seconds),),
        note=note,
    )


def test_each_break_of_an_attempt_says_what_it_comes_from():
    long = usage(write=20_000)
    steps = [
        step(0, long),
        step(1, usage(write=9_000), note="elided the observations of turns 1 to 4: about 3"),
        step(2, usage(read=9_000, write=100), seconds=299.0),
        step(3, usage(write=9_200)),
        step(4, usage(write=9_300)),
    ]
    _, found = tally_of_steps(steps, "cloud", {"cloud": SONNET})
    assert [one.cause if one else "" for one in found] == ["", "elided", "", "late", "not read"]
    shown = cache_text.break_sentence(found[3])
    assert shown.startswith("cache break: 9,100 tokens were paid again, $0.03")
    assert "over five minutes" in shown


@given(
    st.lists(
        st.tuples(*[st.integers(0, 300_000)] * 3, st.integers(0, 9_000)), min_size=1, max_size=12
    )
)
def test_what_is_saved_and_what_is_paid_add_up_to_no_cache_at_all(calls):
    tally, paid, bare = CacheTally({"t": SONNET}), Decimal(0), Decimal(0)
    for new, read, write, out in calls:
        tally.add("t", "a", usage(new, read, write, out))
        paid += SONNET.usd(usage(new, read, write, out))
        bare += SONNET.usd(usage(new + read + write, out=out))
    assert tally.whole.saved_usd == bare - paid
    assert 0 <= tally.whole.break_usd <= paid


def test_the_ledger_gives_the_calls_that_were_settled_in_order_and_to_a_reader(tmp_path):
    book = Ledger(tmp_path / "ledger.jsonl", Decimal(5))
    with book.hold("cloud", Decimal(1), "a/1") as hold:
        for number in range(3):
            hold.settle(hold.reserve(Decimal("0.1")), Decimal("0.01"), usage(write=number + 1))
        hold.void(hold.reserve(Decimal("0.1")))
    assert [one.usage["cache_write_tokens"] for one in book.settled_since(1)] == [2, 3]
    read = log_reader.read_ledger(tmp_path / "ledger.jsonl").settled_calls
    tally = CacheTally({"cloud": SONNET})
    for call in read:
        add_settled(tally, call.tier, call.key, call.usage)
    assert tally.by_conversation["a/1"].prompt_tokens == 6
    add_settled(tally, "cloud", "a/1", None)
    add_settled(tally, "cloud", "a/1", {"input_tokens": -1})
    assert tally.whole.prompt_tokens == 6, "what cannot be read is passed over"


def test_a_line_says_share_saving_and_breaks_and_nothing_where_there_is_no_cache():
    used = CacheUse(1000, 820, Decimal("1.2"), 2, 50, Decimal("0.01"))
    line = cache_text.cache_sentence(used)
    assert line == "82% of the prompts read from the cache, $1.2000 saved; 2 breaks cost $0.0100"
    lost = cache_text.cache_sentence(CacheUse(1000, 0, Decimal("-0.5")))
    assert lost == "0% of the prompts read from the cache, $0.5000 lost to writes"
    assert cache_text.saved_cell(CacheUse(1000, 0, Decimal("-0.5"))) == "-$0.5000"
    assert cache_text.cache_sentence(CacheUse(1000, 0, Decimal(0))) == ""
    assert cache_text.cache_sentence(CacheUse()) == ""


def test_show_says_the_break_at_its_step():
    steps = [step(0, usage(write=20_000)), step(1, usage(write=20_300))]
    _, found = tally_of_steps(steps, "cloud", {"cloud": SONNET})
    console = Console(width=120)
    with console.capture() as got:
        console.print(run_text.steps_view(steps, found))
    before, after = got.get().split("step 2")
    assert "cache break" not in before
    assert "cache break: 20,000 tokens were paid again, $0.0690" in after
