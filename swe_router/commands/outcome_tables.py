"""``outcomes``: importing, auditing and listing outcome tables, and a run as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_router.commands.report import verdict_export
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.instances import splits
from swe_router.integrity.locate import find_run
from swe_router.journal.header import header_of_run
from swe_router.outcomes.auditing import cells, published_rates
from swe_router.outcomes.auditing.audit import audit as audited
from swe_router.outcomes.importers import run_folders
from swe_router.outcomes.importers.forms import (
    AUTO_FORM,
    IMPORTERS_BY_FORM,
    Gathered,
    gather,
    import_in_guessed_form,
)
from swe_router.outcomes.importers.gathering import Imported, ImportOptions
from swe_router.outcomes.tables import table as tables
from swe_router.outcomes.tables.shipped import TABLE_NAME, shipped_table
from swe_router.reports.outcome_views import audit_view, import_view, tables_view
from swe_router.reports.view_parts import stacked_views

RUN_FORMAT = "run"


def import_formats() -> list[str]:
    """The names that ``--format`` takes."""
    return sorted((*IMPORTERS_BY_FORM, RUN_FORMAT, AUTO_FORM))


def import_table(
    import_format: str, paths: Sequence[Path], options: ImportOptions, output_file: Path
) -> CommandResult:
    """Read ``paths`` as ``import_format`` and write one table. Raises ``UsageError``."""
    if import_format not in import_formats():
        raise UsageError(f"--format {import_format!r}: there is {', '.join(import_formats())}")
    if not output_file.name.endswith((".csv", ".csv.gz")):
        raise UsageError(f"--out {output_file}: a table is a .csv or a .csv.gz")
    reader = {RUN_FORMAT: _import_run, AUTO_FORM: import_in_guessed_form}.get(
        import_format
    ) or IMPORTERS_BY_FORM[import_format]
    made = gather(reader, paths, options)
    tables.write_table(made.table, output_file)
    return _import_result(made, output_file)


def export_run_table(
    run_name: str,
    runs_folder: Path,
    system: str,
    output_file: Path | None,
    verdicts_file: Path | None,
) -> CommandResult:
    """A run by name as an outcome table, and its verdicts as one of their own.

    ``output_file`` takes one row per attempt, ``verdicts_file`` (.csv or .jsonl) one row per
    verdict; at least one of them must be given.
    """
    if output_file is None and verdicts_file is None:
        raise UsageError(
            "give --out TABLE (one row per attempt) or --verdicts FILE (one row per verdict)"
        )
    path = find_run(run_name, runs_folder).path
    parts = []
    if output_file is not None:
        parts.append(import_table(RUN_FORMAT, [path], ImportOptions(system=system), output_file))
    if verdicts_file is not None:
        parts.append(verdict_export.export_verdicts(find_run(run_name, runs_folder), verdicts_file))
    facts = {key: value for part in parts for key, value in part.facts.items()}
    return CommandResult(facts=facts, view=stacked_views(*(part.view for part in parts)))


def table_of_runs(run_names: Sequence[str], runs_folder: Path) -> Gathered:
    """Runs by name as one table, in memory: a live run as a row of a board."""
    return gather(
        _import_run, [find_run(name, runs_folder).path for name in run_names], ImportOptions()
    )


def _import_run(path: Path, options: ImportOptions) -> Imported:
    run = find_run(str(path), path.parent)
    header = header_of_run(run)
    settings = header.settings
    return run_folders.rows_of_run(
        run.records(),
        run.grades(),
        system=options.system or f"swe-router:{settings.policy.name}",
        models={name: tier.model for name, tier in settings.tiers.items()},
        priced_on={name: rate.date for name, rate in header.rates.items()},
        candidates=run.grades_by_patch(),
    )


def audit_table(
    table_file: Path | None,
    *,
    published_scores: Path | None,
    reference_table: Path | None,
    split: str | None,
) -> CommandResult:
    """Audit a table; exit code 1 when it is refused. Without a path, the one that ships."""
    table, before = (
        (shipped_table(), []) if table_file is None else cells.read_with_findings(table_file)
    )
    found = audited(
        table,
        earlier_findings=before,
        published=published_rates.read_published_rates(published_scores)
        if published_scores is not None
        else None,
        reference=cells.read_with_findings(reference_table)[0]
        if reference_table is not None
        else shipped_table(),
        known_ids={one.id for one in splits.load_instances(split)} if split is not None else None,
    )
    facts = found.as_json()
    return CommandResult(
        facts=facts, view=audit_view(facts), exit_code=int(found.verdict == "refuse")
    )


def list_tables() -> CommandResult:
    """The tables that ship and the forms that can be imported."""
    table = shipped_table()
    summary = _table_summary(table)
    facts = {"shipped": {TABLE_NAME: summary}, "formats": import_formats()}
    return CommandResult(
        facts=facts, view=tables_view(TABLE_NAME, summary["systems"], import_formats())
    )


def _table_summary(table: tables.OutcomeTable) -> dict[str, Any]:
    return {
        "rows": len(table.rows),
        "instances": len(table.instances),
        "systems": {
            system: {
                "n": len(rows),
                "resolved": sum(row.resolved for row in rows),
                "costs": len(costs := [row.usd for row in rows if row.usd is not None]),
                "usd_per_run": sum(costs) / len(costs) if costs else None,
            }
            for system in table.systems
            for rows in [[row for row in table.rows if row.system == system]]
        },
    }


def _import_result(gathered: Gathered, out: Path) -> CommandResult:
    facts = {
        "out": str(out),
        **_table_summary(gathered.table),
        "left_out": dict(gathered.left_out),
        "remarks": list(gathered.remarks),
    }
    return CommandResult(facts=facts, view=import_view(facts))
