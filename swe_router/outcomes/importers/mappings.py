"""Verdicts by key: ``{id: bool}``, ``{run: {id: bool}}``, JSON lines, and a column per system."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swe_router.candidates import trajectory
from swe_router.errors import UsageError
from swe_router.outcomes.importers.columns import COLUMN_ALIASES, cell_text, map_columns, our_column
from swe_router.outcomes.importers.gathering import (
    INSTANCE_ID,
    NO_VERDICT,
    Imported,
    ImportOptions,
    first_names,
    json_lines,
    load_json,
    object_or_empty,
    parse_usd,
    require_unique_names,
)
from swe_router.outcomes.importers.report_files import (
    NESTED_KEYS,
    looks_like_an_id,
    verdict_of_entry,
    verdicts_of_lists,
)
from swe_router.outcomes.tables.table import COLUMNS, OutcomeRow, parse_row

_RUN_KEY = re.compile(
    r"(?:run|trial|seed|attempt|repeat|rep|sample|iter(?:ation)?)?[ _#-]*(\d+)", re.I
)
_PLAIN_FILE_NAMES = frozenset(
    ("eval_results", "results", "report", "verdicts", "per_run_results", "outcomes")
)
"""Names of files that say nothing of the system: their folder is taken."""
_TRUE_CELLS = frozenset(("1", "true", "1.0", "yes", "t", "y"))
_FALSE_CELLS = frozenset(("0", "false", "0.0", "no", "f", "n"))
_TOKEN_COLUMNS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
_MAX_DEPTH = 2
"""Levels of objects in a line that are looked into."""
_SYSTEM_KEYS = ("subject_id", "system", "agent", "model", "name", "submission")


@dataclass(frozen=True)
class _ReportedResult:
    """Verdicts that stand under one key."""

    key: str
    by_id: Mapping[str, bool]
    silent: int
    """Entries without a verdict."""


def import_answers(path: Path, given: ImportOptions) -> Imported:
    """``{id: bool}`` of one system, or such objects by run (``run_1``) or by system name.

    ``{id: {run: bool}}`` and ``{id: [bool, …]}`` are the same, turned; in the place of ``{id:
    bool}`` there may be a closing report (``resolved_ids``). A list of objects is read as
    ``lines``. 0 and 1 are verdicts too, and so is ``{"resolved": bool}``. Keys are runs of one
    system where they are numbers or say run, seed, trial and the like, or where ``--system`` is
    given.
    """
    tree = load_json(path, hook=require_unique_names)
    if isinstance(tree, list) and any(isinstance(one, Mapping) for one in tree):
        return _rows_of_lines(path, tree, given)
    parts = list(_answer_objects(_answers_by_run(tree), ""))
    if not parts:
        raise UsageError(
            f"{path} holds no verdicts and no per_instance_details: {{id: true or false}},"
            " {id: {resolved, cost, api_calls}}, such objects by run or system, or a closing report"
            " (a summary in figures is none)"
        )
    runs = bool(given.system) or all(_RUN_KEY.fullmatch(one.key) for one in parts if one.key)
    own = given.system or _system_from_path(path)
    rows = []
    for part in parts:
        run = _RUN_KEY.fullmatch(part.key)
        name = own if runs or not part.key else part.key
        number = (str(int(run[1])) if run else part.key) if runs and part.key else "1"
        rows += [OutcomeRow(instance_id=key, system=name, resolved=value, run=number)
                 for key, value in part.by_id.items()]  # fmt: skip
    silent = sum(part.silent for part in parts)
    seen = {NO_VERDICT: silent} if silent else {}
    keyed = [part.key for part in parts if part.key]
    how = f"{len(keyed)} runs of {own}" if runs else f"{len(keyed)} systems"
    remarks = (f"{path}: its keys ({first_names(keyed, 3)}) are read as {how}",) if keyed else ()
    return Imported(tuple(rows), seen, remarks)


def _answer_objects(tree: Any, key: str, deep: int = 0) -> Iterator[_ReportedResult]:
    """Each object whose keys are instances, with the key that it stands under."""
    if not isinstance(tree, Mapping) or deep > 3:
        return
    lists = verdicts_of_lists(tree)
    if lists is not None and lists.resolved_by_id:
        if lists.winners_only:
            raise UsageError(
                f"{key or 'the report'} lists winners only ({len(lists.resolved_by_id)} resolved):"
                " it does not list the failed ones (unresolved_ids)"
            )
        yield _ReportedResult(key, lists.resolved_by_id, 0)
        return
    known = {
        str(name): verdict
        for name, value in tree.items()
        if looks_like_an_id(str(name)) and (verdict := verdict_of_entry(value)) is not None
    }
    if known:
        silent = sum(looks_like_an_id(str(name)) for name in tree) - len(known)
        yield _ReportedResult(key, known, silent)
        return
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _answer_objects(
                value, key if str(name) in NESTED_KEYS else str(name), deep + 1
            )


def _answers_by_run(tree: Any) -> Any:
    """``{id: {run: verdict}}`` and ``{id: [verdict, …]}`` as ``{run: {id: verdict}}``."""
    if not isinstance(tree, Mapping) or not tree:
        return tree
    turned: dict[str, dict[str, Any]] = {}
    for name, value in tree.items():
        inner = dict(enumerate(value, 1)) if isinstance(value, list) else value
        if not isinstance(inner, Mapping) or not INSTANCE_ID.fullmatch(str(name)):
            return tree
        for key, verdict in inner.items():
            if our_column(str(key)) or INSTANCE_ID.fullmatch(str(key)):
                return tree
            turned.setdefault(str(key), {})[str(name)] = verdict
    verdicts = [verdict_of_entry(one) for by_id in turned.values() for one in by_id.values()]
    return turned if any(one is not None for one in verdicts) else tree


def _system_from_path(path: Path) -> str:
    stem = path.name.split(".")[0]
    return path.resolve().parent.name if stem.casefold() in _PLAIN_FILE_NAMES else stem


def import_json_lines(path: Path, given: ImportOptions) -> Imported:
    """JSON lines with one run per line, under our names, usual other ones, or camelCase ones.

    A line may also hold the verdicts of a whole system: ``{"subject_id": …, "responses":
    {id: 0 or 1}}``. What stands in an object (``usage``) is taken as if it stood on the line.
    """
    return _rows_of_lines(path, json_lines(path), given)


def _rows_of_lines(path: Path, values: Sequence[Any], given: ImportOptions) -> Imported:
    rows: list[OutcomeRow] = []
    seen: Counter[str] = Counter()
    for number, value in enumerate(values, 1):
        where = f"{path}:{number}"
        line = object_or_empty(value)
        if not line:
            raise UsageError(f"{where} is no JSON object")
        inner = (v for v in line.values() if isinstance(v, Mapping))
        whole = next((v for v in inner if any(_answer_objects(v, ""))), None)
        if whole is not None:
            rows += _system_of(line, whole, given, where)
            continue
        cells = _flat_cells(line)
        names = map_columns(list(cells), given, path)
        texts = {ours: cell_text(cells.get(theirs)) for ours, theirs in names.items()}
        if given.system:
            texts["system"] = given.system
        if not texts["resolved"]:
            seen[NO_VERDICT] += 1
            continue
        row = parse_row(texts, where)
        rows.append(
            row if row.price_date else replace(row, usd=parse_usd(row.usd, row.steps, seen))
        )
    if not rows and not seen:
        raise UsageError(f"{path} has no lines")
    return Imported(tuple(rows), seen)


def _system_of(
    line: Mapping[str, Any], whole: Any, given: ImportOptions, where: str
) -> list[OutcomeRow]:
    name = given.system or next(
        (str(line[k]) for k in _SYSTEM_KEYS if isinstance(line.get(k), str)), ""
    )
    if not name:
        raise UsageError(f"{where} names no system: say --system NAME")
    (part,) = list(_answer_objects(whole, ""))[:1]
    return [
        OutcomeRow(instance_id=key, system=name, resolved=value)
        for key, value in part.by_id.items()
    ]


def _flat_cells(line: Mapping[str, Any]) -> dict[str, str | None]:
    """The cells of a line as text, those of objects in it too; what stands on it goes first.

    Of an object that counts a provider's tokens the counts are separated: its prompt may hold
    what was read from a cache.
    """
    found: dict[str, str | None] = {}
    parts: list[Mapping[str, Any]] = [line]
    for _ in range(_MAX_DEPTH):
        fresh = [value for part in parts for value in part.values() if isinstance(value, Mapping)
                 and not trajectory.has_both_counts(value)]  # fmt: skip
        parts += [one for one in fresh if one not in parts]
    own = {our_column(str(key)) for key in line}
    counts = (v for part in parts for v in part.values()
              if isinstance(v, Mapping) and trajectory.has_both_counts(v))  # fmt: skip
    if (usage := next(counts, None)) is not None:
        sums = trajectory.usage_of(usage)
        found = {name: str(getattr(sums, name)) for name in _TOKEN_COLUMNS if name not in own}
    for part in parts:
        for key, value in part.items():
            if value is None or isinstance(value, str | int | float | bool):
                found.setdefault(str(key), None if value is None else str(value))
    for key in [key for key in found if re.search(r"(?i)(?:_ms|Ms|millis)$", key)]:
        plain = re.sub(r"(?i)_?(?:ms|millis)$", "", key)
        try:
            found.setdefault(f"{plain}_seconds", str(float(found[key] or "") / 1000))
        except ValueError:
            continue
    return found


def import_wide_table(path: Path, there: Sequence[str], cells: Sequence[Mapping[str, str | None]],
         given: ImportOptions) -> Imported:  # fmt: skip
    """A table with one row per instance and one column per system, of 0 and 1 or true and false.

    Raises ``UsageError``: no column of ids, or none of verdicts.
    """
    ids = given.columns.get("instance_id") or next(
        (name for name in there if our_column(name) == "instance_id"), ""
    )
    systems = verdict_columns(there, cells, ids)
    if not ids or not systems:
        what = "instance_id" if not ids else "resolved, and none that holds verdicts of a system"
        raise UsageError(
            f"{path} has no column for {what} (found: {first_names(there)}): say --map"
            f" {'instance_id' if not ids else 'resolved'}=COLUMN"
        )
    seen: Counter[str] = Counter()
    rows = []
    for number, line in enumerate(cells, 2):
        name = cell_text(line.get(ids))
        for system in systems:
            cell = cell_text(line.get(system))
            if not cell:
                seen[NO_VERDICT] += 1
                continue
            named = {"instance_id": name, "system": system, "resolved": cell}
            rows.append(parse_row(named, f"{path}:{number}"))
    remark = f"{path}: {len(systems)} columns are read as one system each: {first_names(systems)}"
    return Imported(tuple(rows), seen, (remark,))


def verdict_columns(
    there: Sequence[str], cells: Sequence[Mapping[str, str | None]], ids: str
) -> list[str]:
    """Columns in which every cell that is filled is a verdict, and that are no column of ours."""
    known = {*COLUMNS, *(alias for names in COLUMN_ALIASES.values() for alias in names), ids}
    found = []
    for name in there:
        values = {cell_text(line.get(name)).casefold() for line in cells} - {""}
        if name and name not in known and values and values <= _TRUE_CELLS | _FALSE_CELLS:
            found.append(name)
    return found
