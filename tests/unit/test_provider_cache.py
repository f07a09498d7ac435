"""Providers' caches as they are documented, small enough to be followed by hand."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from swe_router.estimates.caching.provider_cache import (
    CacheRules,
    PromptBlock,
    ProviderCache,
    SentPrompt,
    least_usages,
)

ANTHROPIC = CacheRules("marks", min_tokens=1024, look_back=20, writes=True)
OPENAI = CacheRules("everything", min_tokens=1024, granule=128)
LATER_OPENAI = CacheRules("ends", min_tokens=1024, seconds=1800, writes=True)
DEEPSEEK = CacheRules("ends", seconds=86_400)


def blocks(*sizes, start=0, kind="a"):
    return tuple(PromptBlock(f"{kind}{n}", size) for n, size in enumerate(sizes, start))


def split(usage):
    return usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens


def last(row, seconds=300.0):
    return {len(row) - 1: seconds}


def test_a_mark_writes_what_stands_before_it_and_the_next_request_reads_it():
    cache, one, two = ProviderCache(ANTHROPIC), blocks(2000, 500), blocks(2000, 500, 100, 300)
    assert split(cache.call(0, one, last(one))) == (0, 0, 2500)
    assert split(cache.call(9, two, last(two))) == (0, 2500, 400)
    three = blocks(2000, 500, 100, 300, 50)
    assert split(cache.call(12, three, {3: 300.0})) == (50, 2900, 0), "nothing new is marked"
    assert split(cache.call(15, three, {})) == (2950, 0, 0), "without a mark nothing is read"


def test_a_turn_of_many_blocks_puts_the_last_mark_out_of_sight():
    cache, one = ProviderCache(ANTHROPIC), blocks(2000, 500)
    cache.call(0, one, last(one))
    many = blocks(2000, 500, *[10] * 20)
    assert split(cache.call(1, many, last(many)))[1] == 0, "20 blocks back is not the old end"
    cache = ProviderCache(ANTHROPIC)
    cache.call(0, one, last(one))
    near = blocks(2000, 500, *[10] * 19)
    assert split(cache.call(1, near, last(near)))[1] == 2500
    cache = ProviderCache(ANTHROPIC)
    cache.call(0, one, last(one))
    assert split(cache.call(1, many, {1: 300.0, **last(many)})) == (0, 2500, 200)


def test_a_prefix_lives_five_minutes_from_its_last_read_or_an_hour_where_asked():
    one = blocks(2000)
    for seconds, at, read in ((300.0, 301, 0), (3600.0, 301, 2000), (3600.0, 3601, 0)):
        cache = ProviderCache(ANTHROPIC)
        first = cache.call(0, one, last(one, seconds))
        assert first.cache_write_1h_tokens == (2000 if seconds > 300 else 0)
        assert cache.call(at, one, last(one, seconds)).cache_read_tokens == read
    cache = ProviderCache(ANTHROPIC)
    for at in (0, 250, 500, 750):
        used = cache.call(at, one, last(one))
    assert used.cache_read_tokens == 2000, "each read starts the time anew"


def test_an_hour_is_billed_up_to_its_mark_and_five_minutes_after_it():
    row = blocks(2000, 500)
    used = ProviderCache(ANTHROPIC).call(0, row, {0: 3600.0, 1: 300.0})
    assert (used.cache_write_tokens, used.cache_write_1h_tokens) == (2500, 2000)


def test_a_short_prompt_is_not_kept():
    short = blocks(1000)
    cache = ProviderCache(ANTHROPIC)
    assert split(cache.call(0, short, last(short))) == (1000, 0, 0)
    assert split(cache.call(1, short, last(short))) == (1000, 0, 0)


def test_an_automatic_cache_reads_whole_blocks_of_what_is_shared_and_writes_for_nothing():
    cache = ProviderCache(OPENAI)
    assert split(cache.call(0, blocks(1100, 300))) == (1400, 0, 0)
    assert split(cache.call(1, (*blocks(1100), PromptBlock("other", 900)))) == (976, 1024, 0)
    assert split(cache.call(2, blocks(1100, 300, 50))) == (170, 1280, 0)
    assert split(cache.call(900, blocks(1100, 300, 50)))[1] == 0


def test_ends_are_read_at_the_end_of_a_request_or_of_an_answer_alone():
    cache, one, said = ProviderCache(DEEPSEEK), blocks(2000, 500), PromptBlock("said", 70)
    cache.call(0, one, answer=said)
    assert split(cache.call(1, (*one, said, PromptBlock("seen", 30)))) == (30, 2570, 0)
    assert split(cache.call(2, (*blocks(2000), PromptBlock("other", 5))))[1] == 0
    cache = ProviderCache(LATER_OPENAI)
    cache.call(0, one, {0: 1800.0})
    used = cache.call(1, (*blocks(2000), PromptBlock("other", 5)))
    assert split(used) == (0, 2000, 5), "an explicit breakpoint is read by another attempt"


def test_an_elision_leaves_what_stands_before_it():
    cache, row = ProviderCache(ANTHROPIC), blocks(2000, 500, *[100] * 40)
    cache.call(0, row, {1: 300.0, **last(row)})
    elided = (*blocks(2000, 500), *blocks(*[20] * 40, kind="gone"))
    assert split(cache.call(1, elided, last(elided)))[1] == 0, "one mark at the end reads nothing"
    assert split(cache.call(2, elided, {1: 300.0, **last(elided)})) == (0, 3300, 0)
    cache = ProviderCache(ANTHROPIC)
    cache.call(0, row, {1: 300.0, **last(row)})
    assert split(cache.call(1, elided, {1: 300.0, **last(elided)})) == (0, 2500, 800)


def test_the_floor_reads_all_that_comes_back_and_writes_what_will():
    rows = (blocks(100), blocks(100, 20), blocks(100, 20, 5), (PromptBlock("x", 7),))
    sent = [SentPrompt(float(n), row) for n, row in enumerate(rows)]
    assert [split(one) for one in least_usages(sent, writes=True)] == [
        (0, 0, 100), (0, 100, 20), (5, 120, 0), (7, 0, 0),
    ]  # fmt: skip
    assert [split(one) for one in least_usages(sent, writes=False)] == [
        (100, 0, 0), (20, 100, 0), (5, 120, 0), (7, 0, 0),
    ]  # fmt: skip
    too_short = [split(one) for one in least_usages(sent, writes=True, min_tokens=110)]
    assert too_short == [(100, 0, 0), (0, 0, 120), (5, 120, 0), (7, 0, 0)]


RULES = st.sampled_from([ANTHROPIC, OPENAI, LATER_OPENAI, DEEPSEEK])


@given(RULES, st.lists(st.integers(1, 3000), min_size=2, max_size=30), st.data())
def test_every_token_is_billed_once_and_never_more_is_read_than_came_back(rules, sizes, data):
    row = blocks(*sizes)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(row)), min_size=2, max_size=6)) | {len(row)})
    cache, sent = ProviderCache(rules), []
    for at, cut in enumerate(cuts):
        sent.append(SentPrompt(float(at), row[:cut]))
        marks = {cut - 1: data.draw(st.sampled_from([300.0, 3600.0]))}
        used = cache.call(float(at), row[:cut], marks)
        assert used.prompt_tokens == sum(sizes[:cut])
        known = sum(sizes[: cuts[at - 1]]) if at else 0
        assert used.cache_read_tokens <= known
    least = least_usages(sent, writes=rules.writes)
    assert all(a.prompt_tokens <= b.prompt_tokens for a, b in pairwise(least))
