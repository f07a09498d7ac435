"""Five minutes or an hour: what the next call's delay is expected to cost, and what is sent."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest

from swe_router.agents.dialogue import Dialogue, DialogueSetup
from swe_router.agents.manifest import read_manifest
from swe_router.models import tier_checks
from swe_router.models.cache_lifetime import (
    READ,
    WRITE,
    chooses_by_gaps,
    chosen_ttl,
    late_share,
    may_take_an_hour,
    priced_tier,
)
from swe_router.models.metered import MeteredModel, input_bound
from swe_router.records import CallLimits, Message
from swe_router.records.requests import request_digest
from swe_router.seams import AttemptContext
from swe_router.settings.schema import PriceSettings
from tests.doubles.agent import INSTANCE
from tests.doubles.conversations import made_turns
from tests.doubles.providers import BASH, TALK, model, reply
from tests.doubles.providers import tier as provider_tier
from tests.doubles.strict import StrictServer

DAY = datetime.date(2026, 12, 1)
LIMITS = CallLimits(max_output_tokens=100, timeout=60)


def talk(kept, new):
    return (
        Message(role="user", content="x" * kept),
        Message(role="assistant", content="y" * (new // 2)),
        Message(role="user", content="z" * (new - new // 2)),
    )


@pytest.mark.parametrize(
    ("gaps", "ttl"),
    [
        ((), "5m"),
        ((4.0,) * 60, "5m"),
        ((4.0,) * 9 + (400.0,), "1h"),  # a slow suite of tests, which comes back
        ((4.0,) * 300 + (400.0,), "5m"),  # once in 300 calls is not worth it
        ((4.0,) * 5 + (9000.0,) * 5, "5m"),  # nor does an hour help where the wait is longer
        ((300.0,) * 20, "5m"),
    ],
)
def test_an_hour_is_bought_where_calls_come_late(gaps, ttl):
    assert chosen_ttl(talk(100_000, 2_000), gaps) == ttl


def test_nothing_long_is_written_for_an_hour_to_save_a_short_prompt():
    gaps = (4.0,) * 9 + (400.0,)
    assert chosen_ttl(talk(1_000, 5_000), gaps) == "5m"
    assert chosen_ttl(talk(60_000, 5_000), gaps) == "1h"
    assert chosen_ttl(talk(10**6, 10), (4.0,)) == "5m", "no call was late yet"


@pytest.mark.parametrize("late", [0, 1, 2, 5, 10])
@pytest.mark.parametrize("new", [500, 5_000, 20_000])
def test_the_choice_is_the_cheaper_of_both_by_what_is_expected(late, new):
    """The next call pays for reading, or for writing all again; written out for both."""
    gaps = (4.0,) * (30 - late) + (600.0,) * late
    whole = 40_000 + new
    share = late_share(gaps)
    five = new * WRITE["5m"] + whole * ((1 - share) * READ + share * WRITE["5m"])
    hour = new * WRITE["1h"] + whole * READ
    if not late:
        hour = five
    assert chosen_ttl(talk(40_000, new), gaps) == ("1h" if hour < five else "5m")


def test_the_loop_hands_on_the_recorded_gaps_and_they_change_no_digest():
    context = AttemptContext(record=lambda step: None, clock=lambda: 0.0)
    dialogue = Dialogue(read_manifest("default"), INSTANCE, DialogueSetup(context, 20, 60))
    turns = list(made_turns(4, 5))
    for completion, actions in turns:
        dialogue.add(completion, actions)
    request = dialogue.request()
    wanted = [c.usage.seconds + sum(a.seconds for a in actions) for c, actions in turns]
    assert list(request.limits.gaps) == wanted
    bare = request.limits.model_copy(update={"gaps": ()})
    assert request_digest(request.messages, request.tools, bare) == request.digest()
    assert "gaps" not in request.limits.model_dump(mode="json")


def test_late_calls_are_sent_with_an_hour_and_charged_for_it_where_the_server_is_silent():
    """A server that does not break its writes down is taken at what was asked of it."""
    wrote = reply("anthropic")
    wrote["usage"] |= {"cache_creation_input_tokens": 700}
    with StrictServer("anthropic", [wrote] * 3) as server:
        client = model("anthropic", server.url)
        limits = LIMITS.model_copy(update={"gaps": (4.0, 500.0, 700.0)})
        long = (*TALK, *talk(50_000, 100)[1:])
        late = client.complete((TALK[0], *talk(50_000, 100)), (BASH,), limits=limits)
        client.complete(long, (BASH,), limits=LIMITS)
        fixed = model("anthropic", server.url, options={"cache_ttl": "5m"})
        fixed.complete((TALK[0], *talk(50_000, 100)), (BASH,), limits=limits)
    marks = [sorted(set(json.dumps(body).split('"ttl": "')[1:])) for body in server.bodies]
    assert [{one[:2] for one in found} for found in marks] == [{"1h"}, {"5m"}, {"5m"}]
    assert (late.usage.cache_write_tokens, late.usage.cache_write_1h_tokens) == (700, 700)


def test_a_batch_is_kept_for_an_hour():
    client = model("anthropic", "http://localhost:1")
    item = client.batches().item("b1-1", TALK, (BASH,), limits=LIMITS)
    assert '"ttl": "1h"' in json.dumps(dict(item.body))
    assert '"ttl": "5m"' not in json.dumps(dict(item.body))


def test_an_hour_is_taken_only_where_its_price_is_known_and_reserved():
    """A run that was sealed before there was a choice has no price of it: it stays with 5m."""
    tier = provider_tier("anthropic", "http://localhost:1").model_copy(update={"base_url": ""})
    rate = tier_checks.rate_of("cloud", tier, PriceSettings(), DAY)
    band = rate.bands[0]
    assert band.cache_write_1h == Decimal(4), "Sonnet 5.5: twice the input"
    assert rate.max_usd(1_000_000, 0, 0.0) == Decimal(4)
    assert priced_tier(tier, rate) is tier
    before = rate.model_copy(update={"bands": (band.model_copy(update={"cache_write_1h": None}),)})
    assert priced_tier(tier, before).options["cache_ttl"] == "5m"
    fixed = tier.model_copy(update={"options": {"cache_ttl": "1h"}})
    assert priced_tier(fixed, before) is fixed
    other = provider_tier("chat", "http://localhost:1")
    assert priced_tier(other, before) is other
    assert not may_take_an_hour(other)


class Books:
    def __init__(self):
        self.reserved = []

    def reserve(self, usd):
        self.reserved.append(usd)
        return str(len(self.reserved))

    def settle(self, reservation, usd, usage, note=""):
        self.settled = usd


@pytest.mark.parametrize(("gaps", "price"), [((4.0,), "2.5"), ((4.0, 400.0), "4")])
def test_a_call_is_reserved_for_an_hour_only_where_it_may_ask_for_one(gaps, price):
    """The whole prompt at twice its price would keep an attempt from calls that it can pay."""
    tier = provider_tier("anthropic", "http://localhost:1").model_copy(update={"base_url": ""})
    rate = tier_checks.rate_of("cloud", tier, PriceSettings(), DAY)
    limits = LIMITS.model_copy(update={"gaps": gaps, "max_output_tokens": 1})
    books, long = Books(), (TALK[0], *talk(50_000, 10))
    with StrictServer("anthropic", [reply("anthropic")]) as server:
        bare = model("anthropic", server.url)
        metered = MeteredModel(bare, books, rate, by_gaps=chooses_by_gaps(tier))
        metered.complete(long, (), limits=limits)
    tokens = input_bound(long, ())
    assert books.reserved == [(tokens * Decimal(price) + 10) / 1_000_000]
    assert ('"ttl": "1h"' in json.dumps(server.bodies[0])) == (price == "4")
    always = MeteredModel(bare, books, rate)
    assert always.worst(long, (), limits) == (tokens * Decimal(4) + 10) / 1_000_000
