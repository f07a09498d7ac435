"""Run folders of mini-swe-agent and SWE-agent: a trajectory an instance, verdicts beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
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
    list_of,
    load_json,
    table_of,
)
from swe_router.outcomes.importers.reports import verdicts
from swe_router.outcomes.table import Row

Reader = Callable[[Mapping[str, Any], Row, Counter[str]], Row]


def mini(path: Path, given: Given) -> Imported:
    """A mini-swe-agent folder: ``ID/ID.traj.json`` (or flat, or .gz) and ``preds.json``.

    Formats "mini-swe-agent-1" and "-1.1": ``info.model_stats``, ``info.config.model``, and per
    message ``extra.response.usage`` and ``extra.timestamp``.
    """
    return _folder(path, given, (".traj.json", ".traj.json.gz"), _of_mini)


def swe_agent(path: Path, given: Given) -> Imported:
    """A SWE-agent folder: ``ID/ID.traj``, predictions, and ``results.json`` unless given."""
    return _folder(path, given, (".traj",), _of_swe_agent)


def _folder(path: Path, given: Given, endings: Sequence[str], reader: Reader) -> Imported:
    if not path.is_dir():
        raise UsageError(f"{path} is no run folder")
    known = verdicts(_reports(path, given))
    models = predicted(path)
    files = dict(sorted(_trajectories(path, endings)))
    if not files and not models:
        raise UsageError(f"{path} holds no *{endings[0]} and no predictions")
    seen: Counter[str] = Counter()
    rows = []
    for name in dict.fromkeys((*files, *models)):
        if name not in known:
            seen[NO_VERDICT] += 1
            continue
        row = Row(instance_id=name, system="", resolved=known[name], model=models.get(name, ""))
        if name in files:
            row = reader(table_of(load_json(files[name])), row, seen)
        rows.append(replace(row, system=given.system or path.resolve().name))
    return Imported(tuple(rows), seen)


def _reports(path: Path, given: Given) -> Path:
    if given.reports is not None:
        return given.reports
    for name in ("results.json", "report.json"):
        if (path / name).is_file():
            return path / name
    if any(path.rglob("*report.json")):
        return path
    raise UsageError(
        f"{path} holds no official verdicts: give --reports FILE, the report of swebench's"
        " run_evaluation or sb-cli (resolved_ids), or its folder of report.json files"
    )


def _trajectories(path: Path, endings: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for file in (*path.glob("*"), *path.glob("*/*")):
        for ending in endings:
            if file.name.endswith(ending) and file.is_file():
                yield file.name.removesuffix(ending), file


def predicted(path: Path) -> dict[str, str]:
    """Instance id -> model name of the predictions files of a folder."""
    found: dict[str, str] = {}
    if (path / "preds.json").is_file():
        tree = load_json(path / "preds.json")
        keyed = table_of(tree).items()
        entries = [*list_of(tree), *({"instance_id": k, **table_of(v)} for k, v in keyed)]
    else:
        entries = [entry for name in ("preds.jsonl", "all_preds.jsonl") for entry in
                   _lines(path / name)]  # fmt: skip
    for entry in entries:
        one = table_of(entry)
        if isinstance(one.get("instance_id"), str):
            found[one["instance_id"]] = str(one.get("model_name_or_path") or "")
    return found


def _lines(path: Path) -> list[Any]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text("utf-8-sig").splitlines() if line]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as JSON lines: {error}") from None


def _of_mini(tree: Mapping[str, Any], row: Row, seen: Counter[str]) -> Row:
    info = table_of(tree.get("info"))
    stats = table_of(info.get("model_stats"))
    calls = count(stats.get("api_calls"))
    model = table_of(table_of(info.get("config")).get("model")).get("model_name")
    messages = [table_of(m) for m in list_of(tree.get("messages"))]
    extras = [table_of(message.get("extra")) for message in messages]
    # Format 1 gives the times of messages only as the servers' own "created".
    times = [t for e in extras if (t := amount(e.get("timestamp"))) is not None]
    usages = [u for e in extras if (u := table_of(table_of(e.get("response")).get("usage")))]
    # Tokens of some of the calls would pass for those of all.
    tokens = _tokens(usages) if usages and len(usages) == calls else {}
    return replace(
        row,
        usd=cost(stats.get("instance_cost"), calls, seen),
        steps=calls,
        model=str(model or row.model),
        seconds=max(times) - min(times) if len(times) > 1 else None,
        input_tokens=tokens.get("input_tokens"),
        cache_read_tokens=tokens.get("cache_read_tokens"),
        output_tokens=tokens.get("output_tokens"),
    )


def _tokens(usages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Sums over calls, of OpenAI's form (cached tokens are part of the prompt's)."""
    total: Counter[str] = Counter()
    for usage in usages:
        prompt, output = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
        if prompt is None or output is None:
            return {}
        details = table_of(usage.get("prompt_tokens_details"))
        cached = count(details.get("cached_tokens")) or 0
        total.update(input_tokens=prompt - min(cached, prompt), cache_read_tokens=cached,
                     output_tokens=output)  # fmt: skip
    return {name: total[name] for name in ("input_tokens", "cache_read_tokens", "output_tokens")}


def _of_swe_agent(tree: Mapping[str, Any], row: Row, seen: Counter[str]) -> Row:
    info = table_of(tree.get("info"))
    # A retrying agent books all its attempts, reviewer and chooser here.
    stats = table_of(info.get("rloop_model_stats")) or table_of(info.get("model_stats"))
    calls = count(stats.get("api_calls"))
    sent, received = count(stats.get("tokens_sent")), count(stats.get("tokens_received"))
    return replace(
        row,
        usd=cost(stats.get("instance_cost"), calls, seen),
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
    agent = table_of(table_of(config).get("agent"))
    return str(table_of(agent.get("model")).get("name") or "")
