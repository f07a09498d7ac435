"""``calibrate --stop-loss``: an outcome table to the file that ``--set stop_loss=FILE`` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router import plain_values
from swe_router.commands import output_files
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.estimates.stop_loss.rule import StopLoss
from swe_router.lazy_imports import deferred_module
from swe_router.outcomes.tables.issue_data import repository_of
from swe_router.reports.calibration_tables import stop_loss_view

if TYPE_CHECKING:
    import swe_router.outcomes.tables.table as tables
    from swe_router.estimates.stop_loss import rule_fit
    from swe_router.outcomes.importers import forms
else:
    forms = deferred_module("swe_router.outcomes.importers.forms")
    tables = deferred_module("swe_router.outcomes.tables.table")
    rule_fit = deferred_module("swe_router.estimates.stop_loss.rule_fit")


def calibrate_stop_loss(
    outcome_table_path: Path,
    usd_per_resolved: float,
    tier_system_pairs: Sequence[str],
    output_file: Path,
) -> CommandResult:
    """Fit a stop-loss for each ``TIER=SYSTEM`` and write the file.

    Raises ``UsageError`` for a system that is not in the table, and where its runs are too few.
    """
    if usd_per_resolved <= 0:
        raise UsageError(
            f"--value {usd_per_resolved:g}: USD that a resolved issue is worth, over 0"
        )
    table = forms.read_table(outcome_table_path)
    tiers = {}
    for tier, word in _system_per_tier(tier_system_pairs).items():
        system = table.system_named(word)
        tiers[tier] = rule_fit.fit_stop_loss(
            system, _past_attempts(table, system), usd_per_resolved
        )
    rows = hashlib.sha256(repr(table.rows).encode()).hexdigest()
    made = StopLoss(outcomes=outcome_table_path.name, digest=rows, tiers=tiers)
    output_files.write_file(output_file, f"{plain_values.json_text(made, indent=1)}\n".encode())
    return CommandResult(
        facts={"out": str(output_file), **made.model_dump(mode="json")}, view=stop_loss_view(made)
    )


def _system_per_tier(tier_system_pairs: Sequence[str]) -> Mapping[str, str]:
    found = {}
    for text in tier_system_pairs:
        tier, equals, system = text.partition("=")
        if not (tier.strip() and equals and system.strip()):
            raise UsageError(f"--systems {text!r}: write it as TIER=SYSTEM")
        found[tier.strip()] = system.strip()
    if not found:
        raise UsageError("--systems TIER=SYSTEM: say which system of the outcomes a tier is like")
    return found


def _past_attempts(table: tables.OutcomeTable, system: str) -> list[rule_fit.PastAttempt]:
    """Its runs whose steps and cost are known."""
    return [
        rule_fit.PastAttempt(row.steps, row.usd, row.resolved, repository_of(row.instance_id))
        for row in table.rows
        if row.system == system and row.steps is not None and row.usd is not None
    ]
