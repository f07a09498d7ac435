"""The model clients against real HTTP servers: what is sent, read, and made of failures."""

from __future__ import annotations

import datetime
import functools
import json
import socket
import threading
import time
import traceback
from decimal import Decimal

import pytest
from werkzeug import Response

from swe_router import prices
from swe_router.errors import (
    BadReply,
    ContextTooLong,
    NoAnswer,
    Overloaded,
    RateLimited,
    Refused,
    Unauthorised,
    UsageError,
)
from swe_router.ledger import Ledger
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.metered import MeteredModel
from swe_router.models.openai import OpenAIModel, VllmModel
from swe_router.models.retrying import RetryingModel
from swe_router.records import CallLimits, Message, ToolCall, ToolSpec
from swe_router.settings import Tier

KEY = "sk-ant-secret-0123456789abcdef"
LIMITS = CallLimits(max_output_tokens=100, timeout=5)
BASH = ToolSpec(
    name="bash",
    description="run a command",
    parameters={"type": "object", "properties": {"command": {"type": "string"}}},
)
TALK = (
    Message(role="system", content="You fix bugs."),
    Message(role="user", content="Fix it."),
)
RATE = prices.flat(
    Decimal(2),
    Decimal(10),
    cache_read=Decimal("0.1"),
    cache_write=Decimal("2.5"),
    source="s",
    on=datetime.date(2026, 11, 24),
)
PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses"}


def tier(dialect, url, **fields):
    names = {
        "anthropic": "claude-sonnet-5-5",
        "chat": "gpt-4.1",
        "responses": "o3",
        "vllm": "coder",
    }
    given = {
        "dialect": {"chat": "openai", "responses": "openai"}.get(dialect, dialect),
        "model": names[dialect],
        "base_url": url if dialect == "anthropic" else f"{url}/v1",
        "api_key_env": "THE_KEY",
        "window": 100_000,
        "attempt_usd": Decimal(1),
    }
    return Tier(**{**given, **fields})


def model(dialect, url, key=KEY, **fields):
    kind = {"anthropic": AnthropicModel, "vllm": VllmModel}.get(dialect, OpenAIModel)
    return kind(tier(dialect, url, **fields), session="x#1", key=key)


@functools.cache
def plain(dialect, url):
    """One client for the tests that need no setting of their own (a client costs 20 ms)."""
    return model(dialect, url)


