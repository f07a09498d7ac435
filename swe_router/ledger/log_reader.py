"""The book read without being opened: for reports, which must not write."""

from __future__ import annotations

import json
from pathlib import Path

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
            state.apply(entry)
        except BROKEN as error:
            raise UsageError(describe_damage(path, number, error)) from None
    return state


def describe_damage(path: Path, number: int, error: Exception) -> str:
    """What is wrong with a line of a ledger, and what to do."""
    missing = isinstance(error, KeyError)
    return f"{path}:{number} is damaged ({f'no {error}' if missing else error}): {ADVICE}"
