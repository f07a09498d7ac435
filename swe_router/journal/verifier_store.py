"""Results that the verifiers of one instance paid for: a durable mapping."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from swe_router import jsonl
from swe_router.errors import UsageError


class VerifierStore(MutableMapping[str, Any]):
    """Key -> JSON value, one line per change in ``notes.jsonl``.

    An assignment is durable when it returns.

    Belongs to an instance, not to an attempt: an instance that starts anew keeps it. Raises
    ``UsageError`` on a damaged file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] | None = None

    def __getitem__(self, key: str) -> Any:
        return self._load_all()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        known = self._load_all()
        jsonl.make_folder(self._path.parent)
        jsonl.append_value(self._path, {"key": key, "value": value})
        known[key] = value

    def __delitem__(self, key: str) -> None:
        del self._load_all()[key]
        jsonl.append_value(self._path, {"key": key, "gone": True})

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._load_all()))

    def __len__(self) -> int:
        return len(self._load_all())

    def _load_all(self) -> dict[str, Any]:
        if self._known is None:
            known: dict[str, Any] = {}
            for number, row in enumerate(jsonl.read_lines(self._path), 1):
                key = row.get("key")
                if not isinstance(key, str) or not {"value", "gone"} & row.keys():
                    raise UsageError(
                        f"{self._path}:{number} is no note: restore the line or delete it"
                    )
                if row.get("gone"):
                    known.pop(key, None)
                else:
                    known[key] = row.get("value")
            self._known = known
        return self._known
