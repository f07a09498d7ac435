"""Official results from a file: instance, candidate and resolved, as JSON lines, JSON or CSV.

Every other column is passed over.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swe_router.errors import UsageError
from swe_router.outcomes.tables.table import check_columns

TRUE_CELLS = frozenset(("1", "true", "yes", "1.0", "resolved"))
FALSE_CELLS = frozenset(("0", "false", "no", "0.0", "unresolved"))


def read_labels(paths: Sequence[Path]) -> dict[tuple[str, str], bool]:
    """(instance id, candidate) -> resolved; an empty or null result is no label.

    Raises ``UsageError``: a file that cannot be read, a row without its columns, a result that is
    neither true nor false, two results for one candidate.
    """
    found: dict[tuple[str, str], bool] = {}
    for path in paths:
        for number, row in enumerate(read_objects(path), 1):
            where = f"{path}, row {number}"
            missing = [n for n in ("instance_id", "candidate", "resolved") if n not in row]
            if missing:
                raise UsageError(f"{where} has no {', '.join(missing)}")
            given = row["resolved"]
            word = "" if given is None else str(given).strip().casefold()
            if not word:
                continue
            if word not in TRUE_CELLS | FALSE_CELLS:
                raise UsageError(f"{where}: resolved is {given!r}, not true or false")
            key = (str(row["instance_id"]), str(row["candidate"]))
            if found.setdefault(key, word in TRUE_CELLS) != (word in TRUE_CELLS):
                raise UsageError(
                    f"{where}: {key[0]}, candidate {key[1]} has another result in an earlier row"
                )
    return found


class LabelRow(NamedTuple):
    """A row of ``verify``."""

    file: Path
    place: str
    """File and number of the row."""
    key: tuple[str, str]
    """Instance id and candidate."""
    row: Mapping[str, Any]


def verify_rows(paths: Sequence[Path]) -> list[LabelRow]:
    """Rows of ``verify``: of a candidate the last of its file, and no patch of it twice.

    A file that ``verify`` continued after a change also holds the verdicts from before it,
    and a file and its copy are one. Raises ``UsageError``: a file that cannot be read, a row of
    another form.
    """
    whole: dict[tuple[str, str, str], LabelRow] = {}
    for path in paths:
        last: dict[tuple[str, str], LabelRow] = {}
        for number, row in enumerate(read_objects(path), 1):
            where = f"{path}, row {number}"
            try:
                key = str(row["instance_id"]), str(row["candidate"])
            except KeyError as error:
                raise UsageError(f"{where} is no row of `verify --json`: {error}") from None
            last[key] = LabelRow(path, where, key, row)
        whole |= {(*key, str(one.row.get("patch", ""))): one for key, one in last.items()}
    return list(whole.values())


def read_objects(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a .jsonl, .json or .csv, gzipped or not. Raises ``UsageError``."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}") from None
    name = path.name.removesuffix(".gz")
    if name.endswith(".csv"):
        reader = csv.DictReader(io.StringIO(text, newline=""))
        check_columns(list(reader.fieldnames or []), path)
        yield from reader
        return
    for where, piece in _json_values(text):
        try:
            found = json.loads(piece)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}{where} is no JSON: {error}") from None
        for row in found if isinstance(found, list) else [found]:
            if not isinstance(row, dict):
                raise UsageError(f"{path}{where} holds no objects")
            yield row


def _json_values(text: str) -> Iterator[tuple[str, str]]:
    """A list as a whole, else line by line."""
    if text.lstrip().startswith("["):
        yield "", text
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f":{number}", line
