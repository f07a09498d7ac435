"""A run's verdicts as a file: one row a verdict, beside the official result on that very patch."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from swe_router import plain
from swe_router.assemble import outputs
from swe_router.assemble.header import of_run
from swe_router.assemble.joined import judged
from swe_router.assemble.shown import Shown
from swe_router.errors import UsageError
from swe_router.journal.folder import RunFolder
from swe_router.records import Judged

COLUMNS = tuple(Judged.model_fields)


def export(run: RunFolder, path: Path) -> Shown:
    """Write ``path`` (.csv or .jsonl). Raises ``UsageError`` when it cannot be."""
    rows = judged(run, of_run(run))
    if path.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--verdicts {path}: verdicts are a .csv or a .jsonl")
    said = [row.model_dump(mode="json") for row in rows]
    text = plain.table(COLUMNS, said) if path.suffix == ".csv" else plain.lines(said)
    outputs.write_file(path, text.encode())
    graded = sum(row.resolved is not None for row in rows)
    line = f"{len(rows)} verdicts, {graded} with an official result -> {path}"
    facts = {"verdicts": str(path), "verdict_rows": len(rows), "verdicts_graded": graded}
    return Shown(facts=facts, view=Text(line, style="bold"))
