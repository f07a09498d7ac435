"""A run's verdicts as a file: one row a verdict, beside the official result on that very patch."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from swe_router import plain_values
from swe_router.commands import output_files
from swe_router.commands.report.graded_verdicts import judged
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.journal.header import of_run
from swe_router.journal.run_folder import RunFolder
from swe_router.records import JudgedVerdict

COLUMNS = tuple(JudgedVerdict.model_fields)


def export(run: RunFolder, path: Path) -> CommandResult:
    """Write ``path`` (.csv or .jsonl). Raises ``UsageError`` when it cannot be."""
    rows = judged(run, of_run(run))
    if path.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--verdicts {path}: verdicts are a .csv or a .jsonl")
    said = [row.model_dump(mode="json") for row in rows]
    text = plain_values.table(COLUMNS, said) if path.suffix == ".csv" else plain_values.lines(said)
    output_files.write_file(path, text.encode())
    graded = sum(row.resolved is not None for row in rows)
    line = f"{len(rows)} verdicts, {graded} with an official result -> {path}"
    facts = {"verdicts": str(path), "verdict_rows": len(rows), "verdicts_graded": graded}
    return CommandResult(facts=facts, view=Text(line, style="bold"))
