"""A split by name or path, narrowed to the instances that are asked for."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router import suggest
from swe_router.errors import UsageError
from swe_router.instances import rows
from swe_router.records import Instance

QUESTION = ("instance_id", "repo", "base_commit", "problem_statement", "image")
"""All columns that may reach the solving side."""

SLICE = re.compile(r"\s*(-?\d{1,18})?\s*:\s*(-?\d{1,18})?\s*")
COMMIT = re.compile(r"[0-9a-f]{7,64}")


def load(
    split: str,
    *,
    ids: Sequence[str] = (),
    filter: str = "",  # noqa: A002 (the name of the option)
    slice: str = "",  # noqa: A002
    shuffle: bool = False,
    seed: int = 0,
    hub: rows.Hub | None = None,
) -> list[Instance]:
    """Instances of ``split`` (demo, lite, verified, full, multilingual, or a file).

    Narrowed in this order: ``ids``, then ``filter`` (a regular expression searched in the id),
    then ``shuffle`` by ``seed``, then ``slice`` (``A:B`` as Python takes it). Raises
    ``UsageError`` for anything it cannot do, an empty selection included.
    """
    found = [_instance(row, split) for row in rows.read(split, QUESTION, hub=hub)]
    return narrow(found, split, ids=ids, filter=filter, slice=slice, shuffle=shuffle, seed=seed)


def narrow(
    found: Sequence[Instance],
    split: str,
    *,
    ids: Sequence[str] = (),
    filter: str = "",  # noqa: A002
    slice: str = "",  # noqa: A002
    shuffle: bool = False,
    seed: int = 0,
) -> list[Instance]:
    """Those of ``found`` that are asked for; see ``load``."""
    chosen = _by_id(found, ids, split)
    chosen = [one for one in chosen if _pattern(filter).search(one.id)]
    if shuffle:
        random.Random(seed).shuffle(chosen)  # noqa: S311 (an order to work in, not a secret)
    chosen = chosen[_cut(slice)]
    if not chosen:
        asked = " ".join(f"--{name} {text}" for name, text in _asked(ids, filter, slice))
        raise UsageError(f"none of the {len(found)} instances of {split!r} is left after {asked}")
    return chosen


def _asked(ids: Sequence[str], pattern: str, cut: str) -> list[tuple[str, str]]:
    given = (("instances", " ".join(ids)), ("filter", pattern), ("slice", cut))
    return [(name, text) for name, text in given if text]


def _instance(row: Mapping[str, Any], split: str) -> Instance:
    for name in ("repo", "base_commit", "problem_statement"):
        if not isinstance(row[name], str) or not row[name].strip():
            raise UsageError(
                f"instance {row['instance_id']!r} of {split!r} has no {name};"
                " every row needs instance_id, repo, base_commit and problem_statement"
            )
    commit = row["base_commit"].strip().lower()
    if not COMMIT.fullmatch(commit):
        raise UsageError(
            f"instance {row['instance_id']!r} of {split!r}: base_commit {row['base_commit']!r} is"
            " no commit id (7 to 64 hexadecimal digits)"
        )
    return Instance(
        id=row["instance_id"],
        repo=row["repo"],
        base_commit=commit,
        # A lone surrogate (JSON may spell one) is no text that a model or a file could be given.
        problem=row["problem_statement"].encode("utf-8", "replace").decode("utf-8"),
        image=str(row["image"] or ""),
        suite=split,
    )


def _by_id(found: Sequence[Instance], ids: Sequence[str], split: str) -> list[Instance]:
    known = [one.id for one in found]
    for name in ids:
        if name not in known:
            hint = suggest.hint(name, known)
            raise UsageError(
                f"split {split!r} has no instance {name!r} among its {len(known)}{hint}"
            )
    return [one for one in found if not ids or one.id in ids]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"--filter {text!r} is not a regular expression: {error}") from None


def _cut(text: str) -> slice:
    if not text:
        return slice(None)
    match = SLICE.fullmatch(text)
    if match is None:
        raise UsageError(f"--slice {text!r}: write it as A:B, for example 0:10 or -5:")
    start, stop = match.groups()
    return slice(int(start) if start else None, int(stop) if stop else None)
