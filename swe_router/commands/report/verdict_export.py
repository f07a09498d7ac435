"""A run's verdicts as a file: one row per verdict, with the official result on the same patch."""

from __future__ import annotations

from pathlib import Path

from swe_router import plain_values
from swe_router.commands import output_files
from swe_router.commands.report.graded_verdicts import judged_verdicts
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.journal.header import header_of_run
from swe_router.journal.run_folder import RunFolder
from swe_router.records import JudgedVerdict
from swe_router.reports.view_parts import text_view

VERDICT_COLUMNS = tuple(JudgedVerdict.model_fields)


def export_verdicts(run: RunFolder, path: Path) -> CommandResult:
    """Write ``path`` (.csv or .jsonl). Raises ``UsageError`` when it cannot be."""
    rows = judged_verdicts(run, header_of_run(run))
    if path.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--verdicts {path}: verdicts are a .csv or a .jsonl")
    plain = [row.model_dump(mode="json") for row in rows]
    text = (
        plain_values.csv_table(VERDICT_COLUMNS, plain)
        if path.suffix == ".csv"
        else plain_values.json_lines(plain)
    )
    output_files.write_file(path, text.encode())
    graded = sum(row.resolved is not None for row in rows)
    line = f"{len(rows)} verdicts, {graded} with an official result -> {path}"
    facts = {"verdicts": str(path), "verdict_rows": len(rows), "verdicts_graded": graded}
    return CommandResult(facts=facts, view=text_view(line, bold=True))
