"""Providers in their own words: what they answer, a server that says it, a client that asks."""

from __future__ import annotations

import datetime
import functools
import json
from decimal import Decimal

import pytest
from werkzeug import Response

from swe_router import prices
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.openai import OpenAIModel, VllmModel
from swe_router.records import CallLimits, Message, ToolSpec
from swe_router.settings import Tier

KEY = "sk-ant-secret-0123456789abcdef"
LIMITS = CallLimits(max_output_tokens=100, timeout=60)
BASH = ToolSpec(
    name="bash",
    description="run a command",
    parameters={"type": "object", "properties": {"command": {"type": "string"}}},
)
TALK = (
    Message(role="system", content="You fix bugs."),
    Message(role="user", content="Fix it."),
)
RATE = prices.flat_rate(
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
