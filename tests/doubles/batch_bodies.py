"""What the two providers of batches take, answer and charge: the rules behind ``batch_server``.

Requests are held against the SDKs' own types and against ``strict``; replies are made as the
SDKs' own models, so that a field that a client reads is one that the provider documents.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.messages import MessageBatch
from openai.types import Batch
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from tests.doubles import sdk_types, strict

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
_TYPES = {
    "anthropic": MessageCreateParamsNonStreaming,
    "chat": CompletionCreateParamsNonStreaming,
    "responses": ResponseCreateParamsNonStreaming,
}
_NOT_IN_SDK = ("body.temperature: Extra inputs are not permitted",)
"""Anthropic's models of before take one still; the SDK's type has it no more."""
_NOT_IN_BATCHES = ("stream", "service_tier")


def refusal(dialect: str, body: Any) -> str:
    """Why the API refuses a request of a batch; empty when it takes it."""
    found = [why for why in sdk_types.problems(body, _TYPES[dialect]) if why not in _NOT_IN_SDK]
    if found:
        return found[0].removeprefix("body.")
    for name in _NOT_IN_BATCHES:
        if name in body:
            return f"{name}: not supported in batch requests"
    return strict.refusal(dialect, body, frozenset())


@dataclass
class Item:
    """One call of a batch, with its fate."""

    custom_id: str
    body: dict[str, Any]
    ready: float
    """Unix seconds at which it is answered, if the batch lives that long."""
    fate: Any = "answer"
    """``answer``, ``absent`` (missing in the results, billed), or an error object with a status."""
    end: str = ""
    """How it ended: ``succeeded``, ``errored``, ``expired``, ``canceled``."""
    reply: dict[str, Any] | None = None


@dataclass
class StoredBatch:
    """A batch as the provider keeps it."""

    batch_id: str
    dialect: str
    items: list[Item]
    created: float
    expires: float
    cancelled_at: float = 0.0
    ended_at: float = 0.0
    failed: Sequence[Mapping[str, Any]] = ()
    """Errors of the file as a whole."""
    input_file_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False
    """Its results are."""

    def count(self, *ends: str) -> int:
        return sum(item.end in ends for item in self.items)


def _when(moment: float) -> str | None:
    if not moment:
        return None
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat()


def message_batch(batch: StoredBatch, base: str) -> dict[str, Any]:
    """As Anthropic describes a batch: counts other than ``processing`` only once it has ended."""
    over = bool(batch.ended_at)
    ends = ("succeeded", "errored", "canceled", "expired")
    counts = {end: batch.count(end) if over else 0 for end in ends}
    status = "ended" if over else ("canceling" if batch.cancelled_at else "in_progress")
    results = f"{base}/v1/messages/batches/{batch.batch_id}/results"
    made = MessageBatch.model_validate(
        {
            "id": batch.batch_id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {**counts, "processing": 0 if over else len(batch.items)},
            "created_at": _when(batch.created),
            "expires_at": _when(batch.expires),
            "ended_at": _when(batch.ended_at),
            "cancel_initiated_at": _when(batch.cancelled_at),
            "archived_at": _when(batch.ended_at if batch.deleted else 0),
            "results_url": results if over and not batch.deleted else None,
        }
    )
    return json.loads(made.model_dump_json())  # type: ignore[no-any-return]


def openai_batch(batch: StoredBatch, now: float) -> dict[str, Any]:
    """As OpenAI describes a batch; its files are there once it has ended."""
    over = bool(batch.ended_at)
    answered, rest = batch.count("succeeded"), batch.count("errored", "expired", "canceled")
    made = Batch.model_validate(
        {
            "id": batch.batch_id,
            "object": "batch",
            "endpoint": PATHS[batch.dialect],
            "completion_window": "24h",
            "created_at": int(batch.created),
            "expires_at": int(batch.expires),
            "input_file_id": batch.input_file_id,
            "metadata": dict(batch.metadata),
            "status": _openai_status(batch, now),
            "errors": {"object": "list", "data": list(batch.failed)} if batch.failed else None,
            "output_file_id": f"out-{batch.batch_id}" if over and answered else None,
            "error_file_id": f"err-{batch.batch_id}" if over and rest else None,
            "request_counts": {
                "total": 0 if batch.failed else len(batch.items),
                "completed": answered,
                "failed": batch.count("errored"),
            },
        }
    )
    return json.loads(made.model_dump_json())  # type: ignore[no-any-return]


def _openai_status(batch: StoredBatch, now: float) -> str:
    if batch.ended_at:
        if batch.failed:
            return "failed"
        if batch.cancelled_at:
            return "cancelled"
        return "expired" if batch.count("expired") else "completed"
    if batch.cancelled_at:
        return "cancelling"
    return "validating" if now < batch.created + 0.02 else "in_progress"


def _shown(item: Item) -> Any:
    """A reply as the results have it: what a test puts in its place, if it does."""
    reply = item.reply or {}
    if "stands_in" not in reply:
        return reply
    try:
        return json.loads(reply["stands_in"])
    except ValueError:
        return reply["stands_in"]


def anthropic_line(item: Item) -> dict[str, Any] | None:
    """The line of an item in the results; None: it is missing."""
    if item.fate == "absent" and item.end == "succeeded":
        return None
    result: dict[str, Any] = {"type": item.end}
    if item.end == "succeeded":
        result["message"] = _shown(item)
    elif item.end == "errored":
        error = {name: value for name, value in item.fate.items() if name != "status"}
        result["error"] = {"type": "error", "error": error, "request_id": "req_1"}
    return {"custom_id": item.custom_id, "result": result}


def openai_line(item: Item) -> dict[str, Any] | None:
    """The line of an item in the file of answers or of errors; None: it is missing."""
    if item.fate == "absent" and item.end == "succeeded":
        return None
    line = {"id": f"batch_req_{item.custom_id}", "custom_id": item.custom_id}
    if item.end in ("expired", "canceled"):
        code = {"expired": "batch_expired", "canceled": "batch_cancelled"}[item.end]
        error = {"code": code, "message": "This request could not be executed."}
        return {**line, "response": None, "error": error}
    status = 200 if item.end == "succeeded" else item.fate.get("status", 400)
    error = None if item.end == "succeeded" else dict(item.fate)
    body = _shown(item) if error is None else {"error": error}
    response = {"status_code": status, "request_id": f"req_{item.custom_id}", "body": body}
    return {**line, "response": response, "error": None}


def reply(
    dialect: str,
    *,
    text: str = "done",
    calls: Sequence[tuple[str, Mapping[str, Any]]] = (),
    tokens: tuple[int, int] = (1000, 50),
    model: str = "m",
    service: str = "batch",
) -> dict[str, Any]:
    """A model's answer; ``tokens`` are of input and of output."""
    asked, given = tokens
    if dialect == "anthropic":
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        blocks += [
            {"type": "tool_use", "id": f"c{n}", "name": name, "input": dict(arguments)}
            for n, (name, arguments) in enumerate(calls)
        ]
        usage = {"input_tokens": asked, "output_tokens": given, "service_tier": service}
        stop = "tool_use" if calls else "end_turn"
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": model,
                "content": blocks, "stop_reason": stop, "stop_sequence": None,
                "usage": usage}  # fmt: skip
    if dialect == "chat":
        made = [
            {"id": f"c{n}", "type": "function",
             "function": {"name": name, "arguments": json.dumps(dict(arguments))}}
            for n, (name, arguments) in enumerate(calls)
        ]  # fmt: skip
        message = {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}
        usage = {"prompt_tokens": asked, "completion_tokens": given, "total_tokens": asked + given}
        choice = {"index": 0, "message": message,
                  "finish_reason": "tool_calls" if made else "stop"}  # fmt: skip
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [choice], "usage": usage}  # fmt: skip
    items: list[dict[str, Any]] = [
        {"type": "message", "id": "m1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": text, "annotations": []}]}
    ]  # fmt: skip
    items += [
        {"type": "function_call", "id": f"fc{n}", "call_id": f"c{n}", "name": name,
         "arguments": json.dumps(dict(arguments)), "status": "completed"}
        for n, (name, arguments) in enumerate(calls)
    ]  # fmt: skip
    usage = {"input_tokens": asked, "output_tokens": given, "total_tokens": asked + given}
    return {"id": "resp_1", "object": "response", "created_at": 1, "model": model,
            "status": "completed", "output": items, "usage": usage}  # fmt: skip
