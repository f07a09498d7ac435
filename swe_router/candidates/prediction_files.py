"""Predictions files of every known form, entry by entry, each with the place it stands at."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.records import checked_name

DIFF = re.compile(r"^(diff --git |--- [^\n]*\n\+\+\+ )", re.MULTILINE)
FORMS = (".json", ".jsonl", ".pred")
"""``.pred`` is what SWE-agent leaves of one instance: one prediction object."""


class Pairs:
    """A JSON object that still knows a key that was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and value of each entry of a predictions file.

    ``.json`` and ``.pred`` hold an object by id, a list or one prediction, ``.jsonl`` one per line.

    Either may be gzipped (``.json.gz``). Objects come as ``Pairs``. Raises ``UsageError`` that
    names the file and the line.
    """
    form = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if form not in FORMS:
        raise UsageError(f"cannot read predictions from {path}: give a .json, .jsonl or .pred file")
    text = _text(path)
    if form == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{path}:{number}", _parsed(path, line, number)
        return
    tree = _parsed(path, text, 0)
    if isinstance(tree, list):
        yield from ((f"{path}: entry {number}", entry) for number, entry in enumerate(tree, 1))
    elif isinstance(tree, Pairs) and {"instance_id", "model_patch"} <= dict(tree.pairs).keys():
        yield str(path), tree
    else:
        yield from _keyed(path, tree)


def patch_of(where: str, entry: Any, *, diff: bool = True) -> tuple[str, str, dict[str, Any]]:
    """Instance id, patch (empty for none) and all fields of an entry.

    Raises ``UsageError``: no object, no id, no patch, and unless ``diff`` is false a patch that is
    not a diff.
    """
    if not isinstance(entry, Pairs):
        raise UsageError(f"{where}: a prediction must be a JSON object")
    fields = dict(entry.pairs)
    name = fields.get("instance_id")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{where}: the prediction has no instance_id")
    try:
        checked_name(name)
    except ValueError as error:
        raise UsageError(f"{where}: the instance_id {error}") from None
    if "model_patch" not in fields:
        raise UsageError(f"{where}: the prediction for {name!r} has no model_patch")
    patch = fields["model_patch"]
    if patch is not None and not isinstance(patch, str):
        raise UsageError(f"{where}: the model_patch of {name!r} is not text")
    if diff:
        check_diff(name, patch or "", where)
    return name, patch or "", fields


def check_text(where: str, *texts: str) -> None:
    """Raise ``UsageError`` for half a surrogate pair, which JSON can spell and no file can hold.

    Those that stand for a byte that is no UTF-8 (``surrogateescape``) can be written.
    """
    for text in texts:
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise UsageError(
                f"{where}: half a surrogate pair (\\u{ord(half):04x}) can be written to no file"
            ) from None


def check_diff(instance_id: str, patch: str, where: str) -> None:
    """Raise ``UsageError`` when a non-blank patch holds nothing that looks like a diff."""
    if not may_be_diff(patch):
        start = patch.strip().splitlines()[0][:60]
        raise UsageError(
            f"{where}: the model_patch of {instance_id!r} is not a diff (it begins {start!r});"
            " give the output of git diff, or an empty text"
        )


def may_be_diff(patch: str) -> bool:
    """Whether a patch is blank or holds something that looks like a diff."""
    return not patch.strip() or bool(DIFF.search(patch))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read predictions {path}: {reason}") from None


def _keyed(path: Path, tree: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, Pairs):
        raise UsageError(f"{path} must hold a list of predictions or an object of them by id")
    for key, entry in tree.pairs:
        if not isinstance(entry, Pairs):
            raise UsageError(f"{path}: {key!r} is not a prediction object")
        named = dict(entry.pairs).get("instance_id", key)
        if named != key:
            raise UsageError(f"{path}: the entry of {key!r} says instance_id {named!r}")
        yield f"{path}: {key}", Pairs([*entry.pairs, ("instance_id", key)])


def _parsed(path: Path, text: str, number: int) -> Any:
    try:
        return json.loads(text, object_pairs_hook=Pairs)
    except json.JSONDecodeError as error:
        line = number or error.lineno
        raise UsageError(f"{path}:{line}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):  # nested without end, a number of 5000 digits
        raise UsageError(f"{path}: not a JSON text that can be read") from None
