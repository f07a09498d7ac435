"""The book read without being opened: for reports, which must not write."""

from __future__ import annotations

import json
from pathlib import Path

from swe_router.errors import JournalError, UsageError
from swe_router.ledger.state import State


def read(path: Path) -> State:
    """What the entries of a ledger add up to; a torn last line is passed over.

    Raises ``UsageError`` that names file and line for a damaged one.
    """
    state = State()
    data = path.read_bytes() if path.exists() else b""
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            state.apply(json.loads(line))
        except (ValueError, TypeError, KeyError, ArithmeticError, JournalError) as error:
            raise UsageError(f"{path}:{number} is damaged: {error!r}") from None
    return state
