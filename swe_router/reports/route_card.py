"""The decision card of one issue, as ``route`` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router.estimates.complexity import score
from swe_router.estimates.complexity.score import ComplexityScore
from swe_router.records import Features, Instance
from swe_router.records.known_features import require_values
from swe_router.reports import run_text
from swe_router.reports.view_parts import View, folding_table

CardRow = Mapping[str, Any]


def route_view(
    instance: Instance,
    reason: str,
    *,
    features: Features,
    scored: ComplexityScore,
    tiers: Sequence[CardRow],
    notice: str,
    rivals: Sequence[CardRow],
) -> View:
    """Decision and complexity; what each tier may do, each policy would, each feature weighs."""
    return Group(
        Text(f"{instance.id} ({instance.repo})", style="bold"),
        Text(f"decision: {reason}", style="cyan"),
        Text(_complexity_line(scored)),
        Text(""),
        _tier_table(tiers),
        Text(notice),
        Text(""),
        _rival_table(rivals),
        Text(""),
        _feature_table(features, scored),
    )


def _complexity_line(scored: ComplexityScore) -> str:
    fit = "a fit without its repository" if scored.held_out else "the shipped fit"
    return (
        f"complexity: {scored.complexity:.1f} of 10; {scored.solve_rate:.0%} of the systems that"
        f" it was fitted on are expected to solve it ({fit}, model {scored.model!r});"
        f" {score.NO_POWER}"
    )


def _tier_table(rows: Sequence[CardRow]) -> Table:
    table = folding_table("tier", "model", "P(resolves)", "90% of fits", "USD per run",
                          "80% of runs", "limit", "price")  # fmt: skip
    for row in rows:
        estimates = ["", "", "", ""]
        if "p" in row:
            estimates = [
                f"{row['p']:.2f}",
                f"{row['p_low']:.2f}-{row['p_high']:.2f}",
                f"{row['usd']:.3f}",
                f"{row['usd_low']:.3f}-{row['usd_high']:.3f}",
            ]
        limit = run_text.usd_text(Decimal(str(row["limit_usd"])))
        table.add_row(row["tier"], row["model"], *estimates, limit, row["price"])
    return table


def _rival_table(rows: Sequence[CardRow]) -> Table:
    table = folding_table("policy", "first", "why")
    for row in rows:
        if row["unavailable"]:
            table.add_row(row["policy"], "-", f"unavailable: {row['unavailable']}", style="dim")
        else:
            table.add_row(row["policy"], ", ".join(row["first"]) or "stop", row["why"])
    return table


def _feature_table(features: Features, scored: ComplexityScore) -> Table:
    table = folding_table("feature", "value", "from", "moved the complexity by")
    values = require_values(features)
    order = sorted(values, key=lambda name: (-abs(scored.parts.get(name, 0.0)), name))
    for name in order:
        moved = f"{scored.parts[name]:+.2f}" if scored.parts.get(name) else ""
        value = f"{values[name]:.4g}"
        table.add_row(name, value, features.provenance.get(name, ""), moved)
    return table
