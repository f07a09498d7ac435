"""What goes wrong with a call: its class, its retries and its charge, live and in a batch."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from swe_router import prices
from swe_router.errors import (
    BadReply,
    ContextTooLong,
    ModelUnknown,
    NoAnswer,
    NoCredit,
    Overloaded,
    RateLimited,
    Refused,
    SettingRefused,
    Unauthorised,
)
from swe_router.ledger import Ledger
from swe_router.model_abilities import BatchItem
from swe_router.models.metered import MeteredModel
from swe_router.models.retrying import RetryingModel
from swe_router.records import CallLimits
from tests.doubles import batch_bodies
from tests.doubles.batch_http import KEY, PAGE, Fault
from tests.doubles.batch_server import BatchServer
from tests.doubles.batched import BASH, BATCH, DIALECTS, TALK, collected, items_of, model_at

RATE = prices.flat_rate(Decimal(2), Decimal(10), source="s", on=datetime.date(2026, 11, 24))
LIMITS = CallLimits(max_output_tokens=2000, timeout=60)
RETRIES = 2


@dataclass(frozen=True)
class Row:
    """One way to go wrong, as the two providers document it."""

    name: str
    kind: type[Exception]
    sent: int
    """Requests that a live call makes."""
    anthropic: tuple[int, Any]
    """HTTP status and error."""
    openai: tuple[int, Any]
    charged: int = 0
    """Reservations that stay charged."""


ROWS = [
    Row("wrong key", Unauthorised, 1,
        (401, {"type": "authentication_error", "message": "invalid x-api-key"}),
        (401, {"type": "invalid_request_error", "code": "invalid_api_key", "param": None,
               "message": f"Incorrect API key provided: {KEY}."})),
    Row("no credit", NoCredit, 1,
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low to"
               " access the Anthropic API. Please go to Plans & Billing."}),
        (429, {"type": "insufficient_quota", "code": "insufficient_quota", "param": None,
               "message": "You exceeded your current quota, please check your plan and billing"
               " details."})),
    Row("unknown model", ModelUnknown, 1,
        (404, {"type": "not_found_error", "message": "model: claude-sonnet-9"}),
        (404, {"type": "invalid_request_error", "code": "model_not_found", "param": None,
               "message": "The model `gpt-9` does not exist or you do not have access to it."})),
    Row("window exceeded", ContextTooLong, 1,
        (400, {"type": "invalid_request_error",
               "message": "prompt is too long: 205000 tokens > 200000 maximum"}),
        (400, {"type": "invalid_request_error", "code": "context_length_exceeded",
               "param": "messages", "message": "This model's maximum context length is 128000"
               " tokens. However, your messages resulted in 130000 tokens."})),
    Row("refused prompt", Refused, 1,
        (400, {"type": "invalid_request_error",
               "message": "Output blocked by content filtering policy"}),
        (400, {"type": "invalid_request_error", "code": "invalid_prompt", "param": None,
               "message": "Invalid prompt: your prompt was flagged as potentially violating our"
               " usage policy."})),
    Row("output cap", SettingRefused, 1,
        (400, {"type": "invalid_request_error", "message": "max_tokens: 99000 > 64000, which is the"
               " maximum allowed number of output tokens"}),
        (400, {"type": "invalid_request_error", "code": "invalid_value", "param": "max_tokens",
               "message": "max_tokens is too large: 99000. This model supports at most 16384"
               " completion tokens."})),
    Row("rate limit", RateLimited, 1 + RETRIES,
        (429, {"type": "rate_limit_error", "message": "This request would exceed the rate limit"}),
        (429, {"type": "tokens", "code": "rate_limit_exceeded", "param": None,
               "message": "Rate limit reached for gpt-4o on tokens per min (TPM)"})),
    Row("overloaded", Overloaded, 1 + RETRIES,
        (529, {"type": "overloaded_error", "message": "Overloaded"}),
        (503, {"type": "server_error", "code": None, "param": None,
               "message": "The server is overloaded or not ready yet."})),
    Row("server error", Overloaded, 1 + RETRIES,
        (500, {"type": "api_error", "message": "Internal server error"}),
        (500, {"type": "server_error", "code": None, "param": None,
               "message": "The server had an error while processing your request."})),
    Row("timeout of the server", NoAnswer, 2,
        (504, {"type": "timeout_error", "message": "Request timed out"}),
        (504, {"type": "timeout", "code": None, "param": None, "message": "Gateway timeout"}),
        charged=2),
]  # fmt: skip


def error_of(row, dialect):
    status, error = row.anthropic if dialect == "anthropic" else row.openai
    whole = {"type": "error", "error": error} if dialect == "anthropic" else {"error": error}
    return status, error, whole


class Lane:
    """Live calls, metered and retried, with what they cost."""

    def __init__(self, server, folder):
        self.ledger = Ledger(folder / "ledger.jsonl", Decimal(5))
        self.hold = self.ledger.hold("cloud", Decimal(4), "x#1")
        self.meter = MeteredModel(model_at(server), self.hold, RATE)
        self.model = RetryingModel(self.meter, RETRIES, first_wait=0.001)
        self.server = server

    def ask(self, limits=LIMITS):
        return self.model.complete(TALK, (BASH,), limits=limits)

    @property
    def reserved(self):
        return self.meter.worst(TALK, (BASH,), LIMITS)


@pytest.fixture
def live(tmp_path):
    return lambda server: Lane(server, tmp_path)


def in_batch(dialect, **server_options):
    """(the answer of an item, the bill)."""
    with BatchServer(dialect, **server_options) as server:
        service = model_at(server).batches()
        item = service.item(f"{BATCH}-0", TALK, (BASH,), limits=LIMITS)
        _, answers = collected(service, [item])
    return answers[item.custom_id], server.bill


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_live_call_fails_with_its_class_its_retries_and_its_charge(dialect, row, live):
    status, _, whole = error_of(row, dialect)
    with BatchServer(dialect, fault=lambda method, path, n: Fault(status, whole)) as server:
        lane = live(server)
        with pytest.raises(row.kind) as caught:
            lane.ask()
    assert type(caught.value) is row.kind
    assert KEY not in str(caught.value) + caught.value.refusal
    assert len(server.requests) == row.sent
    assert lane.hold.spent == row.charged * lane.reserved
    assert bool(row.charged) == caught.value.billed


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_item_of_a_batch_fails_with_the_class_of_a_live_call_and_is_never_billed(dialect, row):
    status, error, _ = error_of(row, dialect)
    fate = {**error, "status": status}
    answer, bill = in_batch(dialect, fate=lambda name, body: fate)
    assert answer.end == "errored"
    assert type(answer.outcome) is row.kind
    assert KEY not in str(answer.outcome) + answer.outcome.refusal
    assert not answer.outcome.billed
    assert not bill


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_resume_that_has_no_bodies_gives_an_items_error_the_same_class(dialect, row):
    status, error, _ = error_of(row, dialect)
    fate = {**error, "status": status}
    with BatchServer(dialect, fate=lambda name, body: fate) as server:
        service = model_at(server).batches()
        batch_id = service.submit(items_of(service, 1), token=BATCH)
        bare = [BatchItem(f"{BATCH}-0", LIMITS.max_output_tokens)]
        (answer,) = service.collect(batch_id, bare)
    assert type(answer.outcome) is row.kind
    assert not answer.learned


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_a_resume_that_has_no_bodies_tells_a_setting_from_a_conversation(dialect):
    why = "Unsupported parameter: 'tool_choice' is not supported with this model."
    fate = {"type": "invalid_request_error", "param": "tool_choice", "message": why, "status": 400}
    with BatchServer(dialect, fate=lambda name, body: fate) as server:
        service = model_at(server).batches()
        batch_id = service.submit(items_of(service, 1), token=BATCH)
        (answer,) = service.collect(batch_id, [BatchItem(f"{BATCH}-0", 2000)])
    assert type(answer.outcome) is SettingRefused


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_that_the_window_cut_off_says_so_in_a_batch_too(dialect):
    def answer(body, service):
        reply = batch_bodies.reply(dialect, tokens=(95_000, 900), service=service)
        if dialect == "anthropic":
            reply["stop_reason"] = "max_tokens"
        elif dialect == "chat":
            reply["choices"][0]["finish_reason"] = "length"
        else:
            reply |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return reply

    item, _ = in_batch(dialect, answer=answer)
    assert item.outcome.stop == "window"


def refused_reply(dialect, service):
    reply = batch_bodies.reply(dialect, text="I cannot help with that.", service=service)
    if dialect == "anthropic":
        reply["stop_reason"] = "refusal"
    elif dialect == "chat":
        reply["choices"][0]["message"].update(content=None, refusal="I cannot help with that.")
    else:
        reply["output"][0]["content"] = [{"type": "refusal", "refusal": "I cannot help with that."}]
    return reply


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refusal_that_is_an_answer_is_one_and_costs_its_tokens(dialect, live):
    def answer(body, service):
        return refused_reply(dialect, service)

    with BatchServer(dialect, answer=answer) as server:
        lane = live(server)
        alone = lane.ask()
    item, bill = in_batch(dialect, answer=answer)
    for given in (alone, item.outcome):
        assert (given.stop, given.message.content) == ("refusal", "I cannot help with that.")
        assert (given.usage.input_tokens, given.usage.output_tokens) == (1000, 50)
    assert lane.hold.spent == alone.usd == Decimal("0.0025")
    assert len(bill) == 1


NO_ANSWERS = [
    ("non-JSON", "It works on my machine.", BadReply),
    ("half of the JSON", '{"id": "x", "choices": [{"mess', BadReply),
    ("null", "null", BadReply),
    ("a list", "[]", BadReply),
    ("a page", PAGE, Overloaded),
    ("nothing", "", BadReply),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("name", "text", "kind"), NO_ANSWERS, ids=[row[0] for row in NO_ANSWERS])
def test_a_reply_that_is_no_answer_is_charged_unless_a_proxy_wrote_it(
    dialect, name, text, kind, live
):
    with BatchServer(dialect, fault=lambda method, path, n: Fault(200, text)) as server:
        lane = live(server)
        with pytest.raises(kind) as caught:
            lane.ask()
    page = kind is Overloaded
    assert type(caught.value) is kind
    assert len(server.requests) == (1 + RETRIES if page else 1)
    assert lane.hold.spent == (0 if page else lane.reserved)

    def answer(body, service):
        return {**batch_bodies.reply(dialect), "stands_in": text}

    item, _ = in_batch(dialect, answer=answer)
    assert type(item.outcome) is kind
    assert item.outcome.billed == (not page)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stall_is_cut_off_asked_again_once_and_charged_each_time(dialect, live):
    """Thirty seconds in life; here the limit of the call is short."""
    with BatchServer(dialect, fault=lambda method, path, n: Fault(stall=1.0)) as server:
        lane = live(server)
        with pytest.raises(NoAnswer):
            lane.ask(LIMITS.model_copy(update={"timeout": 0.2}))
    assert len(server.requests) == 2
    assert lane.hold.spent == 2 * lane.reserved


ABSURD = [
    ("negative", {"input_tokens": -5}),
    ("huge", {"output_tokens": 10**15}),
    ("a text", {"input_tokens": "many"}),
    ("true", {"output_tokens": True}),
    ("half a token", {"output_tokens": 0.5}),
    ("no usage", None),
    ("not a table", "cheap"),
]
CHAT_NAMES = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}


def with_usage(dialect, usage):
    def answer(body, service):
        reply = batch_bodies.reply(dialect, service=service)
        if isinstance(usage, dict):
            names = CHAT_NAMES if dialect == "chat" else {}
            reply["usage"] |= {names.get(name, name): value for name, value in usage.items()}
        else:
            reply["usage"] = usage
        return reply

    return answer


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("name", "usage"), ABSURD, ids=[row[0] for row in ABSURD])
def test_an_absurd_usage_keeps_the_answer_and_charges_what_was_reserved(
    dialect, name, usage, live, tmp_path
):
    answer = with_usage(dialect, usage)
    with BatchServer(dialect, answer=answer) as server:
        lane = live(server)
        assert lane.ask().message.content == "done"
    assert lane.hold.spent == lane.reserved
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert "gave no usage" in lines[-1]["note"]
    item, _ = in_batch(dialect, answer=answer)
    assert item.end == "answered"
    assert item.outcome.message.content == "done"
    assert item.outcome.usage.prompt_tokens == item.outcome.usage.output_tokens == 0
