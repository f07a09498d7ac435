"""A repository with a file of each kind, and the proved candidate of what is done to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from swe_router import jsonl
from swe_router.records import Candidate, patch_bytes
from swe_router.sandboxes.patch_capture import StartSnapshot
from tests.doubles.plain_sandbox import PlainSandbox

FILES = {
    "a.py": b"one\ntwo\nthree\n",
    "pkg/b.py": b"b\n" * 20,
    "pkg/deep/c.txt": b"no newline at the end",
    "crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    "latin.txt": b"caf\xe9\nline\n",
    "blob.bin": bytes(range(256)) * 4,
    "run.sh": b"#!/bin/sh\n",
    ".gitignore": b"*.log\nignored/\n",
}


def commit(sandbox: PlainSandbox, message: str = "base") -> None:
    sandbox.must(
        "git init -q -b main . 2>/dev/null; git add -A && "
        f"git -c user.name=p -c user.email=p@x -c gc.auto=0 commit -q --allow-empty -m '{message}'"
    )


def repository(folder: Path) -> Path:
    """A repository with a file of each kind, committed."""
    made = PlainSandbox(folder)
    for name, data in FILES.items():
        made.write(f"/testbed/{name}", data)
    (made.tree / "link").symlink_to("a.py")
    commit(made)
    return made.tree


def copy_of(tree: Path, folder: Path) -> PlainSandbox:
    """A sandbox with a copy of the tree."""
    shutil.copytree(tree, folder / "tree", symlinks=True)
    return PlainSandbox(folder)


def content(tree: Path) -> dict[str, object]:
    """Every file of a tree but git's own, with kind and bytes."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*names, *links]:
            path = Path(folder, name)
            key = repr(os.fsencode(path.relative_to(tree)))
            if path.is_symlink():
                found[key] = ("link", str(path.readlink()))
            elif path.is_file() and name != ".git":
                found[key] = (bool(path.stat().st_mode & 0o100), path.read_bytes())
    return found


def made_by(sandbox: PlainSandbox, act: Callable[[], object] | str) -> Candidate:
    """The candidate of an action; proved, and re-applied to a copy it gives the end state."""
    before = sandbox.folder / "before"
    shutil.copytree(sandbox.tree, before, symlinks=True)
    snapshot = StartSnapshot.take(sandbox)
    _ = sandbox.must(act) if isinstance(act, str) else act()
    candidate = snapshot.candidate(sandbox, "t1")
    assert candidate.proven, candidate.left_out
    assert candidate.digest == hashlib.sha256(patch_bytes(candidate.patch)).hexdigest()
    assert json.loads(jsonl.as_json(candidate.model_dump(mode="json")))["patch"] == candidate.patch
    if candidate.patch:
        file = sandbox.folder / "p.diff"
        file.write_bytes(patch_bytes(candidate.patch))
        done = subprocess.run(
            ["git", "apply", "--verbose", str(file)],
            cwd=before,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    if not candidate.left_out:
        assert content(before) == content(sandbox.tree)
    return candidate
