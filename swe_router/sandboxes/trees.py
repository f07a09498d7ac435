"""Work trees of exactly one commit: git makes the first, a copy in memory the next ones."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from swe_router.errors import DiskFull, WouldNotStart

MOST_BYTES = 8_000_000
"""Of a tree that is kept; a larger one is made by git each time."""
MOST_KEPT = 4
"""Trees that are kept, the last used ones: boxes of one instance follow each other."""


class Trees:
    """Makes work trees; threads may share it. ``most_bytes``: of a tree that is kept."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[Path, str], bytes] = OrderedDict()
        self._lock = Lock()

    def make(self, repository: Path, commit: str, tree: Path) -> None:
        """What ``check_out`` makes, at the same path or at another. Raises what it raises."""
        key = (repository, commit)
        with self._lock:
            packed = self._kept.get(key)
            if packed is not None:
                self._kept.move_to_end(key)
        if packed is None:
            check_out(repository, commit, tree)
            self._keep(key, tree)
            return
        tree.mkdir()
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            # It is our own: links, modes and names are to come out as git made them.
            tar.extraction_filter = lambda member, path: member
            tar.extractall(tree)  # noqa: S202

    def _keep(self, key: tuple[Path, str], tree: Path) -> None:
        if _size(tree) > self._most:
            return
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(tree, arcname=".")
        with self._lock:
            self._kept[key] = packed.getvalue()
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _size(tree: Path) -> int:
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        for folder, _, names in os.walk(tree)
        for name in names
    )


def check_out(repository: Path, commit: str, tree: Path) -> None:
    """A work tree of exactly one commit: no history, no remote, no other ref.

    Raises ``WouldNotStart`` with git's own words.
    """
    serve = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
    url = repository.resolve().as_uri()
    _git(tree.parent, "init", "-q", "--template=", "-b", "main", str(tree))
    _git(tree, "fetch", "-q", "--depth=1", "--no-tags", f"--upload-pack={serve}", url, commit)
    _git(tree, "-c", "core.logAllRefUpdates=false", "reset", "-q", "--hard", commit)
    (tree / ".git" / "FETCH_HEAD").unlink(missing_ok=True)


def _git(where: Path, *arguments: str) -> None:
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_TERMINAL_PROMPT": "0",
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=where,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # the terminal's Ctrl-C is for the driver alone
    )
    if done.returncode:
        if "No space left" in done.stderr:
            raise DiskFull(f"no space left for a work tree in {where}")
        raise WouldNotStart(f"git {arguments[0]}: {done.stderr.strip()}")
