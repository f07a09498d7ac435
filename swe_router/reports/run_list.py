"""The run folders of a folder, as ``runs`` lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from swe_router.reports.fitted_table import FittedTable
from swe_router.reports.run_text import usd_text
from swe_router.reports.view_parts import View

ENDING_LABELS = {"done": "done", "infra": "owed", "budget": "money ended"}


def runs_view(rows: Sequence[Mapping[str, Any]]) -> View:
    """One row per run; a run that cannot be read shows its error in the place of its state."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True, min_width=max(len(row["run"]) for row in rows))
    for name in ("concluded", "resolved", "USD", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("state", "split", "policy"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*_row_cells(row))
    return FittedTable(table)


def _row_cells(row: Mapping[str, Any]) -> list[Any]:
    if "error" in row:
        error = row["error"] if row["state"] == "other" else f"damaged: {row['error']}"
        return [row["run"], "", "", "", "", Text(error, "red"), "", ""]
    state = ENDING_LABELS[row["ended"]]
    return [
        row["run"],
        f"{row['concluded']}/{row['instances']}",
        str(row["resolved"]),
        usd_text(row["usd"]),
        usd_text(row["budget"]),
        Text(state, "" if state == "done" else "yellow"),
        row["split"],
        row["policy"],
    ]
