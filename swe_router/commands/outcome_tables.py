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
from swe_router.journal.header import of_run
from swe_router.outcomes.auditing import cells, published_rates
from swe_router.outcomes.auditing.audit import audit as audited
from swe_router.outcomes.importers import run_folders
from swe_router.outcomes.importers.forms import AUTO, FORMS, Gathered, by_looks, gather
from swe_router.outcomes.importers.gathering import Imported, ImportOptions
from swe_router.outcomes.tables import table as tables
from swe_router.outcomes.tables.shipped import NAME, shipped
from swe_router.reports.outcome_views import audit_view, import_view, tables_view
from swe_router.reports.view_parts import stacked_views

RUN = "run"


def forms() -> list[str]:
    """The names that ``--format`` takes."""
    return sorted((*FORMS, RUN, AUTO))


def import_table(
    form: str, paths: Sequence[Path], given: ImportOptions, out: Path
) -> CommandResult:
    """Read ``paths`` as ``form`` and write one table. Raises ``UsageError``."""
    if form not in forms():
        raise UsageError(f"--format {form!r}: there is {', '.join(forms())}")
    if not out.name.endswith((".csv", ".csv.gz")):
        raise UsageError(f"--out {out}: a table is a .csv or a .csv.gz")
    reader = {RUN: _run, AUTO: by_looks}.get(form) or FORMS[form]
    made = gather(reader, paths, given)
    tables.write_table(made.table, out)
    return _imported(made, out)


def export_run_table(
    name: str, folder: Path, system: str, out: Path | None, verdicts: Path | None
) -> CommandResult:
    """A run by name as an outcome table, and its verdicts as one of their own.

    ``out`` takes one row per attempt, ``verdicts`` (.csv or .jsonl) one row per verdict; at least
    one of them must be given.
    """
    if out is None and verdicts is None:
        raise UsageError(
            "give --out TABLE (one row per attempt) or --verdicts FILE (one row per verdict)"
        )
    path = find_run(name, folder).path
    parts = []
    if out is not None:
        parts.append(import_table(RUN, [path], ImportOptions(system=system), out))
    if verdicts is not None:
        parts.append(verdict_export.export_verdicts(find_run(name, folder), verdicts))
    facts = {key: value for part in parts for key, value in part.facts.items()}
    return CommandResult(facts=facts, view=stacked_views(*(part.view for part in parts)))


def table_of_runs(names: Sequence[str], folder: Path) -> Gathered:
    """Runs by name as one table, in memory: a live run as a row of a board."""
    return gather(_run, [find_run(name, folder).path for name in names], ImportOptions())


def _run(path: Path, given: ImportOptions) -> Imported:
    run = find_run(str(path), path.parent)
    header = of_run(run)
    settings = header.settings
    return run_folders.rows(
        run.records(),
        run.grades(),
        system=given.system or f"swe-router:{settings.policy.name}",
        models={name: tier.model for name, tier in settings.tiers.items()},
        priced_on={name: rate.date for name, rate in header.rates.items()},
        candidates=run.grades_by_patch(),
    )


def audit_table(
    path: Path | None, *, published: Path | None, reference: Path | None, split: str | None
) -> CommandResult:
    """Audit a table; exit code 1 when it is refused. Without a path, the one that ships."""
    table, before = (shipped(), []) if path is None else cells.lenient(path)
    found = audited(
        table,
        before=before,
        published=published_rates.published(published) if published is not None else None,
        reference=cells.lenient(reference)[0] if reference is not None else shipped(),
        known_ids={one.id for one in splits.load_instances(split)} if split is not None else None,
    )
    facts = found.facts()
    return CommandResult(facts=facts, view=audit_view(facts), code=int(found.verdict == "refuse"))


def list_tables() -> CommandResult:
    """The tables that ship and the forms that can be imported."""
    table = shipped()
    summary = _summary(table)
    facts = {"shipped": {NAME: summary}, "formats": forms()}
    return CommandResult(facts=facts, view=tables_view(NAME, summary["systems"], forms()))


def _summary(table: tables.OutcomeTable) -> dict[str, Any]:
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


def _imported(made: Gathered, out: Path) -> CommandResult:
    facts = {
        "out": str(out),
        **_summary(made.table),
        "left_out": dict(made.left_out),
        "remarks": list(made.remarks),
    }
    return CommandResult(facts=facts, view=import_view(facts))
