"""What ``calibrate`` shows: thresholds per class of authors, or the stop-loss of each tier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router.estimates.stop_loss.rule import StopLoss
from swe_router.reports.view_parts import View, folding_table


def acceptance_view(facts: Mapping[str, Any]) -> View:
    """Thresholds with their bounds, from the facts of ``calibrate``."""
    table = Table(box=None, pad_edge=False)
    for column in ("authors", "threshold", "right accepted", "wrong accepted", "AUC"):
        table.add_column(column, justify="left" if column == "authors" else "right", no_wrap=True)
    table.add_column("bound", overflow="fold")
    for name, one in facts["classes"].items():
        auc = "-"
        if one["auc"] is not None and one["auc_low"] is not None:
            auc = f"{one['auc']:.2f} [{one['auc_low']:.2f}, {one['auc_high']:.2f}]"
        table.add_row(
            name,
            f"{one['threshold']:.2f}",
            f"{one['true_accepts']} of {one['right']}",
            f"{one['false_accepts']} of {one['wrong']}",
            auc,
            Text(one["claim"], style="" if one["shown"] else "yellow"),
        )
    count = (
        f"{facts['rows']} graded patches ({facts['right']} right) of {facts['instances']} instances"
        f" of {facts['repositories']} repositories -> {facts['out']}"
    )
    use = f"use it with: --set verify.calibration={facts['out']}"
    for name, default in (("false_accepts", 0.28), ("confidence", 0.95)):
        if facts[name] != default:
            use += f" --set verify.{name}={facts[name]:g}"
    notes = [Text(f"left out: {n} {why}", "yellow") for why, n in facts["left_out"].items()]
    for name, weights in facts["new_signals"].items():
        learned = ", ".join(f"{weight:+.2f} {author}" for author, weight in weights.items())
        notes.append(Text(f"signal {name} of no published figure: learned from 0 to {learned}"))
    notes += [
        Text(f"{n} verdicts of {name} give no signal: no package here offers it", "yellow")
        for name, n in facts["absent_verifiers"].items()
    ]
    if facts["recordings"]:
        notes.append(Text("models of these runs are recordings: nothing is learned of any model"))
    scope = Text("scores are of repositories that their fit never saw", style="dim")
    return Group(Text(count, style="bold"), table, scope, *notes, Text(use))


def stop_loss_view(stop_loss: StopLoss) -> View:
    """One row per tier: where it stops, what that saves and what it loses."""
    view = folding_table("tier", "runs", "stops at", "saves per run", "loses",
                         "net per run (95%)", "")  # fmt: skip
    for tier, one in stop_loss.tiers.items():
        at = " or ".join(f"{p.at} steps" if p.measure == "steps" else f"${p.at}"
                         for p in one.points) or "never"  # fmt: skip
        cells = ["", "", ""]
        if (seen := one.checked) is not None:
            cells = [
                f"${seen.saved_usd:.3f}",
                f"{100 * seen.lost:.1f}% [{100 * seen.lost_low:.1f}, {100 * seen.lost_high:.1f}]",
                f"${seen.net_usd:.3f} [{seen.net_low:.3f}, {seen.net_high:.3f}]",
            ]
        style = "" if one.points else "yellow"
        view.add_row(tier, str(one.runs), at, *cells, Text(one.why, style))
    return view
