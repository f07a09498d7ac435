"""Run folders of mini-swe-agent and SWE-agent: one trajectory per instance, and verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swe_router.candidates import mini_swe_agent as mini_swe
from swe_router.candidates import swe_agent as sweagent
from swe_router.candidates import trajectory
from swe_router.errors import UsageError
from swe_router.outcomes.importers.gathering import (
    NO_VERDICT,
    Imported,
    ImportOptions,
    json_lines,
    list_or_empty,
    load_json,
    object_or_empty,
    parse_amount,
    parse_count,
    parse_usd,
)
from swe_router.outcomes.importers.report_files import read_reports
from swe_router.outcomes.tables.table import OutcomeRow
from swe_router.records import Usage

MAX_SHOWN_NAMES = 5
"""Files named that could not be read whole."""
Reader = Callable[[Mapping[str, Any], OutcomeRow, Counter[str]], OutcomeRow]


def import_mini(path: Path, given: ImportOptions) -> Imported:
    """A mini-swe-agent folder: ``ID/ID.traj.json`` (or flat, or .gz) and ``preds.json``.

    Formats "mini-swe-agent-1" and "-1.1": ``info.model_stats``, ``info.config.model``, and per
    message ``extra.response.usage`` and ``extra.timestamp``.
    """
    return _import_folder(path, given, (".traj.json", ".traj.json.gz"), _read_mini)


def import_swe_agent(path: Path, given: ImportOptions) -> Imported:
    """A SWE-agent folder: ``ID/ID.traj``, predictions, and ``results.json`` unless given."""
    return _import_folder(path, given, (".traj",), _read_swe_agent)


def _import_folder(
    path: Path, given: ImportOptions, endings: Sequence[str], reader: Reader
) -> Imported:
    if not path.is_dir():
        raise UsageError(f"{path} is no run folder")
    report = _report_verdicts(path, given)
    verdicts = read_reports(report)
    known = verdicts.resolved_by_id
    models = predicted_models(path)
    files = _trajectory_by_instance(path, endings)
    if not files and not models:
        raise UsageError(f"{path} holds no *{endings[0]} and no predictions")
    seen: Counter[str] = Counter()
    unread: dict[Path, str] = {}
    rows = []
    for name in dict.fromkeys((*files, *models)):
        if name not in known:
            seen[NO_VERDICT] += 1
            continue
        row = OutcomeRow(
            instance_id=name, system="", resolved=known[name], model=models.get(name, "")
        )
        if name in files:
            tree = object_or_empty(load_json(files[name]))
            unread[files[name]] = _unread_calls_remark(tree, name)
            row = reader(tree, row, seen)
        rows.append(replace(row, system=given.system or path.resolve().name))
    silent = [name for name in dict.fromkeys((*files, *models)) if name not in known]
    if silent and (
        verdicts.winners_only or (report.is_file() and verdicts.lists_only_winners(silent))
    ):
        raise UsageError(winners_only_remark(report, len(known), len(silent)))
    remarks = [f"{file}: {gap}" for file, gap in unread.items() if gap]
    more = (
        [f"and {len(remarks) - MAX_SHOWN_NAMES} more such files"]
        if len(remarks) > MAX_SHOWN_NAMES
        else []
    )
    return Imported(tuple(rows), seen, (*remarks[:MAX_SHOWN_NAMES], *more))


def _unread_calls_remark(tree: Mapping[str, Any], name: str) -> str:
    """A remark on calls that were not read: the tokens stay missing. Empty when all were read."""
    if not any(isinstance(tree.get(key), list) for key in ("trajectory", "attempts", "messages")):
        return "it holds no trajectory: no cost, steps or tokens are taken from it"
    reader = (
        sweagent.read_swe_agent
        if "trajectory" in tree or "attempts" in tree
        else mini_swe.read_mini_swe_agent
    )
    return reader(tree, name, name).remark


def _report_verdicts(path: Path, given: ImportOptions) -> Path:
    if given.reports is not None:
        return given.reports
    for name in ("results.json", "report.json", "results/results.json", "results/report.json"):
        if (path / name).is_file():
            return path / name
    if any(path.rglob("*report.json")):
        return path
    raise UsageError(
        f"{path} holds no official verdicts: give --reports FILE, the report of swebench's"
        " run_evaluation or sb-cli (resolved_ids), or its folder of report.json files"
    )


def winners_only_remark(report: Path, won: int, silent: int) -> str:
    """A remark on a report that would make a table of winners."""
    return (
        f"{report} lists winners only: {won} resolved, and nothing of the other {silent} runs."
        " Give a report that also lists the failed ones (unresolved_ids, or {id: bool}), or import"
        " the predictions with --format experiments, where what is not listed is unresolved"
    )


def _trajectory_by_instance(path: Path, endings: Sequence[str]) -> dict[str, Path]:
    """Instance id -> its trajectory. Raises ``UsageError`` where one has several unlike ones."""
    found: dict[str, Path] = {}
    for name, file in sorted(_trajectory_files(path, endings)):
        before = found.setdefault(name, file)
        if before != file and load_json(before) != load_json(file):
            raise UsageError(
                f"{path} holds {name} more than once ({before} and {file}): which run holds? Give"
                " each run's folder as a path of its own"
            )
    return found


def _trajectory_files(path: Path, endings: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for file in (*path.glob("*/*/*"), *path.glob("*/*"), *path.glob("*")):
        for ending in endings:
            if file.name.endswith(ending) and file.is_file():
                yield file.name.removesuffix(ending), file


PREDICTIONS_FILES = tuple(
    f"{name}{ending}" for ending in (".json", ".jsonl")
    for name in ("preds", "all_preds", "predictions")
)  # fmt: skip


def predicted_models(path: Path) -> dict[str, str]:
    """Instance id -> model name of the first predictions file of a folder."""
    found: dict[str, str] = {}
    for file in (path / name for name in PREDICTIONS_FILES):
        if not file.is_file():
            continue
        if file.suffix == ".jsonl":
            listed = json_lines(file)
        else:
            tree = load_json(file)
            keyed = object_or_empty(tree).items()
            listed = [
                *list_or_empty(tree),
                *({"instance_id": k, **object_or_empty(v)} for k, v in keyed),
            ]
        for one in map(object_or_empty, listed):
            if isinstance(one.get("instance_id"), str):
                found[one["instance_id"]] = str(one.get("model_name_or_path") or "")
        if found:
            break
    return found


def with_trajectory_usage(file: Path, row: OutcomeRow, seen: Counter[str]) -> OutcomeRow:
    """The row with the cost, steps and tokens that a run's own trajectory tells."""
    tree = object_or_empty(load_json(file))
    peer = "trajectory" in tree or "attempts" in tree
    return (_read_swe_agent if peer else _read_mini)(tree, row, seen)


