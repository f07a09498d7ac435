"""Official results, and the verdicts of ``verify``, one row each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router.records import Grade
from swe_router.reports.run_text import STANDING_STYLES
from swe_router.reports.sentences import resolved_by_gold
from swe_router.reports.view_parts import View, folding_table

VERDICT_STYLE = {"pass": "green", "fail": "red", "unknown": "yellow"}


def grades_view(
    grades: Mapping[str, Grade], gold_outcomes: Mapping[str, str] | None = None
) -> View:
    """A table of official results by instance, and how many of each.

    ``gold_outcomes``: as in ``resolved_by_gold``, for a data set that counts by them.
    """
    table = folding_table("instance", "outcome", "evidence")
    for name, grade in grades.items():
        why = str(grade.evidence.get("reason", grade.evidence))[:200]
        doubt = next(iter(grade.doubt), "")
        why += f"; doubt: {doubt[:200]}" if doubt else ""
        table.add_row(name, Text(grade.outcome, STANDING_STYLES[grade.outcome]), Text(why))
    counts = Counter(grade.outcome for grade in grades.values())
    total = ", ".join(f"{n} {name}" for name, n in counts.items())
    doubted = sum(bool(grade.doubt) for grade in grades.values())
    total += f"; the runner's own record contradicts {doubted} of them" if doubted else ""
    lines = [total] + ([] if gold_outcomes is None else [resolved_by_gold(grades, gold_outcomes)])
    return Group(table, Text("\n".join(lines), "bold"))


def verdicts_view(rows: Sequence[Mapping[str, Any]]) -> View:
    """A table of the rows of ``verify``, one per candidate, and how many of each verdict."""
    table = Table(box=None, pad_edge=False)
    for name in ("instance", "candidate", "outcome", "P(right)", "seconds", "why"):
        right = name in {"P(right)", "seconds"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        chance = row["probability"]
        table.add_row(
            row["instance_id"],
            row["candidate"],
            Text(row["outcome"], VERDICT_STYLE[row["outcome"]]),
            "" if chance is None else f"{chance:.2f}",
            f"{row['seconds']:.1f}",
            row["why"],
        )
    counts = {name: sum(row["outcome"] == name for row in rows) for name in VERDICT_STYLE}
    total = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Group(table, Text(f"{len(rows)} candidates: {total}", style="bold"))
