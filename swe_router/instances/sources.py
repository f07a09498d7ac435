"""What ``--split`` means: a name, file, folder or id of the hub, and which data set reads it.

Only this module sees whole rows. It gives the solving side the columns of the data set's
``question`` (``SplitSource.rows``); all others are for grading (``SplitSource.any_rows``).
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swe_router import plugins, suggest
from swe_router.datasets import Dataset, Row, SupportsFolders, SupportsRecognition
from swe_router.errors import UsageError
from swe_router.instances import files, rows, unknown
from swe_router.instances.rows import Hub, HubId
from swe_router.records import DATASET, Instance

FORMS = f"a {', '.join(files.SUFFIXES)} file, a folder, or a hub id as ORG/NAME[:CONFIG][@SPLIT]"


@dataclass(frozen=True)
class SplitSource:
    """A split that was found, and the data set that reads it (``datasets.Source``)."""

    label: str
    dataset: Dataset
    path: Path | None = None
    hub_id: HubId | None = None
    fetched: tuple[files.Placed, ...] = ()
    """Rows that were read already, to tell their form."""
    hub: Hub = rows.from_hub
    fixed: bool = False
    """The user named the data set."""
    plain: HubId | None = None
    """Configuration and split for a data set that makes its instances by itself."""

    @property
    def config(self) -> str:
        """Configuration on the hub; empty is the default."""
        where = self.hub_id or self.plain
        return where.config if where else ""

    @property
    def split(self) -> str:
        """Split on the hub; empty is the default."""
        where = self.hub_id or self.plain
        return where.split if where else ""

    def instances(self) -> list[Instance]:
        """Every instance, as the data set reads it.

        Raises ``UsageError``, also for a data set that gives no instances, or two of one id.
        """
        try:
            found = list(self.dataset.load(self))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"data set {self.dataset.name!r} makes an instance whose {where} is none:"
                f" {first['msg']} ({str(first['input'])[:80]!r})"
            ) from None
        if not found:
            raise UsageError(f"split {self.label!r} has no rows")
        seen: set[str] = set()
        for one in found:
            if not isinstance(one, Instance):
                raise UsageError(
                    f"data set {self.dataset.name!r} gives a {type(one).__name__} and no"
                    " swe_router.records.Instance"
                )
            if one.id in seen:
                raise UsageError(f"split {self.label!r} holds {one.id!r} twice")
            seen.add(one.id)
        return [
            one.model_copy(update={"dataset": self.dataset.name, "suite": one.suite or self.label})
            for one in found
        ]

    def rows(self, columns: Sequence[str]) -> list[Row]:
        """See ``datasets.Source.rows``."""
        secret = [name for name in columns if name not in self.dataset.question]
        if secret:
            raise UsageError(
                f"data set {self.dataset.name!r} asks for {', '.join(secret)}, which its `question`"
                " does not name: only a grader may read other columns"
            )
        return self.any_rows(columns)

    def any_rows(self, columns: Sequence[str]) -> list[Row]:
        """Every row, cut to any columns: for grading."""
        found = []
        for place, whole in self._whole():
            row = Row({name: whole.get(name) for name in columns})
            row.place = place
            found.append(row)
        return found

    def _whole(self) -> Sequence[files.Placed]:
        found = self.fetched or _fetched(self.path, self.hub_id, self.hub)
        if not found:
            raise UsageError(f"split {self.label!r} has no rows")
        for place, row in found:
            missing = [name for name in self.dataset.marks if name not in row]
            if missing:
                what = (
                    "give a file that has all of its columns"
                    if self.fixed
                    else unknown.describe_unknown_row(row, named=self.path is None)
                )
                raise UsageError(
                    f"split {self.label!r} lacks {', '.join(missing)} ({place}), which every row"
                    f" of {self.dataset.name} has: {what}"
                )
        return found


def _fetched(
    path: Path | None, hub_id: HubId | None, hub: Hub = rows.from_hub
) -> tuple[files.Placed, ...]:
    if path is not None:
        return tuple(files.read_rows(path))
    if hub_id is not None:
        found = hub(_written(hub_id))
        return tuple((f"row {number}", row) for number, row in enumerate(found, 1))
    return ()


def _written(one: HubId) -> str:
    return (
        one.name + (f":{one.config}" if one.config else "") + (f"@{one.split}" if one.split else "")
    )


@functools.cache
def _made(name: str) -> Dataset:
    kind = plugins.load_plugin("datasets", name)
    made = kind() if callable(kind) else kind
    if not isinstance(made, Dataset):
        lacks = [key for key in DATASET_PARTS if not hasattr(made, key)]
        raise UsageError(
            f"data set {name!r} ({kind!r}) is none: it lacks {', '.join(lacks)}"
            " (swe_router.datasets.Dataset)"
        )
    return made


DATASET_PARTS = ("name", "splits", "grader", "marks", "question", "load")


def all_datasets() -> Iterator[Dataset]:
    """Every data set: our own first, then those of other packages."""
    own = plugins.BUILT_IN["datasets"]
    yield from map(_made, own)
    for name in plugins.plugin_names("datasets"):
        if name not in own:
            with contextlib.suppress(UsageError):  # one that is broken keeps nobody from the others
                yield _made(name)


def dataset_named(name: str) -> Dataset:
    """The data set of this name. Raises ``UsageError`` with the nearest right one."""
    return _made(name)


def locate_split(text: str, dataset_reader: str = "", *, hub: Hub | None = None) -> SplitSource:
    """The origin that ``text`` names, read by ``dataset_reader`` or by the one that knows it.

    In this order: the name of a split, ``NAME[:config][@split]`` of a data set, a file or folder,
    an id of the hub. Raises ``UsageError`` with what there is and the nearest right name.
    """
    hub = hub or rows.from_hub
    fixed = dataset_named(dataset_reader) if dataset_reader else None
    for one in (fixed,) if fixed else all_datasets():
        if text in one.splits:
            return _of_name(text, one, one.splits[text], hub)
    head, _, _ = text.partition("@")
    name = head.partition(":")[0]
    if name in plugins.plugin_names("datasets") and "/" not in name:
        return _of_dataset(text, dataset_named(name), hub)
    path = Path(text).expanduser()
    # os.path: a name that is too long for the file system is no file, and no error either.
    if text and (path.suffix.lower() in files.SUFFIXES or os.path.exists(path)):  # noqa: PTH110
        return _of_path(text, path, fixed, hub)
    wanted = HubId.parsed(text)
    if wanted is not None:
        return _of_hub(text, wanted, fixed, hub)
    raise UsageError(_nothing(text))


def _of_name(text: str, one: Dataset, place: str, hub: Hub) -> SplitSource:
    if not place:
        return SplitSource(text, one, hub=hub, plain=HubId(text))
    wanted = None if Path(place).is_absolute() else HubId.parsed(place)
    if wanted is None:
        return SplitSource(text, one, path=Path(place), hub=hub)
    return SplitSource(text, one, hub_id=wanted, hub=hub)


def _of_dataset(text: str, one: Dataset, hub: Hub) -> SplitSource:
    """``NAME[:config][@split]``: the data set's only place, in that configuration and split."""
    head, _, split = text.partition("@")
    config = head.partition(":")[2]
    places = sorted({HubId.parsed(place) for place in one.splits.values()} - {None}, key=str)
    if not places:
        return SplitSource(text, one, hub=hub, plain=HubId(one.name, config, split))
    names = {place.name for place in places if place is not None}
    if len(names) > 1:
        raise UsageError(f"data set {one.name!r} has several splits: say {', '.join(one.splits)}")
    first = places[0]
    assert first is not None
    wanted = HubId(first.name, config or first.config, split or first.split)
    return SplitSource(text, one, hub_id=wanted, hub=hub)


