"""What ``outcomes`` shows: the systems of a table, an import, an audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router.reports.view_parts import View, folding_table

MAX_FINDINGS = 60
"""Findings of an audit that are shown; ``--json`` has all."""

Facts = Mapping[str, Any]


def systems_table(systems: Mapping[str, Facts]) -> Table:
    """One row per system: runs, how many resolved, how many with a cost, mean USD."""
    view = Table(box=None, pad_edge=False)
    for column in ("system", "runs", "resolved", "with a cost", "USD per run"):
        view.add_column(column, justify="left" if column == "system" else "right")
    for name, one in systems.items():
        usd = "" if one["usd_per_run"] is None else f"{one['usd_per_run']:.4f}"
        view.add_row(name, str(one["n"]), str(one["resolved"]), str(one["costs"]), usd)
    return view


def tables_view(
    shipped_name: str, systems: Mapping[str, Facts], import_formats: Iterable[str]
) -> View:
    """The table that ships, and the forms that can be imported."""
    return Group(
        Text(f"ships with swe-router: {shipped_name}", "bold"),
        systems_table(systems),
        Text(f"`outcomes import --format` reads: {', '.join(import_formats)}"),
    )


def import_view(facts: Facts) -> View:
    """What an import wrote, and what it left out."""
    lines = [f"{number} x {reason}" for reason, number in facts["left_out"].items()]
    notes = [Text(line, "yellow") for line in (*lines, *facts["remarks"])]
    count = f"{facts['rows']} rows, {facts['instances']} instances -> {facts['out']}"
    return Group(systems_table(facts["systems"]), Text(count, "bold"), *notes)


def audit_view(facts: Facts) -> View:
    """Findings, then the verdict and how far systems agree with the consensus."""
    view = folding_table("", "check", "system", "finding")
    findings = facts["findings"]
    for one in findings[:MAX_FINDINGS]:
        style = "red" if one["severity"] == "refuse" else "yellow"
        view.add_row(Text(one["severity"], style), one["check"], one["system"], one["message"])
    aucs = sorted(one["auc"] for one in facts["systems"] if one["auc"] is not None)
    spread = f", agreement with consensus: AUC {aucs[0]:.2f} to {aucs[-1]:.2f}" if aucs else ""
    counts = Counter(one["severity"] for one in findings)
    total = ", ".join(f"{counts[s]} to {s}" for s in ("refuse", "warn") if counts[s])
    end = f"{facts['verdict']}: {total or 'no finding'}; {len(facts['systems'])} systems{spread}"
    more = len(findings) - MAX_FINDINGS
    rest = [Text(f"and {more} more findings (--json has all)")] if more > 0 else []
    return Group(*([view] if findings else []), *rest, Text(end, "bold"))
