"""What a data set that comes as rows needs: its columns, and how one row becomes an Instance."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.datasets import Row, Source
from swe_router.errors import UsageError
from swe_router.records import Instance

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
"""Instance ids name folders and containers, so nothing else will do."""
COMMIT = re.compile(r"[0-9a-f]{7,64}")


class RowDataset:
    """Base of a data set of rows (``datasets.Dataset``): only ``instance`` must be written."""

    name: str
    grader: str
    marks: Sequence[str] = ()
    question: Sequence[str]

    @property
    def splits(self) -> Mapping[str, str]:
        """See ``datasets.Dataset``; a class may set a mapping instead."""
        return {}

    def load(self, source: Source) -> list[Instance]:
        """Every instance, its id checked. Raises ``UsageError`` that names the row."""
        seen: dict[str, str] = {}
        found = []
        for row in source.rows(self.question):
            name = checked_id(row, self.identifier(row))
            if name in seen:
                raise UsageError(
                    f"split {source.label!r} holds {name!r} twice ({seen[name]} and {row.place});"
                    " remove one of the two"
                )
            seen[name] = row.place
            made = self.instance(row, source.label)
            found.append(made.model_copy(update={"id": name, "suite": source.label}))
        return found

    def identifier(self, row: Row) -> Any:
        """The row's id; ``load`` checks its form."""
        return row.get("instance_id")

    def instance(self, row: Row, label: str) -> Instance:
        """The instance of one row. Raises ``UsageError`` for a row without its question."""
        raise NotImplementedError


def checked_id(row: Row, name: Any) -> str:
    """An id that can name a folder. Raises ``UsageError`` for any other."""
    if not isinstance(name, str) or not name:
        raise UsageError(f"{row.place}: the row has no instance_id; every row needs one")
    if not ID.fullmatch(name):
        raise UsageError(
            f"{row.place}: instance_id {name[:80]!r} must consist of letters, digits, '_', '.' and"
            " '-', 200 at most"
        )
    return name


def required_text(row: Row, column: str, name: str, label: str) -> str:
    """A text that the row must have. Raises ``UsageError`` that names instance and column."""
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"instance {name!r} of {label!r} has no {column}; every row needs one")
    # A lone surrogate (JSON may spell one) is no text that a model or a file could be given.
    return value.encode("utf-8", "replace").decode("utf-8")


def checked_commit(row: Row, column: str, name: str, label: str) -> str:
    """A commit id. Raises ``UsageError`` for anything else."""
    value = required_text(row, column, name, label)
    if not COMMIT.fullmatch(value.strip().lower()):
        raise UsageError(
            f"instance {name!r} of {label!r}: {column} {value!r} is"
            " no commit id (7 to 64 hexadecimal digits)"
        )
    return value.strip().lower()


def optional_text(row: Row, column: str) -> str:
    """A text that the row may lack: empty for None."""
    value = row.get(column)
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")


def string_list(row: Row, column: str) -> tuple[str, ...]:
    """A list of texts: a list, or one written as JSON or Python text; empty for None and ''.

    Raises ``UsageError`` for anything else.
    """
    value = row.get(column)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = parsed_text(value)
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{row.place}: {column} is not a list of texts")
    return tuple(value)


def parsed_text(value: str) -> Any:
    """The value that a text of JSON or of a Python literal spells; None for any other text."""
    try:
        return json.loads(value)
    except ValueError:
        pass
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def with_sections(problem: str, sections: Mapping[str, str]) -> str:
    """The issue text, and below it each section that is not empty, under its heading."""
    parts = [problem.rstrip()]
    parts += [f"## {name}\n\n{body.strip()}" for name, body in sections.items() if body.strip()]
    return "\n\n".join(parts) if len(parts) > 1 else problem
