"""A folder of trajectories: each file by its form; a damaged one is passed over with a word.

Only ``*.traj.json``, ``*.traj`` and the moves and steps of our own runs are opened. Reports,
results and grades lie in the same folders and are labels: nothing here knows their names.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from swe_router.candidates import mini_swe_agent, run_attempts, swe_agent
from swe_router.candidates.trajectory import ForeignTrajectory, table
from swe_router.errors import UsageError

Say = Callable[[str], None]
FORMS = {
    ".traj.json": mini_swe_agent.read_mini_swe_agent,
    ".traj.json.gz": mini_swe_agent.read_mini_swe_agent,
    ".traj": swe_agent.read_swe_agent,
    ".traj.gz": swe_agent.read_swe_agent,
}
_BROKEN = (OSError, EOFError, ValueError, RecursionError, ArithmeticError, zlib.error)
_ID = re.compile(r"[A-Za-z0-9_.-]+?__[A-Za-z0-9_.-]+-\d+")


def read_trajectories(path: Path, wanted: Collection[str], say: Say) -> list[ForeignTrajectory]:
    """The attempts on the ``wanted`` instances that a folder tells of, in the order of its files.

    Files lie as ``ID.traj.json``, ``ID/ID.traj.json`` or ``RUN/ID/ID.traj.json`` (``.gz`` too).
    Raises ``UsageError`` when there is no such folder, no trajectory in it at all, or not one of
    those that are asked for can be read.
    """
    if not path.is_dir():
        raise UsageError(f"--trajectories {path}: there is no such folder")
    found_all: list[ForeignTrajectory] = []
    broken: list[str] = []
    seen = False
    for file, reader in _files(path):
        seen = True
        try:
            found = reader(file, wanted)
        except _BROKEN as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            say(f"{file}: skipped: not a readable trajectory ({why})")
            broken.append(f"{file}: {why}")
            continue
        found_all += found
        for remark in filter(None, (one.remark for one in found)):
            say(f"{file}: {remark}")
    if not seen:
        raise UsageError(
            f"--trajectories {path} holds no *.traj.json, no *.traj and no run of ours"
        )
    if broken and not found_all:
        raise UsageError(
            f"--trajectories {path}: none of {len(broken)} files can be read, such as {broken[0]}"
        )
    return found_all


Reader = Callable[[Path, Collection[str]], list[ForeignTrajectory]]


def _files(path: Path) -> Iterator[tuple[Path, Reader]]:
    for folder in (path, *sorted(one for one in path.glob("*") if one.is_dir())):
        if run_attempts.is_run(folder):
            yield from ((moves, _own) for moves, _ in run_attempts.attempts(folder))
    for file in sorted({*path.glob("*"), *path.glob("*/*"), *path.glob("*/*/*")}):
        if _ending(file) and file.is_file():
            yield file, _foreign


def _own(moves: Path, wanted: Collection[str]) -> list[ForeignTrajectory]:
    name = moves.parent.name
    return run_attempts.read_run_attempts(moves, name) if name in wanted else []


def _foreign(file: Path, wanted: Collection[str]) -> list[ForeignTrajectory]:
    ending = _ending(file)
    stem = file.name.removesuffix(ending)
    names = [name for name in (stem, file.parent.name) if name in wanted]
    if not names and _ID.fullmatch(stem):
        return []  # of an instance that was not asked for: not opened
    tree = _load(file)
    named = tree.get("instance_id")
    instance = named if isinstance(named, str) and named else (names or [stem])[0]
    if instance not in wanted:
        return []
    place = "/".join((*file.parent.parts[-2:], stem))
    found = FORMS[ending](tree, instance, place)
    if found.remark and not any(step.completion.message.content or step.actions
                               for step in found.steps):  # fmt: skip
        raise ValueError(found.remark)
    return [found]


def _ending(file: Path) -> str:
    return next((ending for ending in FORMS if file.name.endswith(ending)), "")


def _load(file: Path) -> Any:
    data = file.read_bytes()
    tree = json.loads(gzip.decompress(data) if file.suffix == ".gz" else data)
    if not isinstance(tree, dict) or not ("messages" in tree or "trajectory" in tree
                                          or "attempts" in tree):  # fmt: skip
        raise ValueError("no trajectory")
    return table(tree)
