"""OpenAI's Responses API: what is sent and what comes back, without the sending."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from swe_router.errors import BadReply, NoAnswer
from swe_router.models import wire
from swe_router.models.chat import text_of
from swe_router.records import CallLimits, Completion, Message, StopReason, ToolSpec, Usage
from swe_router.settings import Tier

Kept = MutableMapping[str, list[Any]]
"""Fingerprint of an answer -> its output items, to hand the model its own reasoning back."""


def body(
    tier: Tier,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    limits: CallLimits,
    session: str,
    kept: Kept,
) -> dict[str, Any]:
    """The request; nothing is stored at the provider, reasoning travels encrypted."""
    native = tier.tools == "native"
    out: dict[str, Any] = {
        "model": tier.model,
        "input": [item for m in messages if m.role != "system" for item in _items(m, native, kept)],
        "max_output_tokens": limits.max_output_tokens,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": session[-64:],
    }
    system = "\n\n".join(wire.sendable(m.content) for m in messages if m.role == "system")
    if system:
        out["instructions"] = system
    if tools:
        out["tools"] = [_tool(tool) for tool in tools]
        out["tool_choice"] = limits.tool_choice
    if "reasoning_effort" in tier.options:
        out["reasoning"] = {"effort": tier.options["reasoning_effort"]}
    if "verbosity" in tier.options:
        out["text"] = {"verbosity": tier.options["verbosity"]}
    if not tier.base_url:
        # The price table knows the standard service only.
        out["service_tier"] = "default"
    return out


def _items(message: Message, native: bool, kept: Kept) -> list[dict[str, Any]]:
    text = wire.sendable(message.content)
    if message.role == "tool" and native:
        return [{"type": "function_call_output", "call_id": message.tool_call_id, "output": text}]
    if message.role != "assistant":
        return [{"role": "user", "content": text}]
    if message.fingerprint() in kept:
        return list(kept[message.fingerprint()])
    items: list[dict[str, Any]] = [{"role": "assistant", "content": text}] if text else []
    for call in message.tool_calls if native else ():
        arguments = json.dumps(wire.scrub(dict(call.arguments), ""), ensure_ascii=False)
        items.append(
            {
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": arguments,
            }
        )
    return items


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "strict": False,
    }


def read(
    reply: Mapping[str, Any], key: str, seconds: float, request_id: str, kept: Kept
) -> Completion:
    """The completion. Raises ``BadReply``, and ``NoAnswer`` for a response that failed."""
    items = reply.get("output")
    if reply.get("status") in {"failed", "cancelled"}:
        raise NoAnswer(f"the response failed: {wire.short(json.dumps(reply.get('error')), key)}")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadReply(f"the reply has no output: {wire.short(json.dumps(reply), key)}")
    calls = tuple(
        wire.tool_call(item.get("call_id"), item.get("name"), item.get("arguments"), key)
        for item in items
        if item.get("type") == "function_call"
    )
    parts = [
        part
        for item in items
        if item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict)
    ]
    refusals = "".join(str(part.get("refusal") or "") for part in parts)
    message = Message(role="assistant", content=text_of(parts) or refusals, tool_calls=calls)
    if any(item.get("type") == "reasoning" for item in items):
        kept[message.fingerprint()] = items
    return Completion(
        message=message,
        usage=_usage(reply.get("usage"), seconds),
        stop=_stop(reply, bool(calls), bool(refusals)),
        model=str(reply.get("model") or ""),
        request_id=request_id or str(reply.get("id") or ""),
    )


def _stop(reply: Mapping[str, Any], calls: bool, refused: bool) -> StopReason:
    if reply.get("status") == "incomplete":
        details = reply.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, Mapping) else ""
        return "refusal" if reason == "content_filter" else "length"
    if refused:
        return "refusal"
    return "tool" if calls else "end"


def _usage(usage: Any, seconds: float) -> Usage:
    """``input_tokens`` of this API includes the cached tokens: taken apart here, once."""
    table = usage if isinstance(usage, Mapping) else {}
    details, said = table.get("input_tokens_details"), table.get("output_tokens_details")
    try:
        return wire.usage(
            prompt=wire.count(usage, "input_tokens"),
            read=wire.count(details, "cached_tokens"),
            write=wire.count(details, "cache_write_tokens"),
            output=wire.count(usage, "output_tokens"),
            reasoning=wire.count(said, "reasoning_tokens"),
            total=wire.count(usage, "total_tokens"),
            seconds=seconds,
        )
    except wire.NoCount:
        return Usage(seconds=seconds)
