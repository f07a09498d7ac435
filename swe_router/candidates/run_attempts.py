"""Attempts of a run folder of ours: moves and steps, without verdicts, grades or records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swe_router.candidates.trajectory import ForeignTrajectory, items, table
from swe_router.records import Attempt, Candidate, Step


def is_run(path: Path) -> bool:
    """Whether a folder is a run of ours."""
    return (path / "settings.json").is_file() and (path / "trajectories").is_dir()


def attempts(path: Path) -> Iterator[tuple[Path, str]]:
    """Moves file and instance id of each instance of a run that has begun."""
    for moves in sorted((path / "trajectories").glob("*/moves.jsonl")):
        if moves.is_file():  # a pipe would be waited for
            yield moves, moves.parent.name


def read_run_attempts(moves: Path, instance_id: str) -> list[ForeignTrajectory]:
    """The finished attempts of one instance. Raises ``ValueError`` when they cannot be read."""
    found = []
    for row in _lines(moves):
        for outcome in items(table(row).get("outcomes")):
            found.append(_attempt(moves.parent, instance_id, table(outcome)))
    return found


def _attempt(folder: Path, instance_id: str, outcome: Any) -> ForeignTrajectory:
    try:
        attempt = Attempt.model_validate(outcome.get("attempt"))
        found = outcome.get("candidate")
        candidate = Candidate.model_validate(found) if found else None
        steps = tuple(Step.model_validate(row) for row in _steps(folder, attempt.id))
    except ValidationError as error:
        raise ValueError(f"no attempt of ours: {error.errors()[0]['msg']}") from None
    return ForeignTrajectory(
        instance_id=instance_id,
        name=attempt.id,
        trajectory=attempt.trajectory,
        steps=steps,
        submission=candidate.patch if candidate else "",
        model=str(attempt.plan.arm),
    )


def _steps(folder: Path, attempt_id: str) -> Iterator[Any]:
    for name in (f"{attempt_id}.jsonl", f"{attempt_id}.jsonl.gz"):
        if "/" not in attempt_id and (folder / name).is_file():
            # An attempt that is not over has its paid answers among its steps.
            yield from (row for row in _lines(folder / name) if "paid" not in row)
            return


def _lines(path: Path) -> Iterator[Any]:
    """Each whole line's value; one that was torn by a kill is passed over."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
    for line in text.split("\n")[:-1]:
        yield json.loads(line)
