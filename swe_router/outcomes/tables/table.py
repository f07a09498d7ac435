"""The one tidy schema of outcome tables: a row is one run of one system on one instance."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from swe_router import plain_values
from swe_router.errors import UsageError


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One run. What is unknown is None; an unknown cost is never 0."""

    instance_id: str
    system: str
    """What was run: model and scaffold; the arm of a policy."""
    resolved: bool
    """The official verdict."""
    run: str = "1"
    """Tells independent repeats of a system on an instance apart."""
    model: str = ""
    usd: float | None = None
    """USD of the whole run."""
    input_tokens: int | None = None
    """Fresh input tokens."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    """Reasoning included."""
    steps: int | None = None
    """Model calls."""
    seconds: float | None = None
    """Wall seconds."""
    verdict: str = ""
    """``pass``, ``fail``, ``unknown`` or empty: of a verifier without the answer key."""
    price_date: str = ""
    """Day of the price table behind ``usd``; empty when it was billed or is unknown."""
    probability: float | None = None
    """Acceptance probability that the verifiers gave the patch, in [0, 1]."""


COLUMNS = tuple(one.name for one in fields(OutcomeRow))
_INTEGER_COLUMNS = frozenset(
    ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "steps")
)
_NUMBER_COLUMNS = frozenset(("usd", "seconds", "probability"))
_TRUE, _FALSE = frozenset(("1", "true", "yes", "1.0")), frozenset(("0", "false", "no", "0.0"))


@dataclass(frozen=True)
class OutcomeTable:
    """Rows in the order in which they were read; (instance, system, run) is unique."""

    rows: tuple[OutcomeRow, ...]
    source: str = ""
    """Where it came from, for messages and the board."""

    @cached_property
    def instances(self) -> tuple[str, ...]:
        """Instance ids, in order of first mention."""
        return tuple(dict.fromkeys(row.instance_id for row in self.rows))

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """Systems, in order of first mention."""
        return tuple(dict.fromkeys(row.system for row in self.rows))

    @cached_property
    def runs(self) -> Mapping[tuple[str, str], tuple[OutcomeRow, ...]]:
        """(instance, system) -> its runs, in order of their name."""
        found: dict[tuple[str, str], list[OutcomeRow]] = {}
        for row in self.rows:
            found.setdefault((row.instance_id, row.system), []).append(row)
        return {
            key: tuple(sorted(rows, key=lambda r: _natural_order(r.run)))
            for key, rows in found.items()
        }

    def system_named(self, word: str) -> str:
        """The system of this name, or the only one that contains it.

        Raises ``UsageError`` that names the systems that there are.
        """
        if word in self.systems:
            return word
        like = [name for name in self.systems if word.casefold() in name.casefold()]
        if len(like) == 1:
            return like[0]
        there = ", ".join(like or self.systems)
        what = "names more than one system" if like else "is no system of the outcomes"
        raise UsageError(f"{word!r} {what}: there is {there}")


def _natural_order(run: str) -> tuple[int, str]:
    return (int(run) if run.isdigit() else 1 << 30, run)


def read_tidy_table(path: Path) -> OutcomeTable:
    """A table in this schema (.csv or .csv.gz); columns beyond it are passed over.

    Raises ``UsageError`` that names the file, the line and what is wrong with it.
    """
    names, lines = text_cells(path)
    missing = [name for name in ("instance_id", "system", "resolved") if name not in names]
    if missing:
        found = ", ".join(names) or "nothing"
        raise UsageError(
            f"{path} has no column {', '.join(missing)} (found: {found});"
            " `swe-router outcomes import` reads other forms"
        )
    return OutcomeTable(tuple(parse_rows(lines, str(path))), str(path))


def text_cells(path: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """Column names and text cells of a .csv or .csv.gz; ``UsageError`` when it is none."""
    if not path.is_file():
        raise UsageError(f"there is no outcome table {path}")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
        csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
        reader = csv.DictReader(io.StringIO(text, newline=""))
        names = list(reader.fieldnames or [])
        check_columns(names, path)
        return names, list(reader)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a table: {error}") from None


def check_columns(names: Sequence[str], path: Path) -> None:
    """Raise ``UsageError`` for a column that stands twice: only one of the two would be read."""
    if names and names[0].lstrip().startswith(("{", "[")):
        return  # it is JSON, which its reader says
    plain = [name.strip().casefold() for name in names]
    twice = sorted({name.strip() for name in names
                    if name.strip() and plain.count(name.strip().casefold()) > 1})  # fmt: skip
    if twice:
        raise UsageError(
            f"{path} has the column {', '.join(map(repr, twice[:3]))} twice: which one counts is"
            " unclear; rename or remove the other"
        )


def parse_rows(lines: Iterable[Mapping[str, str | None]], where: str) -> Iterator[OutcomeRow]:
    """Rows of text cells; raises ``UsageError`` with place and cell."""
    seen: set[tuple[str, str, str]] = set()
    for number, line in enumerate(lines, 2):
        row = parse_row(line, f"{where}:{number}")
        key = (row.instance_id, row.system, row.run)
        if key in seen:
            raise UsageError(
                f"{where}:{number} has {row.instance_id}, {row.system}, run {row.run} again;"
                " number repeats in a column `run`, or remove one"
            )
        seen.add(key)
        yield row


def parse_row(line: Mapping[str, str | None], where: str) -> OutcomeRow:
    """A row from its text cells by column; raises ``UsageError`` with place and cell."""
    cells: dict[str, object] = {}
    for name in COLUMNS:
        cell = (line.get(name) or "").strip()
        if name == "resolved":
            if cell.casefold() not in _TRUE | _FALSE:
                raise UsageError(f"{where}: resolved is {cell[:60]!r}, not 0 or 1")
            cells[name] = cell.casefold() in _TRUE
        elif cell and name in _INTEGER_COLUMNS | _NUMBER_COLUMNS:
            cells[name] = _parse_number(cell, name, where)
        elif cell:
            cells[name] = cell
    for name in ("instance_id", "system"):
        if name not in cells:
            raise UsageError(f"{where}: {name} is empty")
    return OutcomeRow(**cells)  # type: ignore[arg-type]


def _parse_number(cell: str, name: str, where: str) -> int | float:
    try:
        value = float(cell)
    except ValueError:
        raise UsageError(f"{where}: {name} is {cell[:60]!r}, not a number") from None
    if not 0 <= value < float("inf"):
        raise UsageError(f"{where}: {name} is {cell}, which is no amount")
    if name == "probability" and value > 1:
        raise UsageError(f"{where}: probability is {cell}, more than 1")
    return round(value) if name in _INTEGER_COLUMNS else value


def write_table(table: OutcomeTable, path: Path) -> None:
    """The table as .csv or .csv.gz (the latter with no time in it: same rows, same bytes).

    Raises ``UsageError`` when the file cannot be written.
    """
    data = plain_values.csv_table(COLUMNS, map(plain_values.as_plain, table.rows)).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
