"""The model clients against real HTTP servers: what is sent and what is read."""

from __future__ import annotations

import json

import pytest

from swe_router.errors import UsageError
from swe_router.models import http_calls
from swe_router.records import CallLimits, Message, ToolCall
from tests.doubles.providers import (
    ALL,
    BASH,
    KEY,
    LIMITS,
    TALK,
    every_dialect,
    model,
    path,
    plain,
    reply,
    sent,
    serve,
)


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


def test_anthropic_caches_the_whole_conversation_and_marks_the_ends_that_come_back(httpserver):
    for _ in range(2):
        serve(httpserver, "anthropic", reply("anthropic"))
    url = httpserver.url_for("").rstrip("/")
    client = model("anthropic", url, model="claude-sonnet-4-5", temperature=0.5)
    answer = client.complete(TALK, (BASH,), limits=LIMITS)
    client.complete((*TALK, answer.message, *TALK[1:]), (BASH,), limits=LIMITS)
    body = sent(httpserver)
    assert json.dumps(body).count("cache_control") == 3
    # A turn of many calls would put the end of the request before out of the API's sight.
    assert "cache_control" in body["messages"][0]["content"][-1]
    assert body["messages"][-1]["content"][-1]["cache_control"]["ttl"] == "5m"
    assert [block["text"] for block in body["system"]] == ["You fix bugs."]
    assert "cache_control" in body["system"][0]
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
    big = CallLimits(max_output_tokens=64_000, timeout=60)
    url = httpserver.url_for("").rstrip("/")
    client = model("anthropic", url, model="claude-sonnet-4-5", temperature=0.1)
    answer = client.complete(TALK, limits=big)
    assert answer.message.content == "Hello"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 7)
    assert sent(httpserver)["stream"] is True
    assert sent(httpserver)["temperature"] == 0.1


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
        ("anthropic", {"stop_reason": "model_context_window_exceeded"}, "window"),
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


def test_certificates_are_read_once_until_the_environment_names_others(monkeypatch, tmp_path):
    usual = http_calls.shared_tls()
    assert http_calls.shared_tls() is usual
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert http_calls.shared_tls() is not usual
