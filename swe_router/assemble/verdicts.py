"""A run's verdicts as a file: one row a verdict, beside the official result on that very patch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

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
    text = _csv(rows) if path.suffix == ".csv" else _lines(rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    graded = sum(row.resolved is not None for row in rows)
    said = f"{len(rows)} verdicts, {graded} with an official result -> {path}"
    facts = {"verdicts": str(path), "verdict_rows": len(rows), "verdicts_graded": graded}
    return Shown(facts=facts, view=Text(said, style="bold"))


def _lines(rows: Sequence[Judged]) -> str:
    return "".join(
        json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n" for row in rows
    )


def _csv(rows: Sequence[Judged]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)
