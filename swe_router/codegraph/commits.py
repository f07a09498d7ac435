"""What was changed before a commit, and by how much: its ancestors, read from git, bounded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from swe_router.codegraph.git_objects import GitObjects, RepoError, git_env

MAX_COMMITS = 2000
"""The newest ancestors that are read; merges, which only repeat their parts, are not."""
MAX_YEARS = 5
"""Older ancestors are not read."""
MAX_SECONDS = 120
"""A walk that takes longer is given up."""
MAX_CHANGES = 200
"""Files of one commit that are kept: a commit that touches more is a sweep over the tree."""
_YEAR = 365 * 86400
_MARK = "\x01\x02"
_FORM = f"--format={_MARK}%H%x00%ct%x00%ae%x00%s"


class FileChange(NamedTuple):
    """One file of a commit."""

    path: str
    added: int
    """Lines; 0 for a binary file."""
    removed: int


class PastCommit(NamedTuple):
    """One ancestor."""

    sha: str
    time: int
    """Unix seconds at which it was committed."""
    author: str
    subject: str
    changes: tuple[FileChange, ...]


def past_commits(repo: Path, commit: str) -> tuple[PastCommit, ...]:
    """Ancestors of ``commit``, itself included, newest first.

    Bounded by ``MAX_COMMITS`` and by ``MAX_YEARS`` before the commit's own date, so that it does
    not depend on today. Raises ``RepoError`` when the repository cannot be walked, for example
    because it lacks old blobs.
    """
    if commit.startswith("-"):
        raise RepoError(f"{commit!r} is not a commit")
    objects = GitObjects(repo)
    stamp = _git(objects, "log", "-1", "--format=%ct", commit).strip()
    if not stamp.isdigit():
        raise RepoError(f"{repo} tells no date of {commit}")
    since = max(0, int(stamp) - MAX_YEARS * _YEAR)
    out = _git(
        objects, "-c", "core.quotePath=false", "log", "--no-merges", "--no-renames", "--numstat",
        "--no-ext-diff", "--no-textconv", f"--max-count={MAX_COMMITS}",
        f"--since=@{since}", _FORM, commit, "--",
    )  # fmt: skip
    return tuple(_commits(out))


def _git(objects: GitObjects, *args: str) -> str:
    command = ["git", "--git-dir", str(objects.git_dir), *args]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            env=git_env(),
            check=False,
            timeout=MAX_SECONDS,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise RepoError(f"the history of {objects.repo} takes over {MAX_SECONDS} s") from None
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip()
        raise RepoError(f"the history of {objects.repo} cannot be read: {message[:300]}")
    return done.stdout.decode("utf-8", "replace")


def _commits(out: str) -> Iterator[PastCommit]:
    for record in out.split(_MARK)[1:]:
        head, _, body = record.partition("\n")
        fields = head.split("\x00", 3)
        if len(fields) == 4 and fields[1].isdigit():
            changes = tuple(_changes(body))
            yield PastCommit(fields[0], int(fields[1]), fields[2], fields[3], changes)


def _changes(body: str) -> Iterator[FileChange]:
    for row in body.split("\n")[: MAX_CHANGES + 1]:
        parts = row.split("\t")
        if len(parts) == 3:
            added, removed = (int(part) if part.isdigit() else 0 for part in parts[:2])
            yield FileChange(parts[2], added, removed)
