"""OpenAI's Responses API: what is sent and what comes back, without the sending."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.errors import BadReply, NoAnswer
from swe_router.models import cache_marks, call_options, http_calls, message_history, token_usage
from swe_router.models.chat import text_of_content
from swe_router.records import AnswerEnd, CallLimits, Completion, Message, ToolCall, ToolSpec
from swe_router.settings import Tier


def responses_request(
    tier: Tier,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    limits: CallLimits,
    session: str,
    strict: bool = False,
) -> dict[str, Any]:
    """The request; nothing is stored at the provider, reasoning travels encrypted."""
    native = tier.tools == "native"
    talk = message_history.legal_messages(
        (m for m in messages if m.role != "system"), message_history.STRICT_ID
    )
    marks = not tier.base_url and cache_marks.takes_breakpoints(tier.model)
    ends = cache_marks.opening_ends(talk) if marks else ()
    out: dict[str, Any] = {
        "model": tier.model,
        "input": [item for n, m in enumerate(talk) for item in _items(m, native, mark=n in ends)],
        "max_output_tokens": limits.max_output_tokens,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": cache_marks.cache_key(session),
    }
    system = "\n\n".join(
        message_history.sendable_text(m.content) for m in messages if m.role == "system"
    )
    if system:
        out["instructions"] = system
    if tools:
        out["tools"] = [_tool(tool, strict) for tool in tools]
        out["tool_choice"] = limits.tool_choice
        if call_options.says_parallel(tier):
            out["parallel_tool_calls"] = tier.options["parallel_tool_calls"]
    if "reasoning_effort" in tier.options:
        out["reasoning"] = {"effort": tier.options["reasoning_effort"]}
    if "verbosity" in tier.options:
        out["text"] = {"verbosity": tier.options["verbosity"]}
    if not tier.base_url:
        # The price table knows the standard service only.
        out["service_tier"] = "default"
    return {**out, **tier.options.get("extra", {})}


def _items(message: Message, native: bool, *, mark: bool = False) -> list[dict[str, Any]]:
    text = message.content
    if message.role == "tool" and native:
        return [{"type": "function_call_output", "call_id": message.tool_call_id, "output": text}]
    if message.role != "assistant":
        if not message.images:
            content = cache_marks.openai_text(message, text, kind="input_text", mark=mark)
            return [{"role": "user", "content": content}]
        shown = [{"type": "input_image", "image_url": one.url} for one in message.images]
        return [{"role": "user", "content": [*shown, {"type": "input_text", "text": text}]}]
    calls = list(message.tool_calls) if native else []
    if message.kept:
        items = _as_kept(message, calls)
    else:
        items = [{"role": "assistant", "content": text}] if text.strip() else []
        items += [_function_call(call) for call in calls]
    if not items or items[-1].get("type") == "reasoning":
        # Reasoning is refused without something that follows from it.
        items.append({"role": "assistant", "content": message_history.nonblank_text(text)})
    return items


def _as_kept(message: Message, calls: list[ToolCall]) -> list[dict[str, Any]]:
    """The items of an answer as they came, with the ids and names that its calls have now."""
    items = []
    left = iter(calls)
    for item in message.kept:
        if item.get("type") == "function_call":
            if (call := next(left, None)) is not None:
                items.append({**item, **_function_call(call)})
        elif item.get("type") != "message" or text_of_content(item.get("content")).strip():
            items.append(message_history.sendable_json(dict(item)))
    return items


def _function_call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(message_history.sendable_json(dict(call.arguments)), ensure_ascii=False)
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    }


def _tool(tool: ToolSpec, strict: bool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "strict": strict,
    }


def read_response(
    reply: Mapping[str, Any], key: str, seconds: float, request_id: str
) -> Completion:
    """The completion. Raises ``BadReply``, and ``NoAnswer`` for a response that failed."""
    items = reply.get("output")
    if reply.get("status") in ("failed", "cancelled"):
        raise NoAnswer(
            f"the response failed: {http_calls.short_message(json.dumps(reply.get('error')), key)}"
        )
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadReply(
            f"the reply has no output: {http_calls.short_message(json.dumps(reply), key)}"
        )
    items = message_history.typed_blocks(items)
    calls = tuple(
        http_calls.tool_call(item.get("call_id"), item.get("name"), item.get("arguments"), key)
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
    message = Message(
        role="assistant",
        content=text_of_content(parts) or refusals,
        tool_calls=calls,
        kept=tuple(items) if any(item.get("type") == "reasoning" for item in items) else (),
    )
    return Completion(
        message=message,
        usage=token_usage.responses_usage(reply.get("usage"), seconds),
        stop=_stop(reply, bool(calls), bool(refusals)),
        model=str(reply.get("model") or ""),
        request_id=request_id or str(reply.get("id") or ""),
    )


def _stop(reply: Mapping[str, Any], calls: bool, refused: bool) -> AnswerEnd:
    if reply.get("status") == "incomplete":
        details = reply.get("incomplete_details")
        reason = str(details.get("reason") if isinstance(details, Mapping) else "")
        if "context" in reason:
            return "window"
        return "refusal" if reason == "content_filter" else "length"
    if refused:
        return "refusal"
    return "tool" if calls else "end"
