"""Published outcomes: ``per_instance_details`` files and SWE-bench/experiments folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.outcomes.importers import mappings
from swe_router.outcomes.importers.gathering import (
    NO_VERDICT,
    Imported,
    ImportOptions,
    load_json,
    object_or_empty,
    parse_amount,
    parse_count,
    parse_usd,
    require_unique_names,
)
from swe_router.outcomes.importers.report_files import lists_failures, read_reports
from swe_router.outcomes.importers.trajectories import (
    predicted_models,
    trajectories,
    with_trajectory_usage,
)
from swe_router.outcomes.tables.table import OutcomeRow

DETAILS_KEY = "per_instance_details"


@dataclass(frozen=True)
class PublishedEntry:
    """One system of a file."""

    system: str
    model: str
    details: Mapping[str, Any]
    rate: float | None = None
    """Share resolved that the file itself publishes, in [0, 1]."""
    board: str = ""
    """Name of the list that it stands in, where there are several."""


def import_per_instance(path: Path, given: ImportOptions) -> Imported:
    """``{id: {api_calls, cost, resolved}}``: of one system, or of many as in leaderboards.json.

    What has no such details is read as ``mappings.import_answers`` does: ``{id: bool}`` and such.
    """
    rows: dict[tuple[str, str], tuple[OutcomeRow, str]] = {}
    seen: Counter[str] = Counter()
    remarks: dict[str, None] = {}
    for entry in published_entries(path, given.system):
        own = list(_rows_of_entry(entry, seen))
        for row in own:
            # A site lists a system on several boards: what is equal there is one run.
            before, where = rows.setdefault((row.instance_id, row.system), (row, entry.board))
            if replace(before, model="") != replace(row, model=""):
                raise UsageError(_disagreement_remark(path, (before, where), (row, entry.board)))
        if own and (line := _contradiction(entry, own)):
            remarks[line] = None
    if not rows:
        return mappings.import_answers(path, given)
    return Imported(tuple(row for row, _ in rows.values()), seen, tuple(remarks))


def _disagreement_remark(
    path: Path, one: tuple[OutcomeRow, str], other: tuple[OutcomeRow, str]
) -> str:
    """A remark on a system whose results differ between two boards of a file."""
    (before, first), (row, second) = one, other
    results = " against ".join(
        f"{'' if r.resolved else 'un'}resolved, cost {r.usd}, {r.steps} calls"
        for r in (before, row)
    )
    return (
        f"{path} has {row.system} on {row.instance_id} twice with different results: {results}"
        f" (boards {first or 'unnamed'} and {second or 'unnamed'}):"
        " which one holds? Leave the other out"
    )


def import_experiments(path: Path, given: ImportOptions) -> Imported:
    """A folder of SWE-bench/experiments, of one submission or of many side by side.

    As on the leaderboard a predicted instance that is not listed as resolved is unresolved.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is no folder")
    folders = [path] if _is_submission(path) else sorted(filter(_is_submission, path.iterdir()))
    if not folders:
        raise UsageError(f"{path} holds no results/results.json and no logs/*/report.json")
    rows: list[OutcomeRow] = []
    seen: Counter[str] = Counter()
    for folder in folders:
        name = given.system if given.system and len(folders) == 1 else folder.resolve().name
        rows += _import_submission(folder, name, seen)
    return Imported(tuple(rows), seen)


def published_entries(path: Path, system: str = "") -> list[PublishedEntry]:
    """Every system of a file. ``system`` names the only one of a bare file."""
    tree = load_json(path, hook=require_unique_names)
    if _bare_entry(tree):
        return [PublishedEntry(system or path.name.split(".")[0], "", tree)]
    found = list(_walk_entries(tree, "", ""))
    if system:
        found = [replace(one, system=system) for one in found] if len(found) == 1 else found
    return found


def _walk_entries(tree: Any, name: str, board: str) -> Iterator[PublishedEntry]:
    if isinstance(tree, list):
        for one in tree:
            yield from _walk_entries(one, name, board)
    elif isinstance(tree, Mapping):
        details = object_or_empty(tree.get(DETAILS_KEY))
        title = str(tree.get("name") or "")
        if _bare_entry(tree):
            yield PublishedEntry(name, "", tree, None, board)
        elif _bare_entry(details):
            rate = parse_amount(tree.get("resolved"))
            share = None if rate is None else rate / 100
            system = str(tree.get("folder") or title or name)
            yield PublishedEntry(system, title, details, share, board)
        else:
            for key, value in tree.items():
                yield from _walk_entries(value, str(key), title or board)


def _bare_entry(tree: Any) -> bool:
    if not isinstance(tree, Mapping) or not tree:
        return False
    return all(isinstance(one, Mapping) and "resolved" in one for one in tree.values())


def _rows_of_entry(entry: PublishedEntry, seen: Counter[str]) -> Iterator[OutcomeRow]:
    for name, cell in entry.details.items():
        if cell["resolved"] not in (True, False, 0, 1):
            seen[NO_VERDICT] += 1
            continue
        calls = parse_count(cell.get("api_calls"))
        yield OutcomeRow(
            instance_id=name,
            system=entry.system,
            resolved=bool(cell["resolved"]),
            model=entry.model,
            usd=parse_usd(cell.get("cost"), calls, seen),
            steps=calls,
        )


def _contradiction(entry: PublishedEntry, rows: list[OutcomeRow]) -> str:
    rate = sum(row.resolved for row in rows) / len(rows)
    if entry.rate is None or abs(rate - entry.rate) <= 0.02:
        return ""
    return (
        f"{entry.system}: its {len(rows)} instances are {rate:.1%} resolved, while the file itself"
        f" publishes {entry.rate:.1%}: one of the two is wrong"
    )


def _is_submission(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return (folder / "results" / "results.json").is_file() or any(folder.glob("logs/*/report.json"))


def _import_submission(folder: Path, system: str, seen: Counter[str]) -> Iterator[OutcomeRow]:
    closing = folder / "results" / "results.json"
    report, logs = closing, folder / "logs"
    if not closing.is_file() or (any(logs.glob("*/report.json")) and not lists_failures(closing)):
        report = logs
    verdicts, models = read_reports(report), predicted_models(folder)
    files = trajectories(folder / "trajs") if (folder / "trajs").is_dir() else {}
    if verdicts.winners_only and not {*models, *files} - verdicts.resolved_by_id.keys():
        raise UsageError(
            f"{report} lists winners only ({len(verdicts.resolved_by_id)} resolved) and"
            f" {folder} has no"
            " predictions or trajectories of others: the failed ones are not listed"
        )
    known = {**dict.fromkeys((*models, *files), False), **verdicts.resolved_by_id}
    details = folder / DETAILS_KEY
    cells = (
        object_or_empty(load_json(file)) if (file := details.with_suffix(".json")).is_file() else {}
    )
    for name in sorted(known):
        cell = object_or_empty(cells.get(name))
        calls = parse_count(cell.get("api_calls"))
        row = OutcomeRow(
            instance_id=name, system=system, resolved=known[name], model=models.get(name, "")
        )
        if "cost" not in cell and name in files:
            yield with_trajectory_usage(files[name], row, seen)
        else:
            yield replace(row, usd=parse_usd(cell.get("cost"), calls, seen), steps=calls)