def trajectories(path: Path) -> dict[str, Path]:
    """Instance id -> its trajectory of either kind, in a folder or in folders of its own."""
    return _trajectory_by_instance(path, (".traj", ".traj.json", ".traj.json.gz"))


def _read_mini(tree: Mapping[str, Any], row: OutcomeRow, seen: Counter[str]) -> OutcomeRow:
    info = object_or_empty(tree.get("info"))
    stats = object_or_empty(info.get("model_stats"))
    calls = parse_count(stats.get("api_calls"))
    model = object_or_empty(object_or_empty(info.get("config")).get("model")).get("model_name")
    messages = [object_or_empty(m) for m in list_or_empty(tree.get("messages"))]
    extras = [object_or_empty(message.get("extra")) for message in messages]
    # Format 1 gives the times of messages only as the servers' own "created".
    times = [t for e in extras if (t := parse_amount(e.get("timestamp"))) is not None]
    usages = mini_swe.usages(tree)
    # Tokens of some of the calls would pass for those of all.
    tokens = _token_sums(usages) if usages and len(usages) == calls else {}
    return replace(
        row,
        usd=parse_usd(stats.get("instance_cost"), calls, seen),
        steps=calls,
        model=str(model or row.model),
        seconds=max(times) - min(times) if len(times) > 1 else None,
        input_tokens=tokens.get("input_tokens"),
        cache_read_tokens=tokens.get("cache_read_tokens"),
        cache_write_tokens=tokens.get("cache_write_tokens") or None,
        output_tokens=tokens.get("output_tokens"),
    )


def _token_sums(usages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Sums over calls; nothing when one of them tells no counts."""
    if not all(map(trajectory.has_both_counts, usages)):
        return {}
    total = sum(map(trajectory.usage_of, usages), Usage())
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    return {name: getattr(total, name) for name in names}


def _read_swe_agent(tree: Mapping[str, Any], row: OutcomeRow, seen: Counter[str]) -> OutcomeRow:
    stats = sweagent.stats_of(tree)
    calls = parse_count(stats.get("api_calls"))
    sent, received = (
        parse_count(stats.get("tokens_sent")),
        parse_count(stats.get("tokens_received")),
    )
    return replace(
        row,
        usd=parse_usd(stats.get("instance_cost"), calls, seen),
        steps=calls,
        model=_replayed_model(tree) or row.model,
        input_tokens=sent or None,
        output_tokens=received or None,
    )


def _replayed_model(tree: Mapping[str, Any]) -> str:
    config = tree.get("replay_config")
    if isinstance(config, str):
        try:
            config = json.loads(config)
        except ValueError:
            return ""
    agent = object_or_empty(object_or_empty(config).get("agent"))
    return str(object_or_empty(agent.get("model")).get("name") or "")
