"""What ``policies`` shows: one row per policy, or all that is known of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from swe_router.reports.fitted_table import FittedTable
from swe_router.reports.view_parts import View


def policies_view(rows: Sequence[Mapping[str, Any]]) -> View:
    """A table, where it has room, of all policies."""
    table = Table(box=None, pad_edge=False)
    for column in ("policy", "idea", "knobs", "source", "maturity", "stands in / needs"):
        # Wide enough for words: a table without room for them is shown as one block per policy.
        width = {"policy": None, "source": 14, "maturity": 10}.get(column, 20)
        table.add_column(column, overflow="fold", no_wrap=column == "policy", min_width=width)
    for row in rows:
        knobs = ", ".join(f"{name}={value}" for name, value in row["knobs"].items())
        wants = [f"needs {row['needs']}" if row["needs"] else "", row["surrogate"]]
        table.add_row(row["policy"], row["idea"], knobs, row["source"], row["maturity"],
                      "; ".join(filter(None, wants)))  # fmt: skip
    return FittedTable(table)


def policy_view(row: Mapping[str, Any], descriptions: Mapping[str, str]) -> View:
    """One policy; ``descriptions`` of its knobs by name, "" where there is none."""
    lines = [row["policy"], "", row["text"], "", f"source: {row['source'] or '-'}"]
    lines += [f"maturity: {row['maturity'] or '-'}"]
    lines += [f"needs: {row['needs']}"] if row["needs"] else []
    lines += [f"surrogate: {row['surrogate']}"] if row["surrogate"] else []
    lines += ["", "knobs (--policy-set NAME=VALUE):" if row["knobs"] else "no knobs"]
    for key, value in row["knobs"].items():
        text = f"  {descriptions[key]}" if descriptions[key] else ""
        lines.append(f"  {key} = {value}{text}")
    return Text("\n".join(lines))
