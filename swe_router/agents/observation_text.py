"""Texts as an agent is shown them: cut to size, head and tail kept, nothing unprintable."""

from __future__ import annotations

import math
from typing import Any


def printable(text: str) -> str:
    """The text as it can be sent: bytes that are no UTF-8, and NULs, become U+FFFD."""
    clean = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return clean.replace("\x00", "\ufffd")


def shortened(text: str, limit: int) -> str:
    """The text, or its head and tail with the size of what is left out; ``limit`` in bytes."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    head, tail = data[: limit * 2 // 3], data[len(data) - limit // 3 :]
    left_out = len(data) - len(head) - len(tail)
    shown = head.decode("utf-8", "ignore"), tail.decode("utf-8", "ignore")
    return f"{shown[0]}\n[… {left_out} bytes left out …]\n{shown[1]}"


def numbered_lines(lines: list[bytes], first: int, last: int) -> str:
    """Lines ``first`` to ``last`` (from 1, inclusive, clipped) with their numbers."""
    first, last = max(1, first), min(len(lines), last)
    return "\n".join(
        f"{number:6} {printable(lines[number - 1].decode('utf-8', 'replace'))[:300].rstrip()}"
        for number in range(first, last + 1)
    )


def sendable(value: Any) -> Any:
    """A JSON value without what JSON or UTF-8 cannot carry (half surrogates, NaN)."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {sendable(key): sendable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [sendable(item) for item in value]
    return value
