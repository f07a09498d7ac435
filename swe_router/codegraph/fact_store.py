"""Facts by blob, on disk: the next commit of a repository parses only what changed."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from swe_router.codegraph.file_facts import VERSION, Call, Definition, FileFacts
from swe_router.codegraph.import_statements import ImportedName


class FactStore:
    """A SQLite file of ``(blob, version) -> facts``.

    A store that cannot be opened, read or written is worth nothing and costs nothing: facts are
    made again from the blobs. A damaged file is thrown away and begun anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = self._open()
        except sqlite3.DatabaseError:
            self._db = self._anew()

    def get(self, keys: Iterable[str]) -> dict[str, FileFacts]:
        """The facts that are known, by blob and grammar key."""
        wanted = set(keys)
        if self._db is None or not wanted:
            return {}
        try:
            rows = self._rows(wanted)
            return {key: _decode(text) for key, text in rows if key in wanted}
        except sqlite3.OperationalError:  # another worker holds it: not worth waiting longer
            return {}
        except (sqlite3.Error, ValueError, TypeError, IndexError):
            self._db = self._anew()
            return {}

    def put(self, facts: Mapping[str, FileFacts]) -> None:
        """Keep facts; all of them or none."""
        if self._db is None or not facts:
            return
        rows = [(key, VERSION, _encode(value)) for key, value in facts.items()]
        with contextlib.suppress(sqlite3.Error), self._db:
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _rows(self, wanted: set[str]) -> list[tuple[str, str]]:
        assert self._db is not None
        rows: list[tuple[str, str]] = []
        ordered = sorted(wanted)
        for start in range(0, len(ordered), 500):
            part = ordered[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT key, facts FROM facts WHERE version = ? AND key IN ({marks})"  # noqa: S608
            rows += self._db.execute(sql, [VERSION, *part]).fetchall()
        return rows

    def _open(self) -> sqlite3.Connection | None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
            db.execute("PRAGMA synchronous = OFF")
            db.execute(
                "CREATE TABLE IF NOT EXISTS facts"
                " (key TEXT PRIMARY KEY, version TEXT, facts TEXT) WITHOUT ROWID"
            )
            db.commit()
        except (sqlite3.OperationalError, OSError):
            return None
        return db

    def _anew(self) -> sqlite3.Connection | None:
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        try:
            return self._open()
        except sqlite3.DatabaseError:
            return None


def _encode(facts: FileFacts) -> str:
    # A NamedTuple is written as the list of its fields.
    return _write([facts.definitions, facts.imports, facts.calls, facts.problem])


def _decode(text: str) -> FileFacts:
    definitions, imports, calls, problem = json.loads(text)
    return FileFacts(
        tuple([Definition(n, k, ln, e, s, tuple(b)) for n, k, ln, e, s, b in definitions]),
        tuple(map(ImportedName._make, imports)),
        tuple(map(Call._make, calls)),
        problem,
    )


_write = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
