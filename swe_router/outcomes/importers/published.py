"""Published outcomes: ``per_instance_details`` files and SWE-bench/experiments folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swe_router.errors import UsageError
from swe_router.outcomes.importers.base import (
    NO_VERDICT,
    Given,
    Imported,
    amount,
    cost,
    count,
    load_json,
    table_of,
)
from swe_router.outcomes.importers.reports import verdicts
from swe_router.outcomes.importers.trajectories import predicted
from swe_router.outcomes.table import Row

DETAILS = "per_instance_details"


@dataclass(frozen=True)
class Entry:
    """One system of a file."""

    system: str
    model: str
    details: Mapping[str, Any]
    rate: float | None = None
    """Share resolved that the file itself publishes, in [0, 1]."""


def per_instance(path: Path, given: Given) -> Imported:
    """``{id: {api_calls, cost, resolved}}``: of one system, or of many as in leaderboards.json."""
    rows: list[Row] = []
    seen: Counter[str] = Counter()
    remarks = []
    for entry in entries(path, given.system):
        own = list(_of_entry(entry, seen))
        rows += own
        if own and (line := _contradiction(entry, own)):
            remarks.append(line)
    if not rows:
        raise UsageError(f"{path} holds no {DETAILS} ({{id: {{resolved, cost, api_calls}}}})")
    return Imported(tuple(rows), seen, tuple(remarks))


def experiments(path: Path, given: Given) -> Imported:
    """A folder of SWE-bench/experiments, of one submission or of many beside each other.

    As on the leaderboard a predicted instance that is not listed as resolved is unresolved.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is no folder")
    folders = [path] if _is_submission(path) else sorted(filter(_is_submission, path.iterdir()))
    if not folders:
        raise UsageError(f"{path} holds no results/results.json and no logs/*/report.json")
    rows: list[Row] = []
    seen: Counter[str] = Counter()
    for folder in folders:
        name = given.system if given.system and len(folders) == 1 else folder.resolve().name
        rows += _submission(folder, name, seen)
    return Imported(tuple(rows), seen)


def entries(path: Path, system: str = "") -> list[Entry]:
    """Every system of a file. ``system`` names the only one of a bare file."""
    tree = load_json(path)
    if _bare(tree):
        return [Entry(system or path.name.split(".")[0], "", tree)]
    found = list(_walk(tree, ""))
    if system:
        found = [replace(one, system=system) for one in found] if len(found) == 1 else found
    return found


def _walk(tree: Any, name: str) -> Iterator[Entry]:
    if isinstance(tree, list):
        for one in tree:
            yield from _walk(one, name)
    elif isinstance(tree, Mapping):
        details = table_of(tree.get(DETAILS))
        if _bare(tree):
            yield Entry(name, "", tree)
        elif _bare(details):
            title = str(tree.get("name") or "")
            rate = amount(tree.get("resolved"))
            share = None if rate is None else rate / 100
            yield Entry(str(tree.get("folder") or title or name), title, details, share)
        else:
            for key, value in tree.items():
                yield from _walk(value, str(key))


def _bare(tree: Any) -> bool:
    if not isinstance(tree, Mapping) or not tree:
        return False
    return all(isinstance(one, Mapping) and "resolved" in one for one in tree.values())


def _of_entry(entry: Entry, seen: Counter[str]) -> Iterator[Row]:
    for name, cell in entry.details.items():
        if cell["resolved"] not in (True, False, 0, 1):
            seen[NO_VERDICT] += 1
            continue
        calls = count(cell.get("api_calls"))
        yield Row(
            instance_id=name,
            system=entry.system,
            resolved=bool(cell["resolved"]),
            model=entry.model,
            usd=cost(cell.get("cost"), calls, seen),
            steps=calls,
        )


def _contradiction(entry: Entry, rows: list[Row]) -> str:
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


def _submission(folder: Path, system: str, seen: Counter[str]) -> Iterator[Row]:
    closing = folder / "results" / "results.json"
    known = verdicts(closing if closing.is_file() else folder / "logs")
    models = predicted(folder)
    known = {**dict.fromkeys(models, False), **known}
    details = folder / DETAILS
    cells = table_of(load_json(file)) if (file := details.with_suffix(".json")).is_file() else {}
    for name in sorted(known):
        cell = table_of(cells.get(name))
        calls = count(cell.get("api_calls"))
        yield Row(
            instance_id=name,
            system=system,
            resolved=known[name],
            model=models.get(name, ""),
            usd=cost(cell.get("cost"), calls, seen),
            steps=calls,
        )
