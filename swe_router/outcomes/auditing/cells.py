"""Faults of cells and columns: duplicates, impossible values, costs, price dates, ids."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.outcomes.auditing.findings import AuditFinding, some_systems
from swe_router.outcomes.importers.columns import cell_text, map_columns
from swe_router.outcomes.importers.gathering import INSTANCE_ID, ImportOptions
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable, parse_row, text_cells

MIN_ROWS_OF_CONSTANT = 20
"""Minimum rows before a constant column counts as a fault rather than chance."""
OUTLYING, TIMES = 6.0, 20.0
"""A cost is an outlier beyond so many robust deviations of log cost and so many medians.

Of the development tables' 6,888 real costs the furthest is 4.6 deviations and 61 medians out.
"""
TEST_REPO_OWNERS = frozenset(
    ("astropy", "django", "matplotlib", "mwaskom", "pallets", "psf", "pydata", "pylint-dev",
     "pytest-dev", "scikit-learn", "sphinx-doc", "sympy")
)  # fmt: skip
"""Owners of the repositories of the full, lite and verified test splits."""


def read_with_findings(path: Path) -> tuple[OutcomeTable, list[AuditFinding]]:
    """A table with its broken lines as findings instead of an error at the first.

    Raises ``UsageError`` when it has no rows, or lacks a column that must be.
    """
    there, lines = text_cells(path)
    names = map_columns(there, ImportOptions(), path)
    rows: dict[tuple[str, str, str], OutcomeRow] = {}
    broken: list[str] = []
    twice: list[str] = []
    blank = 0
    for number, line in enumerate(lines, 2):
        texts = {ours: cell_text(line.get(theirs)) for ours, theirs in names.items()}
        if not texts["resolved"]:
            blank += 1
            continue
        try:
            row = parse_row(texts, f"line {number}")
        except UsageError as error:
            broken.append(str(error))
            continue
        key = (row.instance_id, row.system, row.run)
        if key in rows:
            twice.append(f"{row.instance_id} of {row.system}, run {row.run} (line {number})")
        rows.setdefault(key, row)
    found = []
    if broken:
        found.append(
            AuditFinding("refuse", "impossible", f"{len(broken)} lines: {some_systems(broken)}")
        )
    if twice:
        found.append(
            AuditFinding("refuse", "duplicates", f"{len(twice)} rows again: {some_systems(twice)}")
        )
    if blank:
        found.append(AuditFinding("warn", "missing-verdicts", f"{blank} lines have no verdict"))
    if not rows and not found:
        raise UsageError(f"{path} has no rows")
    return OutcomeTable(tuple(rows.values()), str(path)), found


def cell_findings(table: OutcomeTable, known_ids: Collection[str] | None) -> Iterator[AuditFinding]:
    """All faults that cells and columns show; ``known_ids`` are the ids of the split, if given."""
    yield from _id_findings(table, known_ids)
    days = sorted({row.price_date for row in table.rows if row.price_date})
    if len(days) > 1:
        yield AuditFinding("warn", "price-dates", f"costs at the prices of {len(days)} days:"
                      f" {some_systems(days)}; price them again at one")  # fmt: skip
    if days and any(row.usd is not None and not row.price_date for row in table.rows):
        yield AuditFinding(
            "warn", "price-dates", f"billed costs next to ones at the prices of {days[0]}"
        )
    bare = all(row.usd is None for row in table.rows)
    if bare:
        yield AuditFinding(
            "warn", "missing-costs", "no row has a cost: no leaderboard can be computed"
        )
    for system, rows in rows_by_system(table).items():
        yield from _value_findings(system, rows)
        if not bare:
            yield from _cost_findings(system, rows)
        if (share := len({r.instance_id for r in rows}) / len(table.instances)) < 0.9:
            yield AuditFinding("warn", "coverage", f"has only {share:.0%} of the instances", system)


def rows_by_system(table: OutcomeTable) -> dict[str, list[OutcomeRow]]:
    """The rows of each system."""
    found: dict[str, list[OutcomeRow]] = {name: [] for name in table.systems}
    for row in table.rows:
        found[row.system].append(row)
    return found


def _value_findings(system: str, rows: Sequence[OutcomeRow]) -> Iterator[AuditFinding]:
    won = sum(row.resolved for row in rows)
    if len(rows) >= MIN_ROWS_OF_CONSTANT and won == len(rows):
        yield AuditFinding("refuse", "constant", f"all of {won} instances resolved", system)
    if len(rows) >= MIN_ROWS_OF_CONSTANT and won == 0:
        yield AuditFinding("warn", "constant", f"none of {len(rows)} instances resolved", system)
    for name in ("usd", "seconds", "input_tokens", "output_tokens"):
        values = [v for row in rows if (v := getattr(row, name)) is not None]
        if len(values) >= MIN_ROWS_OF_CONSTANT and len(set(values)) == 1 and values[0] != 0:
            yield AuditFinding("warn", "constant", f"{name} is {values[0]:g} in every row", system)
    idle = [r for r in rows if r.resolved and (r.steps == 0 or r.output_tokens == 0)]
    if idle:
        severity = "refuse" if len(idle) > max(1, 0.01 * len(rows)) else "warn"
        text = f"{len(idle)} instances resolved without a model call or an output token"
        yield AuditFinding(severity, "impossible", text, system)  # type: ignore[arg-type]
    measured = [replace(row, run="") for row in rows if row.usd or row.output_tokens or row.seconds]
    again = [one.instance_id for one, times in Counter(measured).items() if times > 1]
    if again:
        text = f"{len(again)} instances have one run under two numbers: {some_systems(again)}"
        yield AuditFinding("warn", "duplicates", text, system)


def _cost_findings(system: str, rows: Sequence[OutcomeRow]) -> Iterator[AuditFinding]:
    missing = sum(row.usd is None for row in rows)
    if missing:
        text = f"{missing} of {len(rows)} rows have no cost"
        yield AuditFinding(
            "warn", "missing-costs", f"{text}; they are left out of a leaderboard", system
        )
    # With a day of prices a 0 was computed: the tier was free. Without one the price was unknown.
    zeros = [row for row in rows if row.usd == 0 and not row.price_date and row.steps != 0]
    priced = len(rows) - missing
    if zeros:
        whole = len(zeros) == priced
        text = f"{len(zeros)} of {priced} costs are 0: an unknown cost must be empty"
        yield AuditFinding("refuse" if whole else "warn", "zero-costs", text, system)
    logs = [math.log(row.usd) for row in rows if row.usd]
    if len(logs) < MIN_ROWS_OF_CONSTANT:
        return
    middle = statistics.median(logs)
    spread = 1.4826 * statistics.median(abs(one - middle) for one in logs)
    far = max(OUTLYING * spread, math.log(TIMES))
    out = [row for row in rows if row.usd and abs(math.log(row.usd) - middle) > far]
    if out:
        worst = max(out, key=lambda row: abs(math.log(row.usd or 1) - middle))
        text = (f"{len(out)} costs are far from the median {math.exp(middle):.3g} USD,"
                f" e.g. {worst.usd:.3g} on {worst.instance_id}")  # fmt: skip
        yield AuditFinding("warn", "cost-outliers", text, system)


def _id_findings(table: OutcomeTable, known_ids: Collection[str] | None) -> Iterator[AuditFinding]:
    odd = [name for name in table.instances if not INSTANCE_ID.fullmatch(name)]
    if odd:
        text = f"{len(odd)} are no SWE-bench ids (owner__repo-number): {some_systems(odd)}"
        yield AuditFinding("warn", "ids", f"{text}; --split NAME says whose they are")
    if known_ids is not None:
        alien = [name for name in table.instances if name not in known_ids]
        if alien:
            text = (
                f"{len(alien)} of {len(table.instances)} ids are not of the split:"
                f" {some_systems(alien)}"
            )
            many = len(alien) > 0.05 * len(table.instances)
            yield AuditFinding("refuse" if many else "warn", "ids", text)
    foreign = [
        n for n in table.instances if n not in odd and n.split("__")[0] not in TEST_REPO_OWNERS
    ]
    if foreign and len(foreign) < len(table.instances) - len(odd):
        text = f"{len(foreign)} ids are of another benchmark than the rest: {some_systems(foreign)}"
        yield AuditFinding("warn", "ids", text)
