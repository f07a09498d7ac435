"""Predictions files: every known form is read, and the one that all harnesses take is written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.records import Record

DIFF = re.compile(r"^(diff --git |--- [^\n]*\n\+\+\+ )", re.MULTILINE)


class Prediction(Record):
    """A patch that is handed in for an instance; the empty patch is a legal one."""

    instance_id: str
    patch: str = ""
    model: str = "swe-router"
    """What the file names as its maker."""

    @property
    def digest(self) -> str:
        """SHA-256 of the patch text."""
        return hashlib.sha256(encoded(self.patch)).hexdigest()


def encoded(patch: str) -> bytes:
    """A patch as bytes: what was no UTF-8 in the diff comes back as it was."""
    return patch.encode("utf-8", "surrogateescape")


def read(path: Path) -> list[Prediction]:
    """Predictions of a ``.json`` file (dict by id, or list) or a ``.jsonl`` file.

    Raises ``UsageError``: unreadable or malformed file, an entry without an id or a patch, a
    duplicate id, a patch that is not a diff.
    """
    seen: dict[str, str] = {}
    found = []
    for where, entry in _entries(path):
        prediction = _prediction(where, entry)
        name = prediction.instance_id
        if name in seen:
            raise UsageError(f"{name!r} is predicted twice: {seen[name]} and {where}")
        seen[name] = where
        found.append(prediction)
    if not found:
        raise UsageError(f"{path} holds no predictions")
    return found


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions as swebench's ``run_evaluation -p`` and sb-cli take them, in one piece.

    A ``.jsonl`` has one a line, anything else is an object by id (``preds.json``).
    """
    tree = {
        one.instance_id: {
            "model_name_or_path": one.model,
            "instance_id": one.instance_id,
            "model_patch": one.patch,
        }
        for one in predictions
    }
    text = json.dumps(tree, indent=2) + "\n"
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(entry) + "\n" for entry in tree.values())
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix not in (".json", ".jsonl"):
        raise UsageError(f"cannot read predictions from {path}: give a .json or .jsonl file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read predictions {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error}") from None
    if path.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{path}:{number}", _parsed(path, line, number)
        return
    tree = _parsed(path, text, 0)
    if isinstance(tree, list):
        yield from ((f"{path}: entry {number}", entry) for number, entry in enumerate(tree, 1))
    else:
        yield from _keyed(path, tree)


def _keyed(path: Path, tree: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, _Pairs):
        raise UsageError(f"{path} must hold a list of predictions or an object of them by id")
    for key, entry in tree.pairs:
        if not isinstance(entry, _Pairs):
            raise UsageError(f"{path}: {key!r} is not a prediction object")
        named = dict(entry.pairs).get("instance_id", key)
        if named != key:
            raise UsageError(f"{path}: the entry of {key!r} says instance_id {named!r}")
        yield f"{path}: {key}", _Pairs([*entry.pairs, ("instance_id", key)])


class _Pairs:
    """A JSON object that still knows a key that was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _parsed(path: Path, text: str, number: int) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        line = number or error.lineno
        raise UsageError(f"{path}:{line}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):  # nested without end, a number of 5000 digits
        raise UsageError(f"{path}: not a JSON text that can be read") from None


def _prediction(where: str, entry: Any) -> Prediction:
    if not isinstance(entry, _Pairs):
        raise UsageError(f"{where}: a prediction must be a JSON object")
    fields: Mapping[str, Any] = dict(entry.pairs)
    name = fields.get("instance_id")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{where}: the prediction has no instance_id")
    if "model_patch" not in fields:
        raise UsageError(f"{where}: the prediction for {name!r} has no model_patch")
    patch = fields["model_patch"]
    if patch is not None and not isinstance(patch, str):
        raise UsageError(f"{where}: the model_patch of {name!r} is not text")
    check_diff(name, patch or "", where)
    return Prediction(
        instance_id=name,
        patch=patch or "",
        model=str(fields.get("model_name_or_path") or "unnamed"),
    )


def check_diff(instance_id: str, patch: str, where: str) -> None:
    """Raise ``UsageError`` when a non-blank patch holds nothing that looks like a diff."""
    if patch.strip() and not DIFF.search(patch):
        start = patch.strip().splitlines()[0][:60]
        raise UsageError(
            f"{where}: the model_patch of {instance_id!r} is not a diff (it begins {start!r});"
            " give the output of git diff, or an empty text"
        )
