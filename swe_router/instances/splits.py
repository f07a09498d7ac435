"""A split by name or path, narrowed to the instances that are asked for."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from swe_router import suggest
from swe_router.errors import UsageError
from swe_router.instances import sources
from swe_router.instances.rows import Hub
from swe_router.records import Instance

SLICE = re.compile(r"\s*(-?\d{1,18})?\s*:\s*(-?\d{1,18})?\s*")


def load_instances(
    split: str,
    *,
    dataset_reader: str = "",
    ids: Sequence[str] = (),
    filter: str = "",  # noqa: A002 (the name of the option)
    slice: str = "",  # noqa: A002
    shuffle: bool = False,
    seed: int = 0,
    hub: Hub | None = None,
) -> list[Instance]:
    """Instances of ``split``, anything that ``sources.locate_split`` takes.

    ``dataset_reader``: name of the ``datasets.Dataset`` that reads it; empty finds the one that
    knows it. Narrowed in this order: ``ids``, then ``filter`` (a regular expression searched in
    the id), then ``shuffle`` by ``seed``, then ``slice`` (``A:B`` as Python takes it). Raises
    ``UsageError`` for anything it cannot do, an empty selection included.
    """
    found = sources.locate_split(split, dataset_reader, hub=hub).instances()
    return narrow_instances(
        found, split, ids=ids, filter=filter, slice=slice, shuffle=shuffle, seed=seed
    )


def narrow_instances(
    found: Sequence[Instance],
    split: str,
    *,
    ids: Sequence[str] = (),
    filter: str = "",  # noqa: A002
    slice: str = "",  # noqa: A002
    shuffle: bool = False,
    seed: int = 0,
) -> list[Instance]:
    """Those of ``found`` that are asked for; see ``load_instances``."""
    chosen = _select_by_id(found, ids, split)
    chosen = [one for one in chosen if _compile_filter(filter).search(one.id)]
    if shuffle:
        random.Random(seed).shuffle(chosen)  # noqa: S311 (an order to work in, not a secret)
    chosen = chosen[_parse_slice(slice)]
    if not chosen:
        asked = " ".join(f"--{name} {text}" for name, text in _given_options(ids, filter, slice))
        raise UsageError(f"none of the {len(found)} instances of {split!r} is left after {asked}")
    return chosen


def _given_options(ids: Sequence[str], pattern: str, cut: str) -> list[tuple[str, str]]:
    given = (("instances", " ".join(ids)), ("filter", pattern), ("slice", cut))
    return [(name, text) for name, text in given if text]


def _select_by_id(found: Sequence[Instance], ids: Sequence[str], split: str) -> list[Instance]:
    known = [one.id for one in found]
    for name in ids:
        if name not in known:
            hint = suggest.did_you_mean_hint(name, known)
            raise UsageError(
                f"split {split!r} has no instance {name!r} among its {len(known)}{hint}"
            )
    return [one for one in found if not ids or one.id in ids]


def _compile_filter(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"--filter {text!r} is not a regular expression: {error}") from None


def _parse_slice(text: str) -> slice:
    if not text:
        return slice(None)
    match = SLICE.fullmatch(text)
    if match is None:
        raise UsageError(f"--slice {text!r}: write it as A:B, for example 0:10 or -5:")
    start, stop = match.groups()
    return slice(int(start) if start else None, int(stop) if stop else None)
