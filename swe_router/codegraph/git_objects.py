"""Read a commit straight from git objects: one listing, one stream of blobs, no checkout."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.errors import BoundaryError
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import git
else:
    git = deferred_module("git")

SAFE_ENV = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "LC_ALL": "C",
}
"""Environment of every git command here: no prompt, no fetch behind our back, and a repository
that belongs to another user (a shared ``--repos`` folder) can be read."""
ABSENT = 1 << 62
"""Size of a blob that is not here: beyond every limit, so that nobody tries to read it."""
_FROM_OUTSIDE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
"""Set by git hooks, among others: they would turn our reads to another repository."""


class RepoError(BoundaryError):
    """A repository could not be read, built or cloned; the message names it and the fix."""

    retry = False


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One path of a commit's tree."""

    path: str
    mode: str
    """``100644``, ``100755``, ``120000`` (symlink) or ``160000`` (submodule)."""
    sha: str
    size: int
    """Bytes; 0 for a submodule, ``ABSENT`` for a blob that is listed but not here."""


def git_env() -> dict[str, str]:
    """Environment for a git command that reads one given repository and nothing else."""
    kept = {key: value for key, value in os.environ.items() if key not in _FROM_OUTSIDE}
    return {**kept, **SAFE_ENV}


class GitObjects:
    """The object store of one repository, bare or not, as bytes. Never writes.

    A terminal's Ctrl-C goes to a whole process group. Every git here is in one of its own: what it
    read would else be cut short, and an agent be shown that, before a thread knows of the stop.
    """

    def __init__(self, repo: Path) -> None:
        """Open ``repo``. Raises ``RepoError`` when it is not a git repository."""
        self.repo = repo
        try:
            with git.Repo(repo, search_parent_directories=False) as opened:
                self.git_dir = Path(opened.common_dir)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError, ValueError, OSError) as error:
            raise RepoError(f"{repo} is not a git repository: {error}") from None

    def has(self, commit: str) -> bool:
        """The commit is here with its tree."""
        if commit.startswith("-"):
            return False
        done = self._git("cat-file", "-e", f"{commit}^{{tree}}", check=False)
        return done.returncode == 0

    def complete(self, commit: str) -> bool:
        """Every object of the commit's tree has a readable header: no pack is missing or cut.

        Copies that leave the largest files out count as complete: one path in a hundred may lack.
        """
        done = self._git("ls-tree", "-r", "-l", "-z", commit, check=False)
        rows = done.stdout.split(b"\0")[:-1]
        absent = sum(_size(row.partition(b"\t")[0].split()[-1]) == ABSENT for row in rows)
        return done.returncode == 0 and absent * 100 <= len(rows)

    def sound(self) -> bool:
        """Every ref has its commit, and every pack opens."""
        refs = self._git("for-each-ref", "--format=%(objectname)", check=False)
        if refs.returncode != 0:
            return False
        asked = self._git("rev-list", "--stdin", "--max-count=1000", check=False, data=refs.stdout)
        packs = list((self.git_dir / "objects" / "pack").glob("*.idx"))
        whole = all(pack.with_suffix(".pack").exists() for pack in packs)
        return asked.returncode == 0 and whole

    def tree(self, commit: str) -> list[TreeEntry]:
        """Every path of the commit, sorted by path. Raises ``RepoError``."""
        if commit.startswith("-"):
            raise RepoError(f"{commit!r} is not a commit")
        out = self._git("ls-tree", "-r", "-z", "-l", "--full-tree", commit).stdout
        return sorted(map(_entry, filter(None, out.split(b"\0"))), key=lambda entry: entry.path)

    def blobs(self, shas: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """``(sha, content)`` of each blob in the order asked for, read as one stream."""
        wanted = list(shas)
        if not wanted:
            return
        with tempfile.TemporaryFile() as ask, tempfile.TemporaryFile() as errors:
            ask.write("".join(f"{sha}\n" for sha in wanted).encode())
            ask.seek(0)
            command = ["git", "--git-dir", str(self.git_dir), "cat-file", "--batch", "--buffer"]
            with subprocess.Popen(
                command, stdin=ask, stdout=subprocess.PIPE, stderr=errors, env=git_env(),
                bufsize=1 << 20, start_new_session=True,
            ) as process:  # fmt: skip
                try:
                    yield from self._stream(process, wanted)
                finally:
                    process.kill()

    def _stream(
        self, process: subprocess.Popen[bytes], wanted: list[str]
    ) -> Iterator[tuple[str, bytes]]:
        pipe = process.stdout
        assert pipe is not None
        for sha in wanted:
            head = pipe.readline().split()
            if len(head) != 3:
                raise RepoError(
                    f"object {sha} cannot be read from {self.repo}: damaged or missing"
                    " (if this is the repository cache, delete that folder)"
                )
            size = int(head[2])
            body = pipe.read(size + 1)
            if len(body) != size + 1:
                raise RepoError(f"object {sha} of {self.repo} ends early")
            yield sha, body[:size]

    def _git(
        self, *args: str, check: bool = True, data: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "--git-dir", str(self.git_dir), *args]
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            env=git_env(),
            check=False,
            start_new_session=True,
        )
        if check and done.returncode != 0:
            message = done.stderr.decode("utf-8", "replace").strip()
            raise RepoError(f"git {args[0]} failed in {self.repo}: {message}")
        return done


def _entry(row: bytes) -> TreeEntry:
    meta, _, path = row.partition(b"\t")
    mode, _, sha, size = meta.split()
    return TreeEntry(
        path.decode("utf-8", "surrogateescape"), mode.decode(), sha.decode(),
        _size(size),
    )  # fmt: skip


def _size(size_text: bytes) -> int:
    """Bytes as ``ls-tree -l`` says them."""
    if size_text == b"BAD":
        return ABSENT
    return 0 if size_text == b"-" else int(size_text)
