"""Where a request asks a provider to keep its prompt, so that the next request reads it back.

A cache holds prefixes. What requests share stands in this order: the tools and the system text
(all attempts of a run), the issue (all attempts at an instance), then the conversation, which
grows at its end. Each of these ends gets a mark where the API knows marks, four at most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.records import Message

MAX_MARKS = 4
"""Most marks that one request may carry (Anthropic and OpenAI)."""
LOOK_BACK = 20
"""Blocks before a mark in which Anthropic looks for an earlier one."""
KEY_CHARS = 64
"""Most characters of OpenAI's ``prompt_cache_key``."""
BREAKPOINT: Mapping[str, Any] = {"prompt_cache_breakpoint": {"mode": "explicit"}}
_FAMILY = re.compile(r"gpt-(\d+)(?:\.(\d+))?")


def anthropic_control(ttl: str) -> dict[str, Any]:
    """The mark of Anthropic's API; ``ttl`` is ``5m`` or ``1h``."""
    return {"type": "ephemeral", "ttl": ttl}


def mark_system(text: str, control: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The system text as one marked block; the tools stand before it and are kept with it."""
    return [{"type": "text", "text": text, "cache_control": dict(control)}]


def mark_turns(turns: list[dict[str, Any]], control: Mapping[str, Any]) -> None:
    """Mark the ends of the issue, of the request before and of this one.

    The first mark survives an elision, which changes all that follows. The request before is
    marked at its very end, since Anthropic looks back over 20 blocks only and a turn of many calls
    has more.
    """
    ends = {0, len(turns) - 3, len(turns) - 1}
    for at in sorted(end for end in ends if end >= 0):
        blocks = turns[at]["content"]
        blocks[-1] = {**blocks[-1], "cache_control": dict(control)}


def split_question(message: Message, text: str) -> tuple[str, str] | None:
    """The part of a single question that others begin with too, and the rest; None: no such part.

    Only the end of the first part is marked: nobody asks the same again, and a write costs more
    than input.
    """
    shared, own = text[: message.repeats], text[message.repeats :]
    return (shared, own) if shared.strip() and own.strip() else None


def anthropic_text(message: Message, text: str, control: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The text blocks of a message for Anthropic's API."""
    parts = split_question(message, text)
    if parts is None:
        return [{"type": "text", "text": text}]
    first = {"type": "text", "text": parts[0], "cache_control": dict(control)}
    return [first, {"type": "text", "text": parts[1]}]


def openai_text(
    message: Message, text: str, *, kind: str, mark: bool
) -> str | list[dict[str, Any]]:
    """The content of a message for OpenAI's APIs, whose text parts are of this ``kind``.

    With ``mark`` the end of what repeats is marked: of a question its shared part, else all of it.
    """
    if not mark or not text.strip():
        return text
    shared, own = split_question(message, text) or (text, "")
    parts: list[dict[str, Any]] = [{"type": kind, "text": shared, **BREAKPOINT}]
    return [*parts, {"type": kind, "text": own}] if own else parts


def is_question(messages: Sequence[Message]) -> bool:
    """Whether a request is one question among several that begin alike, and no conversation."""
    return any(message.repeats for message in messages)


def cache_key(session: str) -> str:
    """The key that sends requests of one conversation to the server that has their prefix."""
    return session[-KEY_CHARS:]


def takes_breakpoints(model: str) -> bool:
    """Whether OpenAI's API takes explicit breakpoints for a model: GPT-5.6 and later."""
    found = _FAMILY.match(model)
    return found is not None and (int(found[1]), int(found[2] or 0)) >= (5, 6)


def opening_ends(messages: Sequence[Message]) -> set[int]:
    """Places of the messages whose ends OpenAI's API is given explicitly: system and issue.

    The end of the conversation is marked by the API itself. Later models read a prefix at a
    breakpoint only, so without these an elision, or another attempt at the instance, reads nothing.
    """
    users = [at for at, message in enumerate(messages) if message.role == "user"]
    systems = [at for at, message in enumerate(messages) if message.role == "system"]
    return {*systems[-1:], *users[:1]}
