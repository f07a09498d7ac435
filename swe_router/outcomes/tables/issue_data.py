"""What is told of the issues of a table: features and texts where there are any, and honest gaps.

A policy that asks for a text that nobody gave gets a ``UsageError`` that begins with "needs": its
row says so, and nothing is guessed from an empty text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from swe_router.errors import UsageError
from swe_router.features.leak_linter import check_no_leaks
from swe_router.outcomes.tables.table import OutcomeTable
from swe_router.records import Features

TEXTS = "needs issue texts (--split S)"
VALUES = "needs issue texts or features (--split S or --features FILE)"


class _Unknown(Mapping[str, float]):
    """No feature at all: whoever asks with a default of NaN can do without, all others cannot."""

    def __getitem__(self, name: str) -> float:
        raise UsageError(VALUES)

    def get(self, name: str, default: Any = None) -> Any:
        """The default, when it says "unknown" itself."""
        if isinstance(default, float) and math.isnan(default):
            return default
        raise UsageError(VALUES)

    def __contains__(self, name: object) -> bool:
        raise UsageError(VALUES)

    def __iter__(self) -> Iterator[str]:
        raise UsageError(VALUES)

    def __len__(self) -> int:
        raise UsageError(VALUES)


_UNKNOWN = _Unknown()


class TextlessFeatures(Features):
    """Features of an issue whose text, or whose every feature, is not known."""

    def __getattribute__(self, name: str) -> Any:
        """As stored; raises ``UsageError`` for a text or features that are not there."""
        found = super().__getattribute__(name)
        if name == "text" and not found:
            raise UsageError(TEXTS)
        return _UNKNOWN if name == "values" and not found else found


def text_of(features: Features) -> str:
    """The text as stored, empty when unknown: for records, never for decisions."""
    return str(vars(features).get("text", ""))


def repository(instance_id: str) -> str:
    """The repository that an id of SWE-bench names: ``owner__name-123`` is of ``owner/name``."""
    owner, found, rest = instance_id.partition("__")
    return f"{owner}/{rest.rpartition('-')[0] or rest}" if found else instance_id


def gathered(table: OutcomeTable, known: Iterable[Features]) -> tuple[Features, ...]:
    """Features of the table's issues, sorted by id; bare ones when nothing is known of any.

    Where something is known of some issues, the others are left out: a board is about one set.
    Raises ``UsageError`` for features that could carry the answer, or when none fits the table.
    """
    given = {one.instance_id: one for one in check_no_leaks(known, "features")}
    if not given:
        made = [Features(instance_id=i, repo=repository(i)) for i in table.instances]
    else:
        made = [given[i] for i in table.instances if i in given]
    if not made:
        raise UsageError("the issues (--split, --features) and the outcomes have none in common")
    return tuple(_honest(one) for one in sorted(made, key=lambda one: one.instance_id))


def _honest(one: Features) -> Features:
    return one if one.text and one.values else TextlessFeatures.model_validate(one.model_dump())


def has_texts(features: Sequence[Features]) -> bool:
    """Whether every issue has its text and its features."""
    return not any(isinstance(one, TextlessFeatures) for one in features)
