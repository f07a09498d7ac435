"""Answers of batches that nobody waited for when they came: paid, on disk, and used once."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from swe_router import jsonl
from swe_router.errors import UsageError
from swe_router.records import Completion, FrozenRecord


class _CollectedAnswer(FrozenRecord):
    key: str
    """Of the ledger."""
    request: str
    """Digest."""
    reservation: str
    completion: Completion


class CollectedAnswers:
    """The file of one run; an attempt that a later process continues asks it first."""

    def __init__(self, path: Path) -> None:
        """Raises ``UsageError`` for a damaged file."""
        self._path, self._lock = path, threading.Lock()
        self._known: dict[tuple[str, str], deque[tuple[str, Completion]]] = defaultdict(deque)
        seen = set()
        for number, row in enumerate(jsonl.read_lines(path), 1):
            try:
                found = _CollectedAnswer.model_validate(row)
            except ValidationError as error:
                raise UsageError(
                    f"{path}:{number} is damaged ({error.errors()[0]['msg']}): restore the line"
                ) from None
            if found.reservation not in seen:  # a process died between this and its settlement
                seen.add(found.reservation)
                self._remember(found.key, found.request, found.reservation, found.completion)

    def add(self, rows: Sequence[tuple[str, str, str, Completion]]) -> None:
        """Keep answers as (key, request, reservation, answer); durable when it returns."""
        with self._lock:
            for number, (key, request, reservation, answer) in enumerate(rows, 1):
                row = _CollectedAnswer(
                    key=key, request=request, reservation=reservation, completion=answer
                )
                last = number == len(rows)
                jsonl.append_value(self._path, row.model_dump(mode="json"), durable=last)
                self._remember(key, request, reservation, answer)

    def take(self, key: str, request: str) -> tuple[str, Completion] | None:
        """Reservation and answer for this request, once."""
        with self._lock:
            found = self._known.get((key, request))
            return found.popleft() if found else None

    def _remember(self, key: str, request: str, reservation: str, answer: Completion) -> None:
        self._known[key, request].append((reservation, answer))
