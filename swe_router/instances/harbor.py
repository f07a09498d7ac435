"""Harbor task folders (terminal-bench, DeepSWE): an instruction, an environment, tests apart.

A folder with ``task.toml`` and ``instruction.md`` is a task; a folder of such folders is a data
set. ``tests/`` and ``solution/`` are the answer: nothing here reads them.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_router.datasets import Source
from swe_router.errors import UsageError
from swe_router.records import Instance

WORKDIR = "/app"
_WORKDIR = re.compile(r"^\s*WORKDIR\s+(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_REPOSITORY = re.compile(r"https?://[^/]+/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
COMPOSE = ("docker-compose.yaml", "docker-compose.yml")


class HarborFolder:
    """Tasks of a folder."""

    name = "harbor"
    splits: Mapping[str, str] = {}
    grader = "harbor"
    marks: Sequence[str] = ()
    question: Sequence[str] = ()

    def reads(self, folder: Path) -> bool:
        """Whether a folder is a task or holds one."""
        return bool(task_folders(folder))

    def load(self, source: Source) -> Sequence[Instance]:
        """Every task. Raises ``UsageError`` that names what of a task cannot be read."""
        found = task_folders(source.path)
        if not found:
            raise UsageError(f"{source.label} holds no task: no folder with task.toml in it")
        return [task_question(folder, source.label) for folder in found.values()]


def task_folders(path: Path | None) -> dict[str, Path]:
    """Id -> folder of each task at ``path``, which is one itself or holds some."""
    if path is None or not path.is_dir():
        return {}
    if _is_task(path):
        return {path.resolve().name: path}
    return {one.name: one for one in sorted(path.iterdir()) if _is_task(one)}


def _is_task(folder: Path) -> bool:
    return (folder / "task.toml").is_file() and (folder / "instruction.md").is_file()


def task_settings(folder: Path) -> Mapping[str, Any]:
    """``task.toml`` of a task. Raises ``UsageError`` where it is no TOML."""
    file = folder / "task.toml"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None


def task_question(folder: Path, label: str) -> Instance:
    """The question of a task.

    Raises ``UsageError``: an unreadable file, several services, no image and no Dockerfile.
    """
    table = task_settings(folder)
    metadata = _table(table, "metadata")
    environment = _table(table, "environment")
    build = folder / "environment"
    for name in COMPOSE:
        if (build / name).is_file():
            raise UsageError(f"task {folder.name} needs several services ({name}): not run here")
    dockerfile = build / "Dockerfile"
    image = str(environment.get("docker_image") or "")
    if not image and not dockerfile.is_file():
        raise UsageError(
            f"task {folder.name} has neither environment.docker_image nor {dockerfile}"
        )
    text = dockerfile.read_text(encoding="utf-8") if dockerfile.is_file() else ""
    places = _WORKDIR.findall(text)
    address = _REPOSITORY.fullmatch(str(metadata.get("repository_url") or ""))
    return Instance(
        id=folder.resolve().name,
        repo=address[1] if address else f"task/{folder.resolve().name}",
        base_commit=str(metadata.get("base_commit_hash") or ""),
        problem=(folder / "instruction.md").read_text(encoding="utf-8", errors="replace"),
        image=image or image_tag_of(build),
        build="" if image else str(build.resolve()),
        suite=label,
        dataset="harbor",
        workdir=str(environment.get("workdir") or (places[-1] if places else WORKDIR)),
        user=str(environment.get("user") or ""),
        language=str(metadata.get("language") or "").lower(),
        network=("*",) if _online(table) else (),
    )


def image_tag_of(build: Path) -> str:
    """Name of the image that a build folder makes, by the folder's content."""
    digest = hashlib.sha256()
    for path in sorted(build.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(build).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"swe-router/harbor:{digest.hexdigest()[:24]}"


def _online(table: Mapping[str, Any]) -> bool:
    """Whether the task's verifier may ask for the network; Harbor's default is that it may."""
    verifier = _table(_table(table, "verifier"), "environment")
    allowed = verifier.get(
        "allow_internet", _table(table, "environment").get("allow_internet", True)
    )
    return bool(allowed)


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name)
    return value if isinstance(value, Mapping) else {}
