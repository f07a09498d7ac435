"""Selectors compared over the candidates of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router.reports.fitted_table import FittedTable
from swe_router.reports.sentences import counted_noun
from swe_router.reports.view_parts import View

RUN_CHOICE_ROW = "this run"
"""The row of the run's own choice, which the others are compared with."""
SIGNIFICANCE_LEVEL = 0.05
"""Level of a difference, after Holm's correction for the number of comparisons."""


def selectors_view(run_name: str, instances: int, rows: Sequence[Mapping[str, Any]]) -> View:
    """One row per selector: resolved, and the difference from the run's own choice."""
    table = Table(box=None, pad_edge=False)
    table.add_column("selector", no_wrap=True)
    for column in ("resolved", "less this run's", "95% interval", "p", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        own = row["selector"] == RUN_CHOICE_ROW
        p = "" if row["p"] is None else f"{row['p']:.2g}"
        cells = (
            f"{row['difference']:+g}",
            f"[{row['low']:+g}, {row['high']:+g}]",
            p,
            _displayed_value(row["said"]),
        )
        table.add_row(row["selector"], f"{row['resolved']:g}", *(("",) * 4 if own else cells))
    title = f"{run_name}: what each selector hands in, over {counted_noun(instances, 'instance')}"
    return Group(Text(title, "bold"), Text(""), FittedTable(table), Text(""), Text(_legend(rows)))


def _displayed_value(value: str) -> str:
    """The value of ``--json`` as people read it."""
    return "not significant" if value == "not told" else value


def _legend(rows: Sequence[Mapping[str, Any]]) -> str:
    """How the last column comes about: an interval may exclude 0 without a difference."""
    tests = sum(row["p"] is not None for row in rows)
    return (
        f"differs: the interval excludes 0 and p is under {SIGNIFICANCE_LEVEL:g}. p is of an"
        " exact test paired"
        f" by instance (the interval is of resampled ones, and too narrow where they are few),"
        f" after Holm's correction for {counted_noun(tests, 'comparison')}; not significant: one of"
        " the two does not hold."
    )
