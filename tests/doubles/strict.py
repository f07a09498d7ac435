"""Servers that refuse what the documented APIs refuse, and else say what their script says.

Names, ids and lengths are those of the API references of the two providers, and what public bug
reports quote; ``wants`` adds what single providers ask beyond them.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ANTHROPIC_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CHAT = {
    "model", "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice",
    "temperature", "seed", "reasoning_effort", "verbosity", "service_tier", "parallel_tool_calls",
    "prompt_cache_key", "session_id", "logprobs", "top_logprobs", "response_format",
}  # fmt: skip
RESPONSES = {
    "model", "input", "max_output_tokens", "store", "include", "prompt_cache_key", "instructions",
    "tools", "tool_choice", "reasoning", "text", "service_tier", "parallel_tool_calls",
    "temperature",
}  # fmt: skip
ANTHROPIC = {
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "temperature", "thinking",
    "output_config", "stream", "cache_control", "service_tier",
}  # fmt: skip


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


def refusal(dialect: str, body: Mapping[str, Any], wants: frozenset[str]) -> str:
    """Why the API refuses a request; empty when it takes it."""
    if any("\x00" in text for text in _texts(body)):
        return "NUL is not allowed in text"
    check = {"anthropic": _anthropic, "responses": _responses}.get(dialect, _chat)
    return next(check(body, wants), "")


def _unknown(body: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    for name in sorted(set(body) - known):
        yield f"Unknown parameter: '{name}'."


def _named(place: str, name: Any) -> Iterator[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        yield f"Invalid '{place}.name': string does not match pattern '^[a-zA-Z0-9_-]+$'."


def _object(place: str, arguments: Any) -> Iterator[str]:
    try:
        fine = isinstance(json.loads(arguments), dict)
    except (ValueError, TypeError):
        fine = False
    if not fine:
        yield f"Invalid '{place}.arguments': not a JSON object."


def _parameters(body: Mapping[str, Any], wants: frozenset[str]) -> Iterator[str]:
    """What models of single makers do not take."""
    if "max_completion_tokens" in wants and "max_tokens" in body:
        yield (
            "Unsupported parameter: 'max_tokens' is not supported with this model."
            " Use 'max_completion_tokens' instead."
        )
    for name in ("temperature", "seed", "tool_choice", "parallel_tool_calls", "strict"):
        if f"no {name}" in wants and name in body:
            yield f"Unsupported value: '{name}' is not supported with this model."


def _chat(body: Mapping[str, Any], wants: frozenset[str]) -> Iterator[str]:
    yield from _parameters(body, wants)
    yield from _unknown(body, CHAT)
    seen: set[str] = set()
    open_: list[str] = []
    for n, message in enumerate(body["messages"]):
        place, calls = f"messages[{n}]", message.get("tool_calls") or []
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_:
                yield f"{place}: a tool message must answer a preceding tool call."
            else:
                open_.remove(message["tool_call_id"])
        elif open_:
            yield f"{place}: tool_call_ids without response messages: {', '.join(open_)}"
        if not calls and not (message.get("content") or "").strip():
            yield f"{place}: content must not be blank"
        yield from _reasoning(n, message, wants)
        for call in calls:
            yield from _chat_call(place, call, seen)
            open_.append(call["id"])
    if open_:
        yield f"tool_call_ids without response messages: {', '.join(open_)}"


def _reasoning(n: int, message: Mapping[str, Any], wants: frozenset[str]) -> Iterator[str]:
    wanted = "reasoning_content" in wants and message.get("tool_calls")
    if wanted and "reasoning_content" not in message:
        yield f"Missing `reasoning_content` field in the assistant message at index {n}."
    for name in {"reasoning_content", "reasoning"} & set(message):
        if "no reasoning" in wants:
            yield f"'messages.{n}' : property '{name}' is unsupported"


def _chat_call(place: str, call: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    if not 0 < len(call["id"]) <= 40:
        yield f"Invalid '{place}.tool_calls.id': maximum length 40"
    if call["id"] in seen:
        yield f"Duplicate value for 'tool_call_id' in {place}"
    seen.add(call["id"])
    yield from _named(f"{place}.tool_calls.function", call["function"]["name"])
    yield from _object(place, call["function"]["arguments"])


def _responses(body: Mapping[str, Any], wants: frozenset[str]) -> Iterator[str]:
    yield from _unknown(body, RESPONSES)
    calls: set[str] = set()
    answered: set[str] = set()
    items = body["input"]
    for n, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "function_call":
            if not 0 < len(item["call_id"]) <= 64 or item["call_id"] in calls:
                yield f"Invalid or duplicate 'input[{n}].call_id'."
            calls.add(item["call_id"])
            yield from _named(f"input[{n}]", item["name"])
            yield from _object(f"input[{n}]", item["arguments"])
        elif kind == "function_call_output":
            if item["call_id"] not in calls - answered:
                yield f"No tool call found for function call output with call_id {item['call_id']}."
            answered.add(item["call_id"])
        elif kind == "reasoning":
            if n + 1 == len(items) or items[n + 1].get("role") == "user":
                yield f"Item '{item.get('id')}' of type 'reasoning' without its following item."
            if "encrypted_content" not in item:
                yield f"input[{n}]: the reasoning was not stored"
        elif not "".join(_texts(item["content"])).strip():
            yield f"input[{n}]: content must not be blank"
    if calls - answered:
        yield f"No tool output found for function call {sorted(calls - answered)}."


def _anthropic(body: Mapping[str, Any], wants: frozenset[str]) -> Iterator[str]:
    yield from _unknown(body, ANTHROPIC)
    yield from _parameters(body, wants)
    for n, tool in enumerate(body.get("tools", ())):
        if "no strict" in wants and "strict" in tool:
            yield f"tools.{n}.custom.strict: Extra inputs are not permitted"
    seen: set[str] = set()
    waiting: list[str] = []
    for n, message in enumerate(body["messages"]):
        blocks = message["content"]
        if not blocks:
            yield f"messages.{n}: content must be non-empty"
        results = [b.get("tool_use_id") for b in blocks if b["type"] == "tool_result"]
        if sorted(results) != sorted(waiting):
            yield f"messages.{n}: `tool_use` ids without `tool_result` blocks immediately after"
        for block in blocks:
            yield from _block(f"messages.{n}", block, seen)
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if blocks and blocks[-1]["type"] in {"thinking", "redacted_thinking"}:
            yield f"messages.{n}: The final block in an assistant message cannot be `thinking`."
    if waiting:
        yield "messages: `tool_use` ids were found without `tool_result` blocks"


def _block(place: str, block: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    if block["type"] == "text" and not block["text"].strip():
        yield "messages: text content blocks must contain non-whitespace text"
    if block["type"] == "tool_result" and not "".join(_texts(block["content"])).strip():
        yield f"{place}: tool_result content must not be blank"
    if block["type"] == "thinking" and block.get("signature") != "c2ln":
        yield f"{place}: Invalid `signature` in `thinking` block"
    if block["type"] == "tool_use":
        if not ANTHROPIC_ID.fullmatch(block["id"]) or block["id"] in seen:
            yield f"{place}: `tool_use` ids must be unique and match the pattern"
        seen.add(block["id"])
        yield from _named(f"{place}.tool_use", block["name"])
        if not isinstance(block["input"], dict):
            yield f"{place}.tool_use.input: Input should be a valid dictionary"


_NUMBERS = itertools.count()


class StrictServer:
    """One provider on loopback: answers ``replies`` in turn, refuses what its API refuses."""

    def __init__(self, dialect: str, replies: Sequence[Any], wants: Sequence[str] = ()) -> None:
        self.bodies: list[dict[str, Any]] = []
        """Requests that were taken, in order."""
        self.refused: list[str] = []
        left = list(replies)
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Nothing on stderr."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    why = refusal(dialect, body, frozenset(wants))
                    if why:
                        outer.refused.append(why)
                        error = {"type": "invalid_request_error", "message": why}
                        status, answer = 400, {"type": "error", "error": error}
                    else:
                        outer.bodies.append(body)
                        status, answer = 200, left.pop(0)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A path of its own: what clients learn of a server goes by its address.
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{next(_NUMBERS)}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> StrictServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
