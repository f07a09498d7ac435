"""The forms that can be read, by name, and several paths made one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.outcomes.importers import mappings
from swe_router.outcomes.importers.gathering import (
    Imported,
    Importer,
    ImportOptions,
    with_usd_from_tokens,
)
from swe_router.outcomes.importers.published import import_experiments, import_per_instance
from swe_router.outcomes.importers.table_files import import_swe_effi, import_table
from swe_router.outcomes.importers.trajectories import (
    PREDICTIONS_FILES,
    import_mini,
    import_swe_agent,
)
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable

IMPORTERS_BY_FORM: Mapping[str, Importer] = {
    "csv": import_table,
    "mini": import_mini,
    "per-instance": import_per_instance,
    "swe-agent": import_swe_agent,
    "experiments": import_experiments,
    "swe-effi": import_swe_effi,
    "jsonl": mappings.import_json_lines,
    "verdicts": mappings.import_answers,
}
"""Name of ``--format`` -> importer. Our own runs (``run``) are read by ``assemble.outcomes``."""

AUTO_FORM = "auto"
"""As ``--format``: what each path looks like."""
REPEATED_ROW = "the very same row a second time"


@dataclass(frozen=True)
class Gathered:
    """A table with what was left out on the way."""

    table: OutcomeTable
    left_out: Mapping[str, int]
    """Reason -> number of runs."""
    remarks: tuple[str, ...]


def read_table(path: Path) -> OutcomeTable:
    """A table in our schema or with columns under the usual other names (``cost_usd``).

    Raises ``UsageError`` as ``gather`` does.
    """
    return gather(IMPORTERS_BY_FORM["csv"], [path], ImportOptions()).table


def guess_form(path: Path) -> str:
    """The form that a path seems to have, by its name and what lies in it.

    Raises ``UsageError`` for a folder of no form.
    """
    if not path.is_dir():
        name = path.name.removesuffix(".gz")
        return {".jsonl": "jsonl", ".json": "per-instance"}.get(Path(name).suffix, "csv")
    for form, endings in (("mini", (".traj.json", ".traj.json.gz")), ("swe-agent", (".traj",))):
        if any(next(path.glob(f"{deep}*{end}"), None) for end in endings for deep in ("", "*/")):
            return form
    for inner in ("results/results.json", "logs/*/report.json", "*/results/results.json",
                  "*/logs/*/report.json"):  # fmt: skip
        if next(path.glob(inner), None):
            return "experiments"
    if any((path / name).is_file() for name in PREDICTIONS_FILES):
        return "swe-agent"
    raise UsageError(
        f"{path} looks like no form: say --format ({', '.join(sorted(IMPORTERS_BY_FORM))})"
    )


def import_in_guessed_form(path: Path, given: ImportOptions) -> Imported:
    """Each path in the form that it looks like."""
    form = guess_form(path)
    found = IMPORTERS_BY_FORM[form](path, given)
    return replace(found, remarks=(f"{path} is read as --format {form}", *found.remarks))


def gather(importer: Importer, paths: Sequence[Path], given: ImportOptions) -> Gathered:
    """Every path read and made one table, priced where the user gave a day.

    A further path with the same system on the same instance holds a repeat: its run is numbered
    on. Raises ``UsageError``: a path that cannot be read, a row twice in one path, no row at all.
    """
    rows: list[OutcomeRow] = []
    left: Counter[str] = Counter()
    remarks: list[str] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}")
        found = importer(path, given)
        left.update(found.left_out)
        remarks += found.remarks
        fresh = _without_repeated_rows(path, found, importer in (import_table, import_swe_effi))
        rows += _with_run_numbers(rows, fresh, left)
    if not rows:
        why = "; ".join(f"{number} {reason}" for reason, number in left.items())
        raise UsageError(f"nothing to import: {why or 'no run was found'}")
    made = tuple(with_usd_from_tokens(row, given) for row in rows)
    remarks += _cost_remarks(made, given)
    remarks += _rows_without_faults(made)
    return Gathered(OutcomeTable(made, ", ".join(map(str, paths))), left, tuple(remarks))


def _without_repeated_rows(path: Path, found: Imported, mapped: bool) -> Sequence[OutcomeRow]:
    keys = Counter((row.instance_id, row.system, row.run) for row in found.rows)
    for (instance, system, run), number in keys.items():
        if number > 1:
            hint = " (a column of repeats is given by --map run=COLUMN)" if mapped else ""
            raise UsageError(
                f"{path} has {instance}, {system}, run {run} {number} times: which one holds?{hint}"
            )
    return found.rows


def _with_run_numbers(
    before: Sequence[OutcomeRow], fresh: Sequence[OutcomeRow], left: Counter[str]
) -> list[OutcomeRow]:
    known: dict[tuple[str, str], list[OutcomeRow]] = {}
    for row in before:
        known.setdefault((row.instance_id, row.system), []).append(row)
    out = []
    for row in fresh:
        earlier = known.get((row.instance_id, row.system), ())
        if any(replace(row, run=one.run) == one for one in earlier if _identifies_run(one)):
            left[REPEATED_ROW] += 1
            continue
        taken = {one.run for one in earlier}
        free = (str(number) for number in count(len(taken) + 1) if str(number) not in taken)
        one = replace(row, run=next(free)) if row.run in taken else row
        out.append(one)
        if earlier:
            known[one.instance_id, one.system].append(one)
    return out


def _identifies_run(row: OutcomeRow) -> bool:
    """Two runs cannot agree in cost, tokens or seconds by chance; in the verdict alone they can."""
    return row.usd is not None or row.seconds is not None or row.output_tokens is not None


def _rows_without_faults(rows: Sequence[OutcomeRow]) -> list[str]:
    lost = {row.system for row in rows if not row.resolved}
    won = Counter(row.system for row in rows if row.system not in lost)
    return [
        f"all {number} runs of {system} are resolved: check that failed ones were not left out"
        for system, number in won.items()
        if number > 1
    ]


def _cost_remarks(rows: Sequence[OutcomeRow], given: ImportOptions) -> list[str]:
    bare = [row for row in rows if row.usd is None]
    if not bare:
        return []
    line = f"{len(bare)} of {len(rows)} rows have no cost; it stays missing"
    tokens = {row.model or row.system for row in bare if row.output_tokens is not None}
    if tokens and given.prices_at is None:
        line += "; they have tokens: --prices-at YYYY-MM-DD prices them"
    elif tokens:
        line += f"; no price is known on {given.prices_at} for {', '.join(sorted(tokens))}"
    return [line]
