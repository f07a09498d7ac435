"""Tables of others: any CSV by the names of its columns, and SWE-Effi."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.outcomes.importers import mappings
from swe_router.outcomes.importers.columns import cell_text, map_columns, our_column
from swe_router.outcomes.importers.gathering import NO_VERDICT, Imported, ImportOptions, parse_usd
from swe_router.outcomes.tables.table import parse_row, text_cells


def import_table(path: Path, given: ImportOptions) -> Imported:
    """A .csv or .csv.gz with one run per line, or one instance per line and a column per system."""
    there, lines = text_cells(path)
    if there and there[0].lstrip().startswith(("{", "[")):
        raise UsageError(f"{path} is no CSV but JSON: --format jsonl, per-instance or verdicts")
    ours = {our_column(name) for name in there} | given.columns.keys()
    if "resolved" not in ours and len(there) > 1:
        return mappings.import_wide_table(path, there, lines, given)
    names = map_columns(there, given, path)
    seen: Counter[str] = Counter()
    rows = []
    for number, line in enumerate(lines, 2):
        texts = {ours: cell_text(line.get(theirs)) for ours, theirs in names.items()}
        if given.system:
            texts["system"] = given.system
        if not texts["resolved"]:
            seen[NO_VERDICT] += 1
            continue
        row = parse_row(texts, f"{path}:{number}")
        # With a day of prices a 0 was computed: the tier was free.
        rows.append(
            row if row.price_date else replace(row, usd=parse_usd(row.usd, row.steps, seen))
        )
    return Imported(tuple(rows), seen)


def import_swe_effi(path: Path, given: ImportOptions) -> Imported:
    """SWE-Effi (arXiv 2509.09853): tokens, calls and wall seconds of scaffold x model.

    It has no dollars: they come from ``--prices-at``. Its input tokens do not tell cached ones
    apart, so that a cost is what the provider would have asked without a cache.
    """
    names = {"steps": "llm_calls", "seconds": "duration_seconds", **given.columns}
    return import_table(path, replace(given, columns=names))
