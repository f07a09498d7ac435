"""Rows of a file of instances, each with its place: ``.jsonl``, ``.json`` or ``.parquet``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
else:
    pa = deferred_module("pyarrow")
    pq = deferred_module("pyarrow.parquet")

SUFFIXES = (".jsonl", ".json", ".parquet")

Placed = tuple[str, Mapping[str, Any]]
"""Place of a row (``FILE:LINE``), and the row."""


def read_rows(path: Path) -> Iterator[Placed]:
    """Every row of the file. Raises ``UsageError`` that names the place of the fault."""
    form = path.suffix.lower()
    if form not in SUFFIXES or path.is_dir():
        raise UsageError(f"cannot read instances from {path}: give a {', '.join(SUFFIXES)} file")
    try:
        if form == ".parquet":
            table = pq.read_table(pa.BufferReader(path.read_bytes()))
            yield from _numbered(path, table.to_pylist())
        elif form == ".jsonl":
            yield from read_json_lines(path, path.read_text(encoding="utf-8-sig"))
        else:
            yield from _numbered(path, _parsed(str(path), path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        why = " ".join(str(error.strerror or error).split())
        raise UsageError(f"cannot read instances from {path}: {why}") from None
    except pa.ArrowException as error:
        message = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} is not a parquet file that can be read: {message}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error}") from None


def read_json_lines(path: Path, text: str) -> Iterator[Placed]:
    """Rows of JSON lines. Raises ``UsageError`` that names the line."""
    # Not splitlines(): issue texts hold U+2028 and the like, which JSON leaves as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        row = _parsed(str(path), line, number)
        if not isinstance(row, dict):
            raise UsageError(f"{path}:{number}: a row must be a JSON object")
        yield f"{path}:{number}", row


def _parsed(place: str, text: str, line: int = 0) -> Any:
    """JSON of a whole file, or of one of its lines."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{place}:{line or error.lineno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):  # nested without end, a number of 5000 digits
        at = f":{line}" if line else ""
        raise UsageError(f"{place}{at}: not a JSON text that can be read") from None


def _numbered(path: Path, rows: Any) -> Iterator[Placed]:
    if isinstance(rows, dict) and all(isinstance(row, dict) for row in rows.values()):
        rows = [{"instance_id": name, **row} for name, row in rows.items()]
    if not isinstance(rows, list):
        raise UsageError(
            f"{path}: a JSON file of instances must hold a list of objects, or an object of them"
            " by id"
        )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UsageError(f"{path}: row {number} is not an object")
        yield f"{path}: row {number}", row
