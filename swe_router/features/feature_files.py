"""A file of features: one JSON line per issue, without its text, written as each is made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swe_router import plain_values
from swe_router.errors import UsageError
from swe_router.features.leak_linter import check_no_leaks
from swe_router.records import Features, Instance

KEY = "key"
"""Field in addition to those of ``Features``: names the inputs (``extraction_steps.input_key``)."""


def read_features(path: Path, instances: Iterable[Instance] = ()) -> list[Features]:
    """The features of a file, in its order, with the texts of ``instances`` put in by id.

    Raises ``UsageError`` for a file that cannot be read, a row that is none, an issue that is
    there twice, and a feature that could carry the answer (``leaks``).
    """
    texts = {one.id: one.problem for one in instances}
    rows = check_no_leaks((features for features, _ in rows_of(path)), str(path))
    seen: set[str] = set()
    for one in rows:
        if one.instance_id in seen:
            raise UsageError(f"{path}: {one.instance_id} is there twice")
        seen.add(one.instance_id)
    return [one.model_copy(update={"text": texts.get(one.instance_id, one.text)}) for one in rows]


def rows_of(path: Path) -> list[tuple[Features, str]]:
    """The rows of a file, unjudged, each with the key of its inputs. Raises ``UsageError``."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read features from {path}: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(parse_row(line, f"{path}:{number}"))
    return found


def known_rows(path: Path) -> dict[str, tuple[Features, str]]:
    """Rows that an earlier call wrote, by instance; a line that a kill cut off is dropped."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    whole, _, torn = text.rpartition("\n")
    if torn:
        write_features(path, whole + "\n" if whole else "")
    return {features.instance_id: (features, key) for features, key in rows_of(path)}


def feature_line(features: Features, key: str) -> str:
    """One row as text, its newline included."""
    tree: dict[str, Any] = {KEY: key, **features.model_dump(mode="json", exclude={"text"})}
    return plain_values.json_text(tree, sort_keys=True) + "\n"


def write_features(path: Path, text: str) -> None:
    """Put ``text`` in the place of a file, all of it or nothing. Raises ``UsageError``."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def parse_row(text: str, where: str) -> tuple[Features, str]:
    """One line as features, with the key of their inputs. Raises ``UsageError`` at ``where``."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{where}: not valid JSON") from None
    if not isinstance(tree, Mapping):
        raise UsageError(f"{where}: a row must be a JSON object")
    fields = {name: value for name, value in tree.items() if name != KEY}
    try:
        return Features.model_validate(fields), str(tree.get(KEY, ""))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: no row of features: {at}: {first['msg']}") from None