def _of_path(text: str, path: Path, fixed: Dataset | None, hub: Hub) -> SplitSource:
    if path.is_dir():
        one = fixed or next(
            (one for one in all_datasets() if isinstance(one, SupportsFolders) and one.reads(path)),
            None,
        )
        if one is None:
            raise UsageError(
                f"cannot read instances from {path}: it is a folder of no form that is known here;"
                f" give a {', '.join(files.SUFFIXES)} file, or say --dataset NAME"
            )
        return SplitSource(text, one, path=path, hub=hub)
    if fixed is not None:
        return SplitSource(text, fixed, path=path, hub=hub, fixed=True)
    found = _fetched(path, None)
    return SplitSource(text, _recognised(text, found), path=path, fetched=found, hub=hub)


def _of_hub(text: str, wanted: HubId, fixed: Dataset | None, hub: Hub) -> SplitSource:
    one = fixed or _claiming(wanted)
    if one is not None:
        place = next(
            (known for known in map(HubId.parsed, one.splits.values())
             if known is not None and known.name.lower() == wanted.name.lower()), wanted,
        )  # fmt: skip
        wanted = HubId(wanted.name, wanted.config or place.config, wanted.split or place.split)
        return SplitSource(text, one, hub_id=wanted, hub=hub)
    try:
        found = _fetched(None, wanted, hub)
    except UsageError as error:
        raise UsageError(f"{error}{_near_id(wanted)}") from None
    return SplitSource(text, _recognised(text, found), hub_id=wanted, fetched=found, hub=hub)


