"""Work trees of exactly one commit: git makes the first, a copy in memory the next ones."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from swe_router.errors import DiskFull, WouldNotStart
from swe_router.sandboxes.visible_mounts import SandboxOwner

MAX_BYTES = 8_000_000
"""Of a tree that is kept; a larger one is made by git each time."""
SHA1_DIGITS = 40
MAX_KEPT = 4
"""Trees that are kept, the last used ones: sandboxes of one instance follow each other."""


class WorkTrees:
    """Makes work trees; threads may share it."""

    def __init__(self, most_bytes: int = MAX_BYTES, owner: SandboxOwner | None = None) -> None:
        """``most_bytes``: of a tree that is kept; ``owner``: whose they are, else this user's."""
        self._most, self._owner = most_bytes, owner
        self._kept: OrderedDict[tuple[Path, str], bytes] = OrderedDict()
        self._lock = Lock()

    def make(self, repository: Path, commit: str, tree: Path) -> None:
        """What ``check_out`` makes, at the same path or at another. Raises what it raises.

        ``OSError`` where the files cannot be given to their owner.
        """
        key = (repository, commit)
        with self._lock:
            packed = self._kept.get(key)
            if packed is not None:
                self._kept.move_to_end(key)
        if packed is None:
            check_out(repository, commit, tree)
            if self._owner is not None:
                _give(tree, self._owner)
            self._keep(key, tree)
            return
        tree.mkdir()
        _unpack(packed, tree)

    def _keep(self, key: tuple[Path, str], tree: Path) -> None:
        if _size(tree) > self._most:
            return
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(tree, arcname=".", filter=_numbered)
        with self._lock:
            self._kept[key] = packed.getvalue()
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)


def _numbered(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owned by a number alone, which is the same whatever the names of this machine are."""
    member.uname = member.gname = ""
    return member


def _unpack(packed: bytes, tree: Path) -> None:
    """By the program ``tar`` where there is one: it takes a fifth of Python's time."""
    program = shutil.which("tar")
    if program is None:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            # It is our own: links, modes and names are to come out as git made them.
            tar.extraction_filter = lambda member, path: member
            tar.extractall(tree, numeric_owner=True)  # noqa: S202
        return
    done = subprocess.run(
        [program, "-xpf", "-"],
        input=packed,
        cwd=tree,
        env={"LC_ALL": "C"},
        capture_output=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode:
        message = done.stderr.decode("utf-8", "replace").strip()
        if "No space left" in message:
            raise DiskFull(f"no space left for a work tree in {tree.parent}")
        raise WouldNotStart(f"tar: {message}")


def _give(tree: Path, owner: SandboxOwner) -> None:
    """Make a work tree the property of who works in it."""
    os.chown(tree, owner.uid, owner.gid)
    for folder, folders, files in os.walk(tree):
        for name in [*folders, *files]:
            os.chown(os.path.join(folder, name), owner.uid, owner.gid, follow_symlinks=False)  # noqa: PTH118


def _size(tree: Path) -> int:
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        for folder, _, names in os.walk(tree)
        for name in names
    )


def check_out(repository: Path, commit: str, tree: Path) -> None:
    """A work tree of exactly one commit: no history, no remote, no other ref.

    An abbreviated id is looked up first, since a fetch takes whole ones. Raises ``WouldNotStart``
    with git's own words.
    """
    if len(commit) < SHA1_DIGITS:
        commit = _git(tree.parent, "-C", str(repository), "rev-parse", "--verify", commit)
    serve = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
    url = repository.resolve().as_uri()
    _git(tree.parent, "init", "-q", "--template=", "-b", "main", str(tree))
    _git(tree, "fetch", "-q", "--depth=1", "--no-tags", f"--upload-pack={serve}", url, commit)
    _git(tree, "-c", "core.logAllRefUpdates=false", "reset", "-q", "--hard", commit)
    (tree / ".git" / "FETCH_HEAD").unlink(missing_ok=True)


def _git(where: Path, *arguments: str) -> str:
    """What git printed."""
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
    return done.stdout.strip()
