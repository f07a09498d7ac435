"""``outcomes``: importing, auditing and listing outcome tables, and a run as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swe_router.commands.report import verdict_export
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.instances import splits
from swe_router.integrity.locate import find_run
from swe_router.journal.header import of_run
from swe_router.outcomes.auditing import cells, published_rates
from swe_router.outcomes.auditing.audit import Audit
from swe_router.outcomes.auditing.audit import audit as audited
from swe_router.outcomes.importers import run_folders
from swe_router.outcomes.importers.forms import AUTO, FORMS, Gathered, by_looks, gather
from swe_router.outcomes.importers.gathering import Imported, ImportOptions
from swe_router.outcomes.tables import table as tables
from swe_router.outcomes.tables.shipped import NAME, shipped

RUN = "run"
SHOWN_FINDINGS = 60


def forms() -> list[str]:
    """The names that ``--format`` takes."""
    return sorted((*FORMS, RUN, AUTO))


def bring(form: str, paths: Sequence[Path], given: ImportOptions, out: Path) -> CommandResult:
    """Read ``paths`` as ``form`` and write one table. Raises ``UsageError``."""
    if form not in forms():
        raise UsageError(f"--format {form!r}: there is {', '.join(forms())}")
    if not out.name.endswith((".csv", ".csv.gz")):
        raise UsageError(f"--out {out}: a table is a .csv or a .csv.gz")
    reader = {RUN: _run, AUTO: by_looks}.get(form) or FORMS[form]
    made = gather(reader, paths, given)
    tables.write(made.table, out)
    return _imported(made, out)


def export(
    name: str, folder: Path, system: str, out: Path | None, said: Path | None
) -> CommandResult:
    """A run by name as an outcome table, and its verdicts as one of their own.

    ``out`` takes a row an attempt, ``said`` (a .csv or .jsonl) a row a verdict; at least one.
    """
    if out is None and said is None:
        raise UsageError("say --out TABLE (a row an attempt), --verdicts FILE (a row a verdict)")
    path = find_run(name, folder).path
    parts = []
    if out is not None:
        parts.append(bring(RUN, [path], ImportOptions(system=system), out))
    if said is not None:
        parts.append(verdict_export.export(find_run(name, folder), said))
    facts = {key: value for part in parts for key, value in part.facts.items()}
    return CommandResult(facts=facts, view=Group(*(part.view for part in parts)))


def of_runs(names: Sequence[str], folder: Path) -> Gathered:
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
        candidates=run.graded(),
    )


def check(
    path: Path | None, *, published: Path | None, reference: Path | None, split: str | None
) -> CommandResult:
    """Audit a table; exit code 1 when it is refused. Without a path, the one that ships."""
    table, before = (shipped(), []) if path is None else cells.lenient(path)
    found = audited(
        table,
        before=before,
        published=published_rates.published(published) if published is not None else None,
        reference=cells.lenient(reference)[0] if reference is not None else shipped(),
        known_ids={one.id for one in splits.load(split)} if split is not None else None,
    )
    return CommandResult(
        facts=found.facts(), view=_view(found), code=int(found.verdict == "refuse")
    )


def listed() -> CommandResult:
    """The tables that ship and the forms that can be imported."""
    table = shipped()
    facts = {"shipped": {NAME: _summary(table)}, "formats": forms()}
    view = Group(
        Text(f"ships with swe-router: {NAME}", "bold"),
        _systems(table),
        Text(f"`outcomes import --format` reads: {', '.join(forms())}"),
    )
    return CommandResult(facts=facts, view=view)


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


def _systems(table: tables.OutcomeTable) -> RenderableType:
    view = Table(box=None, pad_edge=False)
    for column in ("system", "runs", "resolved", "with a cost", "USD a run"):
        view.add_column(column, justify="left" if column == "system" else "right")
    for name, one in _summary(table)["systems"].items():
        usd = "" if one["usd_per_run"] is None else f"{one['usd_per_run']:.4f}"
        view.add_row(name, str(one["n"]), str(one["resolved"]), str(one["costs"]), usd)
    return view


def _imported(made: Gathered, out: Path) -> CommandResult:
    facts = {
        "out": str(out),
        **_summary(made.table),
        "left_out": dict(made.left_out),
        "remarks": list(made.remarks),
    }
    lines = [f"{number} x {reason}" for reason, number in made.left_out.items()]
    notes = [Text(line, "yellow") for line in (*lines, *made.remarks)]
    count = f"{len(made.table.rows)} rows, {len(made.table.instances)} instances -> {out}"
    return CommandResult(facts=facts, view=Group(_systems(made.table), Text(count, "bold"), *notes))


def _view(found: Audit) -> RenderableType:
    view = Table(box=None, pad_edge=False)
    for column in ("", "check", "system", "finding"):
        view.add_column(column, overflow="fold")
    for one in found.findings[:SHOWN_FINDINGS]:
        style = "red" if one.severity == "refuse" else "yellow"
        view.add_row(Text(one.severity, style), one.check, one.system, one.message)
    aucs = sorted(one.auc for one in found.agreements if one.auc == one.auc)
    spread = f", agreement with consensus: AUC {aucs[0]:.2f} to {aucs[-1]:.2f}" if aucs else ""
    counts = Counter(one.severity for one in found.findings)
    told = ", ".join(f"{counts[s]} to {s}" for s in ("refuse", "warn") if counts[s]) or "no finding"
    end = Text(f"{found.verdict}: {told}; {len(found.agreements)} systems{spread}", "bold")
    more = len(found.findings) - SHOWN_FINDINGS
    rest = [Text(f"and {more} more findings (--json has all)")] if more > 0 else []
    return Group(*([view] if found.findings else []), *rest, end)
