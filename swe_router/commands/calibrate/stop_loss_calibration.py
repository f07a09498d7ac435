"""``calibrate --stop-loss``: an outcome table to the file that ``--set stop_loss=FILE`` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from swe_router import plain_values
from swe_router.commands import output_files
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.estimates.stop_loss.rule import StopLoss
from swe_router.lazy_imports import deferred
from swe_router.outcomes.tables.issue_data import repository

if TYPE_CHECKING:
    import swe_router.outcomes.tables.table as tables
    from swe_router.estimates.stop_loss import rule_fit
    from swe_router.outcomes.importers import forms
else:
    forms = deferred("swe_router.outcomes.importers.forms")
    tables = deferred("swe_router.outcomes.tables.table")
    rule_fit = deferred("swe_router.estimates.stop_loss.rule_fit")


def calibrate(outcomes: Path, value: float, systems: Sequence[str], out: Path) -> CommandResult:
    """Fit a stop-loss for each ``TIER=SYSTEM`` and write the file.

    Raises ``UsageError`` for a system that is not in the table, and where its runs are too few.
    """
    if value <= 0:
        raise UsageError(f"--value {value:g}: USD that a resolved issue is worth, over 0")
    table = forms.read_table(outcomes)
    tiers = {}
    for tier, word in _pairs(systems).items():
        system = table.named(word)
        tiers[tier] = rule_fit.fit_stop_loss(system, _runs(table, system), value)
    rows = hashlib.sha256(repr(table.rows).encode()).hexdigest()
    made = StopLoss(outcomes=outcomes.name, digest=rows, tiers=tiers)
    output_files.write_file(out, f"{plain_values.text(made, indent=1)}\n".encode())
    return CommandResult(facts={"out": str(out), **made.model_dump(mode="json")}, view=_view(made))


def _pairs(texts: Sequence[str]) -> Mapping[str, str]:
    found = {}
    for text in texts:
        tier, equals, system = text.partition("=")
        if not (tier.strip() and equals and system.strip()):
            raise UsageError(f"--systems {text!r}: write it as TIER=SYSTEM")
        found[tier.strip()] = system.strip()
    if not found:
        raise UsageError("--systems TIER=SYSTEM: say which system of the outcomes a tier is like")
    return found


def _runs(table: tables.OutcomeTable, system: str) -> list[rule_fit.PastAttempt]:
    """Its runs whose steps and cost are known."""
    return [
        rule_fit.PastAttempt(row.steps, row.usd, row.resolved, repository(row.instance_id))
        for row in table.rows
        if row.system == system and row.steps is not None and row.usd is not None
    ]


def _view(made: StopLoss) -> Table:
    view = Table(box=None, pad_edge=False)
    for column in ("tier", "runs", "stops at", "saves a run", "loses", "net a run (95%)", ""):
        view.add_column(column, overflow="fold")
    for tier, one in made.tiers.items():
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
