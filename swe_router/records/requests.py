"""A request's identity and size, at the cost of what is new: each request begins with the last one.

A conversation of n steps is asked n times, and each request holds all of it. Read afresh every
time, that is n² messages. Here each message is read once, when it first appears.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from swe_router.records.conversation import CallLimits, Message, ToolSpec
from swe_router.records.frozen import FrozenRecord


def request_digest(
    messages: Sequence[Message], tools: Sequence[ToolSpec], limits: CallLimits
) -> str:
    """SHA-256 hex of a request as sent: the canonical JSON of its messages, tools and limits."""
    return RequestDigests().of(messages, tools, limits)


class RequestDigests:
    """``request_digest`` of requests that grow at their end.

    The digest is that of ``digest_of({"limits": …, "messages": […], "tools": […]})``: keys are
    sorted, so that the messages stand before all that does not grow but the limits, and the hash
    of the last request is continued.
    """

    def __init__(self) -> None:
        self._limits = b""
        self._known: list[Message] = []
        self._hash = hashlib.sha256()
        self._tools: tuple[Sequence[ToolSpec], bytes] = ((), b"")

    def of(self, messages: Sequence[Message], tools: Sequence[ToolSpec], limits: CallLimits) -> str:
        """The digest of a request; the cheaper the more of it is the very objects of the last."""
        text = _canonical_json(limits)
        if text != self._limits or shared_prefix(messages, self._known) < len(self._known):
            self._limits, self._known = text, []
            self._hash = hashlib.sha256(b'{"limits":%s,"messages":[' % text)
        for message in messages[len(self._known) :]:
            self._hash.update((b"," if self._known else b"") + _message_json(message))
            self._known.append(message)
        whole = self._hash.copy()
        if tools is not self._tools[0]:
            self._tools = tools, b",".join(map(_canonical_json, tools))
        whole.update(b'],"tools":[%s]}' % self._tools[1])
        return whole.hexdigest()


class RunningSum:
    """The sum of a number over the messages of requests that grow at their end."""

    def __init__(self, number: Callable[[Message], int]) -> None:
        self._number = number
        self._known: list[Message] = []
        self._sums = [0]

    def of(self, messages: Sequence[Message], upto: int | None = None) -> int:
        """Over all messages, or over the first ``upto``; ``number`` is asked of new ones only."""
        same = shared_prefix(messages, self._known)
        if same < len(self._known):
            del self._known[same:], self._sums[same + 1 :]
        for message in messages[same:]:
            self._known.append(message)
            self._sums.append(self._sums[-1] + self._number(message))
        return self._sums[len(messages) if upto is None else upto]


def shared_prefix(messages: Sequence[Message], known: Sequence[Message]) -> int:
    """How many messages at the beginning are the very objects that are known."""
    most = min(len(messages), len(known))
    if all(map(operator.is_, messages, known)):
        return most
    return next(n for n in range(most) if messages[n] is not known[n])


_recent_messages: deque[tuple[Message, bytes]] = deque(maxlen=8)
"""Messages read last: a request is digested where it is made and where it is paid."""


def _message_json(message: Message) -> bytes:
    for known, text in tuple(_recent_messages):
        if known is message:
            return text
    text = _canonical_json(message)
    _recent_messages.append((message, text))
    return text


def _canonical_json(value: FrozenRecord) -> bytes:
    tree: Any = value.model_dump(mode="json")
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return text.encode("utf-8", "surrogatepass")