def reply(dialect, *, text="ok", calls=(), usage=None, **more):
    """A provider's answer in its own words; ``calls`` are (id, name, arguments as JSON text)."""
    if dialect == "anthropic":
        blocks = [{"type": "text", "text": text}] if text else []
        blocks += [
            {"type": "tool_use", "id": i, "name": n, "input": json.loads(a)} for i, n, a in calls
        ]
        usage = {"input_tokens": 10, "output_tokens": 5} if usage is None else usage
        stop = "tool_use" if calls else "end_turn"
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-5-5",
            "content": blocks,
            "stop_reason": stop,
            "usage": usage,
            **more,
        }
    if dialect == "responses":
        items = [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"}]
        if text:
            part = {"type": "output_text", "text": text, "annotations": []}
            items.append({"type": "message", "role": "assistant", "content": [part]})
        items += [
            {"type": "function_call", "call_id": i, "name": n, "arguments": a} for i, n, a in calls
        ]
        usage = {"input_tokens": 10, "output_tokens": 5} if usage is None else usage
        return {
            "id": "resp_1",
            "model": "o3",
            "status": "completed",
            "output": items,
            "usage": usage,
            **more,
        }
    tools = [
        {"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 5} if usage is None else usage
    message = {"role": "assistant", "content": text, **({"tool_calls": tools} if tools else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if tools else "stop"}
    return {"id": "c_1", "model": "gpt-4.1", "choices": [choice], "usage": usage, **more}


ALL = ("anthropic", "chat", "responses")
every_dialect = pytest.mark.parametrize("dialect", ALL)


def path(dialect):
    return PATHS.get(dialect, PATHS["chat"])


def serve(httpserver, dialect, body, status=200, headers=None):
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    httpserver.expect_ordered_request(path(dialect), method="POST").respond_with_response(
        Response(data, status, headers or {}, content_type="application/json")
    )


def sent(httpserver, n=-1):
    return json.loads(httpserver.log[n][0].get_data())


@every_dialect
def test_a_conversation_with_tools_goes_there_and_back(httpserver, dialect):
    call = ("call_9", "bash", '{"command": "ls"}')
    serve(httpserver, dialect, reply(dialect, text="Looking.", calls=[call]))
    serve(httpserver, dialect, reply(dialect, text="Done."))
    client = plain(dialect, httpserver.url_for("").rstrip("/"))
    first = client.complete(TALK, (BASH,), limits=LIMITS)
    assert first.message.content == "Looking."
    assert first.message.tool_calls == (
        ToolCall(id="call_9", name="bash", arguments={"command": "ls"}),
    )
    assert first.stop == "tool"
    shown = Message(role="tool", content="a.py", tool_call_id="call_9")
    second = client.complete((*TALK, first.message, shown), (BASH,), limits=LIMITS)
    assert (second.message.content, second.stop) == ("Done.", "end")
    body = json.dumps(sent(httpserver))
    assert body.count("call_9") == 2
    assert "a.py" in body
    assert httpserver.log[0][0].headers["Authorization"] == f"Bearer {KEY}"
    assert "temperature" not in body


def test_calls_without_an_id_of_their_own_get_one(httpserver):
    calls = [("", "bash", "{}"), ("c", "bash", "{}"), (None, "bash", "{}"), ("d", "bash", "{}")]
    serve(httpserver, "chat", reply("chat", calls=[*calls, calls[1]]))
    answer = plain("chat", httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    ids = [call.id for call in answer.message.tool_calls]
    assert ids == ["call_1", "call_2", "call_3", "d", "call_5"]


def test_anthropic_caches_the_whole_conversation_and_marks_its_end_and_the_one_before(httpserver):
    for _ in range(2):
        serve(httpserver, "anthropic", reply("anthropic"))
    client = model("anthropic", httpserver.url_for("").rstrip("/"), temperature=0.5)
    answer = client.complete(TALK, (BASH,), limits=LIMITS)
    client.complete((*TALK, answer.message, *TALK[1:]), (BASH,), limits=LIMITS)
    body = sent(httpserver)
    assert json.dumps(body).count("cache_control") == 2
    # A turn of many calls would put the end of the request before out of the API's sight.
    assert "cache_control" in body["messages"][0]["content"][-1]
    assert body["messages"][-1]["content"][-1]["cache_control"]["ttl"] == "5m"
    assert body["system"] == "You fix bugs."
    assert body["temperature"] == 0.5
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]


def test_anthropic_takes_the_results_of_one_turn_in_one_message(httpserver):
    serve(httpserver, "anthropic", reply("anthropic"))
    calls = tuple(ToolCall(id=f"c{n}", name="bash", arguments={}) for n in range(2))
    talk = (
        *TALK,
        Message(role="assistant", tool_calls=calls),
        Message(role="tool", content="", tool_call_id="c0"),
        Message(role="tool", content="\ud800", tool_call_id="c1"),
    )
    model("anthropic", httpserver.url_for("").rstrip("/")).complete(talk, (BASH,), limits=LIMITS)
    last = sent(httpserver)["messages"][-1]
    assert [block["type"] for block in last["content"]] == ["tool_result", "tool_result"]


def test_thinking_is_handed_back_where_it_was_thought(httpserver):
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    body = reply("anthropic", calls=[("c1", "bash", "{}")])
    serve(httpserver, "anthropic", {**body, "content": [thought, *body["content"]]})
    serve(httpserver, "anthropic", reply("anthropic"))
    client = model("anthropic", httpserver.url_for("").rstrip("/"))
    answer = client.complete(TALK, (BASH,), limits=LIMITS)
    shown = Message(role="tool", content="x", tool_call_id="c1")
    client.complete((*TALK, answer.message, shown), (BASH,), limits=LIMITS)
    assert sent(httpserver)["messages"][1]["content"][0] == thought


def test_reasoning_is_handed_back_and_nothing_is_stored_at_the_provider(httpserver):
    for _ in range(2):
        serve(httpserver, "responses", reply("responses", calls=[("c1", "bash", "{}")]))
    client = model("responses", httpserver.url_for("").rstrip("/"), temperature=0.5)
    answer = client.complete(TALK, (BASH,), limits=LIMITS)
    shown = Message(role="tool", content="x", tool_call_id="c1")
    client.complete((*TALK, answer.message, shown), (BASH,), limits=LIMITS)
    body = sent(httpserver)
    assert body["store"] is False
    assert body["instructions"] == "You fix bugs."
    assert [item.get("type") for item in body["input"]].count("reasoning") == 1
    assert "temperature" not in body


def test_a_long_answer_of_anthropic_is_streamed(httpserver):
    events = [
        ("message_start", {"message": {**reply("anthropic", text=""), "stop_reason": None}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
        ("message_stop", {}),
    ]
    text = "".join(
        f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n" for name, data in events
    )
    httpserver.expect_request(path("anthropic")).respond_with_data(
        text, content_type="text/event-stream"
    )
    big = CallLimits(max_output_tokens=64_000, timeout=5)
    answer = model("anthropic", httpserver.url_for("").rstrip("/"), temperature=0.1).complete(
        TALK, limits=big
    )
    assert answer.message.content == "Hello"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 7)
    assert sent(httpserver)["stream"] is True
    assert sent(httpserver)["temperature"] == 0.1


def test_an_error_inside_a_stream_may_have_been_billed(httpserver):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    httpserver.expect_request(path("anthropic")).respond_with_data(
        f"event: error\ndata: {json.dumps(error)}\n\n", content_type="text/event-stream"
    )
    with pytest.raises(NoAnswer, match="overloaded_error"):
        model("anthropic", httpserver.url_for("").rstrip("/")).complete(
            TALK, limits=CallLimits(max_output_tokens=64_000, timeout=5)
        )


START = {"type": "message_start", "message": {**reply("anthropic", text=""), "stop_reason": None}}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("event: message_start\ndata: {nonsense\n\n", BadReply),
        (f"event: message_start\ndata: {json.dumps(START)}\n\n", NoAnswer),
        ('event: message_start\ndata: {"type": "message_start"}\n\n', BadReply),
        ("", BadReply),
    ],
)
def test_half_a_stream_is_no_answer(httpserver, text, error):
    httpserver.expect_request(path("anthropic")).respond_with_data(
        text, content_type="text/event-stream"
    )
    big = CallLimits(max_output_tokens=64_000, timeout=5)
    with pytest.raises(error):
        plain("anthropic", httpserver.url_for("").rstrip("/")).complete(TALK, limits=big)


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
    ("status", "body", "error"),
    [
        (401, "no", Unauthorised),
        (403, "no", Unauthorised),
        (400, {"error": {"message": "bad field"}}, Refused),
        (404, {"error": {"message": "no such model"}}, Refused),
        (422, {"error": {"message": "bad field"}}, Refused),
        (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000"}}, ContextTooLong),
        (400, {"error": {"code": "context_length_exceeded", "message": "too big"}}, ContextTooLong),
        (
            400,
            {"error": {"message": "This model's maximum context length is 4096"}},
            ContextTooLong,
        ),
        (413, "too large", ContextTooLong),
        (408, "", Overloaded),
        (409, "", Overloaded),
        (500, "<html>oops</html>", Overloaded),
        (503, "", Overloaded),
        (504, "upstream timed out", NoAnswer),
        (524, "", NoAnswer),
        (529, {"error": {"type": "overloaded_error"}}, Overloaded),
        (429, {"error": {"message": "slow down"}}, RateLimited),
        (429, {"error": {"code": "insufficient_quota"}}, Unauthorised),
    ],
)
@every_dialect
def test_a_status_is_named_after_what_it_means(httpserver, dialect, status, body, error):
    serve(httpserver, dialect, body, status)
    with pytest.raises(error) as caught:
        plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert type(caught.value) is error
    assert len(httpserver.log) == 1, "the SDK must not retry behind the ledger's back"


@every_dialect
def test_a_rate_limit_is_waited_out_and_each_try_is_in_the_ledger(httpserver, dialect, tmp_path):
    serve(httpserver, dialect, "slow down", 429, {"Retry-After": "0.05"})
    serve(httpserver, dialect, reply(dialect))
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    hold = ledger.hold("cloud", Decimal("0.5"), "x#1")
    meter = MeteredModel(plain(dialect, httpserver.url_for("").rstrip("/")), hold, RATE)
    start = time.monotonic()
    answer = RetryingModel(meter, 3, first_wait=0.001).complete(TALK, limits=LIMITS)
    assert time.monotonic() - start >= 0.05
    assert answer.usd == hold.spent == RATE.usd(answer.usage)
    ops = [json.loads(line)["op"] for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert ops == ["open", "hold", "reserve", "void", "reserve", "settle"]


@every_dialect
def test_the_key_never_comes_back_not_even_from_a_hostile_server(httpserver, dialect):
    def echo(request):
        said = json.dumps({"error": {"message": f"bad {request.headers['Authorization']} here"}})
        return Response(said, 400, content_type="application/json")

    httpserver.expect_request(path(dialect)).respond_with_handler(echo)
    with pytest.raises(Refused) as caught:
        plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert "bad" in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert KEY not in told
    assert caught.value.__context__ is None


@every_dialect
def test_the_key_enters_no_record_and_no_debug_log_of_the_sdk(httpserver, dialect, caplog):
    for name in ("openai", "anthropic", "httpx2"):
        caplog.set_level("DEBUG", logger=name)
    call = ("c1", "bash", json.dumps({"command": f"echo {KEY}"}))
    serve(
        httpserver,
        dialect,
        reply(dialect, text=f"your key is {KEY}", calls=[call], id=KEY, model=KEY),
        headers={"x-request-id": KEY, "request-id": KEY},
    )
    answer = plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert KEY not in answer.model_dump_json() + caplog.text
    assert "[key]" in answer.message.content


@pytest.mark.parametrize(
    "body",
    ["", "nonsense", "[]", '{"choices": []}', '{"choices": [{"message": 3}]}', "{}", "[" * 5000,
     '{"a": NaN}', '{"content": 3}', '{"content": [3]}', '{"output": [7]}'],
)  # fmt: skip
@every_dialect
def test_a_reply_that_is_not_of_the_dialect_is_a_bad_reply(httpserver, dialect, body):
    serve(httpserver, dialect, body)
    with pytest.raises(BadReply) as caught:
        plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ['{"command": ', "[1]", '"x"', "7", "NaN", "[" * 3000])
@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_arguments_that_cannot_be_read_are_told_to_the_model(httpserver, dialect, text):
    serve(httpserver, dialect, reply(dialect, calls=[("c1", "bash", text)]))
    answer = plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    (call,) = answer.message.tool_calls
    assert call.error.startswith("the arguments")
    assert call.id == "c1"


def test_lone_surrogates_do_not_reach_a_record(httpserver):
    body = '{"choices": [{"message": {"content": "a\\ud800b"}, "finish_reason": "stop"}]}'
    serve(httpserver, "chat", body)
    answer = plain("chat", httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert answer.model_dump_json().encode("utf-8")


def test_no_content_is_an_empty_answer(httpserver):
    body = reply("chat", text=None)
    serve(httpserver, "chat", body)
    answer = plain("chat", httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert answer.message.content == ""


CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
CENSORED = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}


@pytest.mark.parametrize(
    ("dialect", "more", "stop"),
    [
        ("anthropic", {"stop_reason": "max_tokens"}, "length"),
        ("anthropic", {"stop_reason": "refusal"}, "refusal"),
        ("anthropic", {"stop_reason": "model_context_window_exceeded"}, "length"),
        ("responses", CUT, "length"),
        ("responses", CENSORED, "refusal"),
    ],
)
def test_why_it_stopped_is_said_in_our_words(httpserver, dialect, more, stop):
    serve(httpserver, dialect, reply(dialect, **more))
    answer = plain(dialect, httpserver.url_for("").rstrip("/")).complete(TALK, limits=LIMITS)
    assert answer.stop == stop


def test_vllm_is_asked_for_strict_tools_and_in_text_for_none(httpserver):
    serve(httpserver, "chat", reply("chat"))
    serve(httpserver, "chat", reply("chat"))
    url = httpserver.url_for("").rstrip("/")
    model("vllm", url, key="", api_key_env="").complete(TALK, (BASH,), limits=LIMITS)
    assert sent(httpserver)["tools"][0]["function"]["strict"] is True
    assert sent(httpserver)["max_tokens"] == 100
    shown = (*TALK, Message(role="tool", content="out", tool_call_id="c1"))
    text = model("vllm", url, key="", api_key_env="", tools="text", options={"extra": {"top_k": 1}})
    text.complete(shown, limits=LIMITS)
    body = sent(httpserver)
    assert "tools" not in body
    assert body["messages"][-1] == {"role": "user", "content": "out"}
    assert body["top_k"] == 1


def test_reasoning_models_are_asked_by_chat_in_their_own_words(httpserver):
    serve(httpserver, "chat", reply("chat"))
    url = httpserver.url_for("").rstrip("/")
    options = {"api": "chat", "reasoning_effort": "low"}
    model("responses", url, options=options, temperature=0.0).complete(TALK, limits=LIMITS)
    body = sent(httpserver)
    assert body["max_completion_tokens"] == 100
    assert body["reasoning_effort"] == "low"
    assert not {"max_tokens", "temperature"} & set(body)


@pytest.mark.parametrize("dialect", [*ALL, "vllm"])
def test_an_option_that_could_change_the_price_is_unknown(dialect):
    with pytest.raises(UsageError, match="no option 'service_tier'"):
        model(dialect, "http://127.0.0.1:9", options={"service_tier": "priority"})


@every_dialect
def test_no_key_is_said_before_anything_is_sent(dialect):
    with pytest.raises(Unauthorised, match="THE_KEY"):
        model(dialect, "http://127.0.0.1:9", key="").complete(TALK, limits=LIMITS)


@every_dialect
def test_a_server_of_ones_own_may_need_no_key(httpserver, dialect):
    serve(httpserver, dialect, reply(dialect))
    own = model(dialect, httpserver.url_for("").rstrip("/"), key="", api_key_env="")
    assert own.complete(TALK, limits=LIMITS).message.content == "ok"


class Rude(threading.Thread):
    """A server that says ``parts`` with pauses (numbers, seconds) between, then hangs up."""

    def __init__(self, *parts):
        super().__init__(daemon=True)
        self.parts = parts
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            try:
                line, _ = self.door.accept()
            except OSError:
                return
            with line:
                line.recv(65536)
                try:
                    for part in self.parts:
                        time.sleep(part) if isinstance(part, float) else line.sendall(part)
                except OSError:
                    continue

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.door.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90000000\r\n\r\n{"


@every_dialect
def test_a_hang_up_in_the_answer_stays_charged(dialect, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    hold = ledger.hold("cloud", Decimal("0.5"), "x#1")
    with Rude(HEAD) as server:
        meter = MeteredModel(model(dialect, server.url), hold, RATE)
        with pytest.raises(NoAnswer):
            meter.complete(TALK, limits=LIMITS)
    assert hold.spent == ledger.figures().lost > 0


@pytest.mark.parametrize("parts", [(1.0,), (HEAD, *([0.1, b" "] * 30))], ids=["silent", "trickle"])
@every_dialect
def test_an_answer_has_its_time_and_no_more(dialect, parts):
    short = CallLimits(max_output_tokens=10, timeout=0.3)
    start = time.monotonic()
    with Rude(*parts) as server, pytest.raises(NoAnswer):
        model(dialect, server.url).complete(TALK, limits=short)
    assert time.monotonic() - start < 1.5


def test_a_reply_without_end_is_cut_off():
    flood = b" " * 4_000_000
    with Rude(HEAD, *([flood] * 12)) as server, pytest.raises(BadReply, match="longer than"):
        model("chat", server.url).complete(TALK, limits=LIMITS)


@every_dialect
def test_a_refused_connection_was_not_billed(dialect):
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
    with pytest.raises(Overloaded, match="could not connect"):
        model(dialect, url).complete(TALK, limits=LIMITS)
