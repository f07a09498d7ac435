"""OpenAI's Chat Completions: what is sent and what comes back, without the sending."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router import model_facts
from swe_router.errors import BadReply
from swe_router.models import cache_marks, call_options, http_calls, message_history, token_usage
from swe_router.records import (
    AnswerEnd,
    CallLimits,
    Completion,
    Message,
    TokenLogprobs,
    ToolCall,
    ToolSpec,
)
from swe_router.settings import Tier

_SIGNED = ("extra_content",)
"""What a call carries for its provider (Gemini: the signature of a thought)."""
REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", *_SIGNED)
_CALLS = "tool_calls"


def chat_request(
    tier: Tier,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    limits: CallLimits,
    strict: bool,
    reasons: bool,
    session: str = "",
) -> dict[str, Any]:
    """The request. ``reasons``: the model takes no temperature and counts its thinking.

    ``session`` names the conversation, for servers that keep its prefix; empty names none.
    """
    cap = "max_completion_tokens" if reasons else "max_tokens"
    out: dict[str, Any] = {
        "model": tier.model,
        "messages": _messages(messages, tier),
        cap: limits.max_output_tokens,
    }
    if tools:
        out["tools"] = [_tool(tool, strict) for tool in tools]
        out["tool_choice"] = limits.tool_choice
    if tier.temperature is not None and not reasons and call_options.takes_temperature(tier):
        out["temperature"] = tier.temperature if limits.temperature is None else limits.temperature
    if limits.seed is not None and not reasons:
        out["seed"] = limits.seed
    if limits.top_logprobs:
        out |= {"logprobs": True, "top_logprobs": limits.top_logprobs}
    if limits.answer_schema is not None:
        form = {"name": "answer", "strict": True, "schema": dict(limits.answer_schema)}
        out["response_format"] = {"type": "json_schema", "json_schema": form}
    if tools and call_options.says_parallel(tier):
        out["parallel_tool_calls"] = tier.options["parallel_tool_calls"]
    for name in ("reasoning_effort", "verbosity"):
        if name in tier.options:
            out[name] = tier.options[name]
    if not tier.base_url:
        # The price table knows the standard service only.
        out["service_tier"] = "default"
    if session:
        name = "session_id" if tier.dialect == "vllm" else "prompt_cache_key"
        out[name] = cache_marks.cache_key(session)
    return {**out, **tier.options.get("extra", {})}


def _messages(messages: Sequence[Message], tier: Tier) -> list[dict[str, Any]]:
    fit = message_history.legal_messages(messages, message_history.CHAT_ID)
    native, marks = tier.tools == "native", not tier.base_url and tier.dialect == "openai"
    ends = (
        cache_marks.opening_ends(fit) if marks and cache_marks.takes_breakpoints(tier.model) else ()
    )
    return [_message(message, native, mark=at in ends) for at, message in enumerate(fit)]


def _message(message: Message, native: bool, *, mark: bool = False) -> dict[str, Any]:
    text = message.content
    if message.role == "tool" and not native:
        return {"role": "user", "content": text}
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": text}
    if message.images:
        shown = [{"type": "image_url", "image_url": {"url": one.url}} for one in message.images]
        return {"role": message.role, "content": [*shown, {"type": "text", "text": text}]}
    marked = cache_marks.openai_text(message, text, kind="text", mark=mark)
    out: dict[str, Any] = {"role": message.role, "content": marked}
    kept = dict(message.kept[0]) if message.kept else {}
    extras = kept.pop(_CALLS, ())
    if message.tool_calls and native:
        out["content"] = text if text.strip() else ""
        out["tool_calls"] = [_call(call) for call in message.tool_calls]
        for call, extra in zip(out["tool_calls"], extras, strict=False):
            call.update(extra)
    elif not text.strip():
        out["content"] = message_history.NOTHING
    return {**out, **message_history.sendable_json(kept)}


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(message_history.sendable_json(dict(call.arguments)), ensure_ascii=False)
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _tool(tool: ToolSpec, strict: bool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": {**function, "strict": True} if strict else function}


def read_chat_reply(
    reply: Mapping[str, Any], key: str, seconds: float, request_id: str
) -> Completion:
    """The completion. Raises ``BadReply``."""
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise BadReply(
            f"the reply has no message: {http_calls.short_message(json.dumps(reply), key)}"
        )
    calls = _calls(message.get("tool_calls"), key)
    model = str(reply.get("model") or "")
    ended = model_facts.answer_end("chat", first.get("finish_reason"), model)
    stop: AnswerEnd = ended or ("tool" if calls else "end")
    if message.get("refusal"):
        stop = "refusal"
    content = message.get("content") or message.get("refusal") or ""
    message = Message(
        role="assistant", content=text_of_content(content), tool_calls=calls, kept=_kept(message)
    )
    return Completion(
        message=message,
        usage=token_usage.chat_usage(reply.get("usage"), seconds),
        stop=stop,
        model=model,
        request_id=request_id or str(reply.get("id") or ""),
        logprobs=_logprobs(first.get("logprobs")),
    )


def _logprobs(table: Any) -> tuple[TokenLogprobs, ...]:
    """The tokens of the answer with their likeliest others; what has another form is left out."""
    rows = table.get("content") if isinstance(table, Mapping) else None
    found = []
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            return ()
        pairs = (_token_logprob(one) for one in row.get("top_logprobs") or ())
        top = tuple(pair for pair in pairs if pair is not None)
        found.append(TokenLogprobs(token=str(row.get("token") or ""), top=top))
    return tuple(found)


def _token_logprob(row: Any) -> tuple[str, float] | None:
    token = row.get("token") if isinstance(row, Mapping) else None
    value = row.get("logprob") if isinstance(row, Mapping) else None
    if not isinstance(token, str) or not isinstance(value, int | float) or value > 0:
        return None
    return token, float(value)


def _kept(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The reasoning that thinking models want back, under the names that it came with."""
    kept = {
        name: message[name] for name in REASONING if message.get(name) not in (None, "", [], {})
    }
    extras = [
        {name: call[name] for name in _SIGNED if call.get(name) is not None}
        for call in message.get("tool_calls") or ()
    ]
    if any(extras):
        kept[_CALLS] = extras
    return (kept,) if kept else ()


def text_of_content(content: Any) -> str:
    """Text of a content that may be a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def _calls(calls: Any, key: str) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise BadReply("tool_calls is not a list of objects")
    functions = [(call.get("id"), call.get("function") or {}) for call in calls]
    if not all(isinstance(function, dict) for _, function in functions):
        raise BadReply("a tool call has no function")
    # Some servers give all calls of an answer one id, or none; each result needs its own.
    given = [call_id for call_id, _ in functions]
    return tuple(
        http_calls.tool_call(
            call_id if call_id and given.count(call_id) == 1 else f"call_{number}",
            function.get("name"),
            function.get("arguments"),
            key,
        )
        for number, (call_id, function) in enumerate(functions, 1)
    )
