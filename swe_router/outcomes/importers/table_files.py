"""Tables of others: any CSV by the names of its columns, and SWE-Effi."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.outcomes.importers import mappings
from swe_router.outcomes.importers.columns import columns, named_as_ours, text
from swe_router.outcomes.importers.gathering import NO_VERDICT, Imported, ImportOptions, cost
from swe_router.outcomes.tables.table import row_of, text_cells


def table(path: Path, given: ImportOptions) -> Imported:
    """A .csv or .csv.gz with one run per line, or one instance per line and a column per system."""
    there, lines = text_cells(path)
    if there and there[0].lstrip().startswith(("{", "[")):
        raise UsageError(f"{path} is no CSV but JSON: --format jsonl, per-instance or verdicts")
    ours = {named_as_ours(name) for name in there} | given.columns.keys()
    if "resolved" not in ours and len(there) > 1:
        return mappings.wide(path, there, lines, given)
    names = columns(there, given, path)
    seen: Counter[str] = Counter()
    rows = []
    for number, line in enumerate(lines, 2):
        texts = {ours: text(line.get(theirs)) for ours, theirs in names.items()}
        if given.system:
            texts["system"] = given.system
        if not texts["resolved"]:
            seen[NO_VERDICT] += 1
            continue
        row = row_of(texts, f"{path}:{number}")
        # With a day of prices a 0 was computed: the tier was free.
        rows.append(row if row.price_date else replace(row, usd=cost(row.usd, row.steps, seen)))
    return Imported(tuple(rows), seen)


def swe_effi(path: Path, given: ImportOptions) -> Imported:
    """SWE-Effi (arXiv 2509.09853): tokens, calls and wall seconds of scaffold x model.

    It has no dollars: they come from ``--prices-at``. Its input tokens do not tell cached ones
    apart, so that a cost is what the provider would have asked without a cache.
    """
    names = {"steps": "llm_calls", "seconds": "duration_seconds", **given.columns}
    return table(path, replace(given, columns=names))
