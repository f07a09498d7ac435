"""The forms that can be read, by name, and several paths made one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.outcomes.importers import mappings
from swe_router.outcomes.importers.gathering import Imported, Importer, ImportOptions, priced
from swe_router.outcomes.importers.published import experiments, per_instance
from swe_router.outcomes.importers.table_files import swe_effi, table
from swe_router.outcomes.importers.trajectories import PREDICTIONS, mini, swe_agent
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable

FORMS: Mapping[str, Importer] = {
    "csv": table,
    "mini": mini,
    "per-instance": per_instance,
    "swe-agent": swe_agent,
    "experiments": experiments,
    "swe-effi": swe_effi,
    "jsonl": mappings.imported_lines,
    "verdicts": mappings.answers,
}
"""Name of ``--format`` -> importer. Our own runs (``run``) are read by ``assemble.outcomes``."""

AUTO = "auto"
"""As ``--format``: what each path looks like."""
AGAIN = "the very same row a second time"


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
    return gather(FORMS["csv"], [path], ImportOptions()).table


def looks_like(path: Path) -> str:
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
    if any((path / name).is_file() for name in PREDICTIONS):
        return "swe-agent"
    raise UsageError(f"{path} looks like no form: say --format ({', '.join(sorted(FORMS))})")


def by_looks(path: Path, given: ImportOptions) -> Imported:
    """Each path in the form that it looks like."""
    form = looks_like(path)
    found = FORMS[form](path, given)
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
        fresh = _unique(path, found, importer in (table, swe_effi))
        rows += _numbered(rows, fresh, left)
    if not rows:
        why = "; ".join(f"{number} {reason}" for reason, number in left.items())
        raise UsageError(f"nothing to import: {why or 'no run was found'}")
    made = tuple(priced(row, given) for row in rows)
    remarks += _costless(made, given)
    remarks += _flawless(made)
    return Gathered(OutcomeTable(made, ", ".join(map(str, paths))), left, tuple(remarks))


def _unique(path: Path, found: Imported, mapped: bool) -> Sequence[OutcomeRow]:
    keys = Counter((row.instance_id, row.system, row.run) for row in found.rows)
    for (instance, system, run), number in keys.items():
        if number > 1:
            hint = " (a column of repeats is given by --map run=COLUMN)" if mapped else ""
            raise UsageError(
                f"{path} has {instance}, {system}, run {run} {number} times: which one holds?{hint}"
            )
    return found.rows


def _numbered(
    before: Sequence[OutcomeRow], fresh: Sequence[OutcomeRow], left: Counter[str]
) -> list[OutcomeRow]:
    known: dict[tuple[str, str], list[OutcomeRow]] = {}
    for row in before:
        known.setdefault((row.instance_id, row.system), []).append(row)
    out = []
    for row in fresh:
        earlier = known.get((row.instance_id, row.system), ())
        if any(replace(row, run=one.run) == one for one in earlier if _telling(one)):
            left[AGAIN] += 1
            continue
        taken = {one.run for one in earlier}
        free = (str(number) for number in count(len(taken) + 1) if str(number) not in taken)
        one = replace(row, run=next(free)) if row.run in taken else row
        out.append(one)
        if earlier:
            known[one.instance_id, one.system].append(one)
    return out


def _telling(row: OutcomeRow) -> bool:
    """Two runs cannot agree in cost, tokens or seconds by chance; in the verdict alone they can."""
    return row.usd is not None or row.seconds is not None or row.output_tokens is not None


def _flawless(rows: Sequence[OutcomeRow]) -> list[str]:
    lost = {row.system for row in rows if not row.resolved}
    won = Counter(row.system for row in rows if row.system not in lost)
    return [
        f"all {number} runs of {system} are resolved: check that failed ones were not left out"
        for system, number in won.items()
        if number > 1
    ]


def _costless(rows: Sequence[OutcomeRow], given: ImportOptions) -> list[str]:
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
