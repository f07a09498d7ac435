"""Usage as each provider words it: taken apart, and no bargain where it is nonsense."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from swe_router.ledger import Ledger
from swe_router.models.metered import MeteredModel
from tests.doubles.providers import LIMITS, RATE, TALK, every_dialect, model, plain, reply, serve


@pytest.mark.parametrize(
    ("dialect", "usage", "expected"),
    [
        (
            "anthropic",
            {
                "input_tokens": 7,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
                "output_tokens": 5,
            },
            (7, 100, 20, 5),
        ),
        (
            "chat",
            {
                "prompt_tokens": 127,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
            },
            (7, 100, 20, 5),
        ),
        (
            "responses",
            {
                "input_tokens": 127,
                "output_tokens": 5,
                "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            (7, 100, 20, 5),
        ),
        (
            "chat",
            {
                "prompt_tokens": 107,
                "completion_tokens": 5,
                "prompt_cache_hit_tokens": 100,
                "prompt_cache_miss_tokens": 7,
            },
            (7, 100, 0, 5),
        ),
        (
            "chat",
            {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": None},
            (7, 0, 0, 5),
        ),
        ("chat", {"prompt_tokens": 7.0, "completion_tokens": 5.0}, (7, 0, 0, 5)),
        (
            "chat",  # more read from the cache than there was
            {
                "prompt_tokens": 7,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 10**9, "cache_write_tokens": 9},
            },
            (0, 7, 0, 5),
        ),
        (
            "chat",  # reasoning beside the completion, as the total shows
            {
                "prompt_tokens": 7,
                "completion_tokens": 5,
                "total_tokens": 15,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            (7, 0, 0, 8),
        ),
    ],
)
def test_usage_is_taken_apart_into_disjoint_kinds(httpserver, dialect, usage, expected):
    serve(httpserver, dialect, reply(dialect, usage=usage))
    used = plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS).usage
    said = {"output_tokens_details", "completion_tokens_details"} & usage.keys()
    assert used.reasoning_tokens == (3 if said else 0)
    kinds = (used.input_tokens, used.cache_read_tokens, used.cache_write_tokens, used.output_tokens)
    assert kinds == expected
    assert used.seconds > 0


@pytest.mark.parametrize("number", [-1, "many", 10**30])
@every_dialect
def test_a_usage_that_is_no_usage_costs_the_reservation_and_not_the_answer(
    httpserver, dialect, number, tmp_path
):
    names = {"anthropic": "input_tokens", "chat": "prompt_tokens", "responses": "input_tokens"}
    serve(httpserver, dialect, reply(dialect, usage={names[dialect]: number}))
    hold = Ledger(tmp_path / "ledger.jsonl", Decimal(1)).hold("cloud", Decimal("0.5"), "x#1")
    client = plain(dialect, httpserver.url_for("").rstrip("/"))
    meter = MeteredModel(client, hold, RATE)
    worst = meter.worst(TALK, (), LIMITS)
    answer = meter.complete(TALK, limits=LIMITS)
    assert answer.message.content == "ok"
    assert answer.usd == hold.spent == worst


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        ("prompt", {"prompt_tokens": 50_000_000, "completion_tokens": 5}),
        ("output", {"prompt_tokens": 10, "completion_tokens": 900_000}),
        ("output", {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 10**9}),
    ],
)
def test_counts_that_no_such_call_can_have_cost_the_reservation_and_are_named(
    httpserver, tmp_path, kind, usage
):
    serve(httpserver, "chat", reply("chat", usage=usage))
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    hold = ledger.hold("cloud", Decimal("0.5"), "x#1")
    meter = MeteredModel(plain("chat", httpserver.url_for("").rstrip("/")), hold, RATE)
    worst = meter.worst(TALK, (), LIMITS)
    answer = meter.complete(TALK, limits=LIMITS)
    assert answer.usage_unknown
    assert answer.usd == hold.spent == worst
    assert ledger.figures().overrun == 0
    note = json.loads((tmp_path / "ledger.jsonl").read_text().splitlines()[-1])["note"]
    assert f" {kind} tokens cannot be true: charged as reserved" in note


def test_a_provider_that_adds_a_prompt_of_its_own_is_paid_in_full(httpserver, tmp_path):
    serve(httpserver, "chat", reply("chat", usage={"prompt_tokens": 9000, "completion_tokens": 5}))
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    hold = ledger.hold("cloud", Decimal("0.5"), "x#1")
    meter = MeteredModel(plain("chat", httpserver.url_for("").rstrip("/")), hold, RATE)
    assert meter.complete(TALK, limits=LIMITS).usd == hold.spent == Decimal("0.01805")
    assert ledger.figures().overrun > 0


@pytest.mark.parametrize(
    ("ttl", "writes", "kept_1h"),
    [
        ("5m", {"ephemeral_5m_input_tokens": 12, "ephemeral_1h_input_tokens": 8}, 8),
        ("1h", {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0}, 0),
        ("1h", None, 20),  # a gateway that does not split it: as the marks asked
        ("5m", None, 0),
    ],
)
def test_what_is_written_for_an_hour_is_counted_apart(httpserver, ttl, writes, kept_1h):
    usage = {"input_tokens": 7, "cache_creation_input_tokens": 20, "output_tokens": 5}
    usage |= {"cache_creation": writes} if writes else {}
    serve(httpserver, "anthropic", reply("anthropic", usage=usage))
    url = httpserver.url_for("").rstrip("/")
    used = model("anthropic", url, options={"cache_ttl": ttl}).complete(TALK, limits=LIMITS).usage
    assert (used.cache_write_tokens, used.cache_write_1h_tokens) == (20, kept_1h)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"inference_geo": "us", "service_tier": "standard"}, "inference_geo 'us'"),
        ({"speed": "fast"}, "speed 'fast'"),
        ({"inference_geo": "global", "speed": "standard", "service_tier": "batch"}, ""),
        ({"inference_geo": None, "speed": 7}, ""),
    ],
)
def test_terms_that_are_billed_higher_than_listed_are_named_once(terms, said, caplog):
    body = reply("anthropic", usage={"input_tokens": 10, "output_tokens": 5, **terms})
    client = model("anthropic", "")
    for _ in range(2):
        assert client._read(body, {}, 1.0, "5m").usage.input_tokens == 10
    assert [one.getMessage().split(",")[0] for one in caplog.records] == (
        [f"claude-sonnet-5-5 answered with {said}"] if said else []
    )