def _near_id(wanted: HubId) -> str:
    """The id of a data set that was probably meant in the place of one that the hub lacks."""
    places = (place for one in all_datasets() for place in one.splits.values())
    known = {one.name for one in map(HubId.parsed, places) if one is not None}
    return suggest.did_you_mean_hint(wanted.name, sorted(known), min_ratio=0.8)


def _claiming(wanted: HubId) -> Dataset | None:
    """The data set that names this id of the hub among its splits."""
    for one in all_datasets():
        for place in one.splits.values():
            known = HubId.parsed(place)
            if known is not None and known.name.lower() == wanted.name.lower():
                return one
    return None


def _recognised(label: str, found: Sequence[files.Placed]) -> Dataset:
    """The data set whose marks the first row has; the one with the most marks.

    Rows of no known form are read as SWE-bench's, whose error says what they lack.
    """
    if not found:
        raise UsageError(f"split {label!r} has no rows")
    row: Mapping[str, Any] = found[0][1]
    fitting = [one for one in all_datasets() if _fits(one, row)]
    if not fitting:
        return dataset_named(DATASET)
    most = max(len(one.marks) for one in fitting)
    best = [one for one in fitting if len(one.marks) == most]
    if len(best) > 1:
        names = ", ".join(one.name for one in best)
        raise UsageError(
            f"the rows of {label!r} fit several data sets ({names}): say which by --dataset NAME"
        )
    return best[0]


def _fits(one: Dataset, row: Mapping[str, Any]) -> bool:
    if not one.marks or not all(mark in row for mark in one.marks):
        return False
    if isinstance(one, SupportsRecognition):
        return one.recognises(Row({name: row.get(name) for name in one.question}))
    return True


def _nothing(text: str) -> str:
    known = [name for one in all_datasets() for name in one.splits if "/" not in name]
    known += [name for name in plugins.plugin_names("datasets") if name not in known]
    hint = suggest.did_you_mean_hint(text.lower(), known)
    broken = "".join(f"; {fault}" for fault in _broken())
    there = f"there is {', '.join(known)}, or give {FORMS}"
    # The nearest name goes before the list, which is long.
    return f"no split named {text[:80]!r}{f'{hint} Else' if hint else ':'} {there}{broken}"


def _broken() -> Iterator[str]:
    """Why data sets of other packages cannot be asked."""
    for name in plugins.plugin_names("datasets"):
        try:
            _made(name)
        except UsageError as error:
            yield str(error)
