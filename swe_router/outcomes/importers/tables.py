"""Tables of others: any CSV by the names of its columns, and SWE-Effi."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.outcomes.importers.base import NO_VERDICT, Given, Imported, cost
from swe_router.outcomes.table import COLUMNS, row_of, text_cells

ALIASES: Mapping[str, Sequence[str]] = {
    "instance_id": ("instance", "task_id", "id"),
    "system": ("submission", "agent", "model"),
    "resolved": ("solved", "success", "passed"),
    "usd": ("cost_usd", "cost", "instance_cost", "total_cost_usd", "total_cost"),
    "input_tokens": ("prompt_tokens", "tokens_sent"),
    "cache_read_tokens": ("cached_tokens",),
    "output_tokens": ("completion_tokens", "tokens_received"),
    "steps": ("api_calls", "llm_calls", "calls"),
    "seconds": ("duration_seconds", "wall_seconds"),
}
"""Names under which others keep our columns; ``--map ours=theirs`` goes before them."""

NOTHING = frozenset(("", "nan", "none", "null", "na", "n/a", "-"))


def table(path: Path, given: Given) -> Imported:
    """A .csv or .csv.gz with one run a line."""
    there, lines = text_cells(path)
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


def swe_effi(path: Path, given: Given) -> Imported:
    """SWE-Effi (arXiv 2509.09853): tokens, calls and wall seconds of scaffold x model.

    It has no dollars: they come from ``--prices-at``. Its input tokens do not tell cached ones
    apart, so that a cost is what the provider would have asked without a cache.
    """
    names = {"steps": "llm_calls", "seconds": "duration_seconds", **given.columns}
    return table(path, replace(given, columns=names))


def text(cell: str | None) -> str:
    """A cell without blanks around it; empty for each way of writing that nothing is known."""
    found = (cell or "").strip()
    return "" if found.casefold() in NOTHING else found


def columns(there: Sequence[str], given: Given, path: Path) -> dict[str, str]:
    """Our column -> theirs. Raises ``UsageError``: an unknown name, or a needed one that is not."""
    for ours, theirs in given.columns.items():
        if ours not in COLUMNS:
            raise UsageError(f"--map {ours}={theirs}: our columns are {', '.join(COLUMNS)}")
        if theirs not in there:
            raise UsageError(f"--map {ours}={theirs}: {path} has {', '.join(there) or 'nothing'}")
    found = dict(given.columns)
    for ours in COLUMNS:
        for name in (ours, *ALIASES.get(ours, ())):
            if name in there:
                found.setdefault(ours, name)
    needed = ["instance_id", "resolved", *([] if given.system else ["system"])]
    missing = [name for name in needed if name not in found]
    if missing:
        raise UsageError(
            f"{path} has no column for {', '.join(missing)} (found: {', '.join(there)}):"
            f" say --map {missing[0]}=COLUMN"
        )
    return found
