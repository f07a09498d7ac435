"""Features and texts of the issues of a table, where there are any, and honest gaps.

A policy that reads a text that was not given gets a ``UsageError`` that begins with "needs": its
row says so, and nothing is guessed from an empty text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from swe_router.errors import UsageError
from swe_router.features.leak_linter import check_no_leaks
from swe_router.outcomes.tables.table import OutcomeTable
from swe_router.records import Features


def repository_of(instance_id: str) -> str:
    """The repository that an id of SWE-bench names: ``owner__name-123`` is of ``owner/name``."""
    owner, found, rest = instance_id.partition("__")
    return f"{owner}/{rest.rpartition('-')[0] or rest}" if found else instance_id


def features_of_table(table: OutcomeTable, known: Iterable[Features]) -> tuple[Features, ...]:
    """Features of the table's issues, sorted by id; bare ones when nothing is known of any.

    Where something is known of some issues, the others are left out: a board is about one set.
    Raises ``UsageError`` for features that could carry the answer, or when none fits the table.
    """
    given = {one.instance_id: one for one in check_no_leaks(known, "features")}
    if not given:
        made = [Features(instance_id=i, repo=repository_of(i)) for i in table.instances]
    else:
        made = [given[i] for i in table.instances if i in given]
    if not made:
        raise UsageError("the issues (--split, --features) and the outcomes have none in common")
    return tuple(_with_gaps(one) for one in sorted(made, key=lambda one: one.instance_id))


def _with_gaps(one: Features) -> Features:
    """Features whose gaps are None: an empty text of a table is one that nobody gave."""
    return one.model_copy(update={"text": one.text or None, "values": one.values or None})


def has_texts(features: Sequence[Features]) -> bool:
    """Whether every issue has its text and its features."""
    return all(one.text and one.values for one in features)
