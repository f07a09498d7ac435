"""A conversation as providers take it back: legal names, one id a call, a result for each call.

A model's answer is recorded unchanged; here it is made fit to be sent. The same words of
a conversation come out the same in each request that begins with them, so prompt caches hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from swe_router.records import Message, ToolCall

NOTHING = "(nothing)"
"""Stands where a provider wants words and there are none."""
NO_RESULT = "(no result)"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMELESS = "unknown_tool"
CHAT_ID = re.compile(r"[\x21-\x7e]{1,40}")
"""OpenAI's chat takes 40 characters; compatible servers want their dots and colons back."""
STRICT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def legal_messages(messages: Iterable[Message], ids: re.Pattern[str]) -> list[Message]:
    """The messages with names and ids that a provider takes, each call with its result.

    An id that is blank, longer or other than ``ids``, or was there before, gives way to one of
    nine letters and digits, which every provider takes. Results go to their calls by id and, where
    ids are double, in the order of the calls.
    """
    used: set[str] = set()
    out: list[Message] = []
    waiting: list[tuple[str, str]] = []
    for message in messages:
        if message.role == "tool" and waiting:
            at = next((n for n, (was, _) in enumerate(waiting) if was == message.tool_call_id), 0)
            _, mine = waiting.pop(at)
            out.append(_set(message, tool_call_id=mine, content=nonblank_text(message.content)))
            continue
        out += _unanswered(waiting)
        waiting = []
        if message.role == "tool":
            # A result without a call has no place of its own.
            out.append(Message(role="user", content=nonblank_text(message.content)))
        elif message.tool_calls:
            calls = tuple(_call(call, used, ids) for call in message.tool_calls)
            pairs = zip(message.tool_calls, calls, strict=True)
            waiting = [(old.id, new.id) for old, new in pairs]
            out.append(_set(message, tool_calls=calls, content=sendable_text(message.content)))
        else:
            out.append(_set(message, content=nonblank_text(message.content)))
    return out + _unanswered(waiting)


def _set(message: Message, **fields: Any) -> Message:
    if all(getattr(message, name) == value for name, value in fields.items()):
        return message
    return message.model_copy(update=fields)


def _unanswered(waiting: Sequence[tuple[str, str]]) -> list[Message]:
    return [Message(role="tool", tool_call_id=mine, content=NO_RESULT) for _, mine in waiting]


def _call(call: ToolCall, used: set[str], ids: re.Pattern[str]) -> ToolCall:
    mine, number = call.id, len(used)
    while not ids.fullmatch(mine) or mine in used:
        number += 1
        mine = f"call{number:05d}"
    used.add(mine)
    name = legal_name(call.name)
    if (mine, name) == (call.id, call.name):
        return call
    return call.model_copy(update={"id": mine, "name": name})


def legal_name(name: str) -> str:
    """A tool's name as an API takes it: what stands before the first character it refuses."""
    found = _NAME.match(name) or _NAME.match(re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_"))
    return found[0] if found else _NAMELESS


def sendable_text(text: str) -> str:
    """``text`` as it can be sent: no lone surrogate, no NUL."""
    return (
        text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    )


def nonblank_text(text: str) -> str:
    """Sound text that is not blank, which some providers refuse."""
    return sendable_text(text) if text.strip() else NOTHING


def typed_blocks(blocks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks that say what they are; no server takes any other one back."""
    return [block for block in blocks if isinstance(block.get("type"), str) and block["type"]]


def sendable_json(value: Any) -> Any:
    """A JSON value with sound texts."""
    if isinstance(value, str):
        return sendable_text(value)
    if isinstance(value, list | tuple):
        return [sendable_json(item) for item in value]
    if isinstance(value, dict):
        return {sendable_text(str(name)): sendable_json(item) for name, item in value.items()}
    return value
