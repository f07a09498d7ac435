"""The book read without being opened: for reports, which must not write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swe_router.errors import JournalError, UsageError
from swe_router.ledger.state import LedgerState
from swe_router.safe_files import check_regular_file

BROKEN = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, JournalError)
"""What a damaged entry raises when it is read and applied."""
ADVICE = (
    "restore the line from a copy of the run; it is not to be deleted, since what it says was"
    " spent would be spent again"
)


def read_ledger(path: Path) -> LedgerState:
    """What the entries of a ledger add up to; a torn last line is passed over.

    Raises ``UsageError`` that names file and line for a damaged one.
    """
    state = LedgerState()
    _each_entry(path, state.apply)
    return state


def call_spans(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Tier -> begin and end (Unix seconds) of each of its answered calls, for how they overlap.

    The end is when the call was settled, the begin so many seconds before as the usage says; a
    call without either is left out. Raises ``UsageError`` as ``read_ledger`` does.
    """
    tiers: dict[str, str] = {}
    spans: dict[str, list[tuple[float, float]]] = {}

    def take(entry: Mapping[str, Any]) -> None:
        if entry["op"] == "reserve":
            tiers[entry["id"]] = entry["tier"]
        elif entry["op"] == "settle" and entry["id"] in tiers and "at" in entry:
            end = float(entry["at"])
            seconds = float((entry.get("usage") or {}).get("seconds", 0))
            spans.setdefault(tiers[entry["id"]], []).append((end - seconds, end))

    _each_entry(path, take)
    return spans


def _each_entry(path: Path, take: Callable[[Mapping[str, Any]], None]) -> None:
    check_regular_file(path)
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise UsageError(f"cannot read the ledger {path}: {error.strerror}") from None
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise TypeError("not an object")
            take(entry)
        except BROKEN as error:
            raise UsageError(describe_damage(path, number, error)) from None


def describe_damage(path: Path, number: int, error: Exception) -> str:
    """What is wrong with a line of a ledger, and what to do."""
    missing = isinstance(error, KeyError)
    return f"{path}:{number} is damaged ({f'no {error}' if missing else error}): {ADVICE}"
