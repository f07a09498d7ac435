"""Columns of others by the names that they give them, and what an empty cell looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.outcomes.importers.gathering import ImportOptions, first_names
from swe_router.outcomes.tables.table import COLUMNS

COLUMN_ALIASES: Mapping[str, Sequence[str]] = {
    "instance_id": ("instance", "task_id", "id"),
    "system": ("submission", "agent", "model"),
    "resolved": ("solved", "success", "passed", "is_resolved"),
    "usd": (
        "cost_usd",
        "cost",
        "instance_cost",
        "total_cost_usd",
        "total_cost",
        "accumulated_cost",
    ),
    "input_tokens": ("prompt_tokens", "tokens_sent"),
    "cache_read_tokens": ("cached_tokens", "cache_read_input_tokens", "cached_input_tokens"),
    "cache_write_tokens": ("cache_creation_tokens", "cache_creation_input_tokens"),
    "output_tokens": ("completion_tokens", "tokens_received"),
    "steps": ("api_calls", "llm_calls", "calls", "num_turns", "turns"),
    "seconds": ("duration_seconds", "wall_seconds", "elapsed_seconds", "duration_s"),
}
"""Names under which others keep our columns; ``--map ours=theirs`` goes before them."""

EMPTY_CELLS = frozenset(("", "nan", "none", "null", "na", "n/a", "-"))


def cell_text(cell: str | None) -> str:
    """A cell without blanks around it; empty for each way of writing that nothing is known."""
    found = (cell or "").strip()
    return "" if found.casefold() in EMPTY_CELLS else found


def our_column(name: str) -> str:
    """Our column that a name of theirs stands for, in any case and spelling; empty for none."""
    plain = re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).casefold()
    for ours in COLUMNS:
        if plain in (ours, *COLUMN_ALIASES.get(ours, ())):
            return ours
    return ""


def map_columns(their_columns: Sequence[str], given: ImportOptions, path: Path) -> dict[str, str]:
    """Our column -> theirs. Raises ``UsageError``: an unknown name, or a needed one that is not."""
    for ours, theirs in given.columns.items():
        if ours not in COLUMNS:
            raise UsageError(f"--map {ours}={theirs}: our columns are {', '.join(COLUMNS)}")
        if theirs not in their_columns:
            raise UsageError(
                f"--map {ours}={theirs}: {path} has {first_names(their_columns) or 'nothing'}"
            )
    found = dict(given.columns)
    for ours in COLUMNS:
        for name in (ours, *COLUMN_ALIASES.get(ours, ())):
            if name in their_columns:
                found.setdefault(ours, name)
        for name in their_columns:
            if our_column(name) == ours and name not in found.values():
                found.setdefault(ours, name)
    needed = ["instance_id", "resolved", *([] if given.system else ["system"])]
    missing = [name for name in needed if name not in found]
    if missing:
        raise UsageError(
            f"{path} has no column for {', '.join(missing)} (found: {first_names(their_columns)}):"
            f" say --map {missing[0]}=COLUMN"
        )
    return found
