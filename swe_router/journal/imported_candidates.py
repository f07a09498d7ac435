"""The imported candidates of a run, copied into its folder: the source may be removed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swe_router import jsonl
from swe_router.candidates.joining import InstanceCase
from swe_router.errors import UsageError
from swe_router.journal.instance_log import InstanceLog
from swe_router.records import Outcome, Step
from swe_router.safe_files import check_regular_file

CASE_FILE = "imported.json"


def store_case(folder: Path, case: InstanceCase) -> None:
    """Write a case to the folder of its instance, steps first: a torn write leaves no case."""
    folder.mkdir(parents=True, exist_ok=True)
    for attempt_id, steps in case.steps.items():
        _write_steps(folder / f"{attempt_id}.jsonl.gz", steps)
    tree = {
        "instance_id": case.instance_id,
        "outcomes": [one.model_dump(mode="json") for one in case.outcomes],
        "peers": [one.model_dump(mode="json") for one in case.peers],
        "names": dict(case.names),
        "models": dict(case.models),
    }
    jsonl.write_whole(folder / CASE_FILE, jsonl.as_json(tree).decode() + "\n")


def load_case(folder: Path, *, steps: bool = False) -> InstanceCase | None:
    """The case of an instance, or None without imported candidates; ``steps`` reads steps too.

    Raises ``UsageError`` when the file is damaged.
    """
    path = folder / CASE_FILE
    check_regular_file(path)
    try:
        tree = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: {error}") from None
    try:
        outcomes, peers = _outcomes_from(tree["outcomes"]), _outcomes_from(tree["peers"])
        ids = [one.attempt.id for one in (*outcomes, *peers)]
        known_steps = {one: InstanceLog(folder).steps(one) for one in ids} if steps else {}
        return InstanceCase(str(tree["instance_id"]), outcomes, peers, dict(tree["names"]),
                    dict(tree["models"]), known_steps)  # fmt: skip
    except (KeyError, TypeError, ValidationError) as error:
        raise UsageError(f"{path} is damaged: {type(error).__name__}: {error}") from None


def _outcomes_from(rows: Any) -> tuple[Outcome, ...]:
    return tuple(Outcome.model_validate(row) for row in rows)


def _write_steps(path: Path, steps: tuple[Step, ...]) -> None:
    data = b"".join(jsonl.as_json(step.model_dump(mode="json")) + b"\n" for step in steps)
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(gzip.compress(data, mtime=0))
    except OSError as error:
        raise jsonl.disk_error(error, path) from error
    partial.replace(path)
