"""Paths that a model gives: inside the work folder, outside .git, whatever links say."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass

from swe_router.agents.edit_tool import EditRefused
from swe_router.seams import Sandbox

_PROBE = """\
p={path}
if [ -d "$p" ]; then echo folder; elif [ -f "$p" ]; then echo file
elif [ -e "$p" ]; then echo other; else echo none; fi
while [ ! -e "$p" ] && [ ! -L "$p" ]; do p=$(dirname -- "$p"); done
readlink -f . && readlink -f -- "$p\""""


@dataclass(frozen=True)
class SandboxPath:
    """A path that may be edited."""

    relative: str
    """From the root of the repository, with forward slashes."""
    exists: bool


def relative_path(path: str, root: str) -> str:
    """The path from the work folder ``root``, ``.`` for itself. Raises ``EditRefused``."""
    text = path.strip()
    if not text or not text.isprintable():
        raise EditRefused(f"{path!r} is no path.")
    full = posixpath.normpath(posixpath.join(root, text))
    # normpath keeps two leading slashes, which POSIX lets mean something else.
    full = "/" + full.lstrip("/")
    if full != root and not full.startswith(root + "/"):
        raise EditRefused(f"{path} is outside {root}, the only place for edits and searches.")
    inside = posixpath.relpath(full, root)
    if any(part.lower() == ".git" for part in inside.split("/")):
        raise EditRefused(f"{path} belongs to git itself and is not part of the source.")
    return inside


def editable_path(sandbox: Sandbox, path: str, *, timeout: float) -> SandboxPath:
    """The place of a file to edit, looked at inside the sandbox. Raises ``EditRefused``."""
    inside = relative_path(path, sandbox.workdir)
    if inside == ".":
        raise EditRefused(f"{path} is the repository itself, not a file.")
    probe = sandbox.run(_PROBE.format(path=shlex.quote(f"./{inside}")), timeout=timeout)
    answer = probe.output.split("\n")
    if probe.exit_code != 0 or len(answer) < 3:
        raise EditRefused(f"{path} cannot be looked at: {probe.output.strip()[:300]}")
    kind, home, real = answer[0], answer[1], answer[2]
    if kind in ("folder", "other"):
        raise EditRefused(f"{path} is {'a folder' if kind == 'folder' else 'no regular file'}.")
    parts = real.removeprefix(home).split("/")
    if not f"{real}/".startswith(f"{home}/") or any(part.lower() == ".git" for part in parts):
        raise EditRefused(f"{path} leads to {real}, outside the source in {sandbox.workdir}.")
    return SandboxPath(relative=inside, exists=kind == "file")
