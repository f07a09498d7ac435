"""What no patch carries: caches, build debris, editor litter, virtual environments.

A directory of such a name is spared when the project itself tracks files in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from swe_router.sandboxes.git_in_sandbox import printable_path

MAX_LISTED = 200
"""Entries of ``Candidate.left_out`` before it is cut."""

_ANYWHERE = re.compile(
    rb"__pycache__|\.pytest_cache|\.mypy_cache|\.ruff_cache|\.hypothesis|\.tox|\.nox|\.eggs"
    rb"|\.ipynb_checkpoints|node_modules|[^/]+\.egg-info"
)
_AT_TOP = re.compile(rb"build|dist|htmlcov")
_FILE = re.compile(
    rb".*\.py[co]|\.coverage(\..+)?|.*\.(orig|rej|swp|swo)|.*~|\.DS_Store|\.#.*|#.*#|v?g?core\.\d+"
)


def parent_folders(paths: Iterable[bytes]) -> frozenset[bytes]:
    """Every directory above the paths, without a trailing slash."""
    found: set[bytes] = set()
    for path in paths:
        parent = path.rpartition(b"/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition(b"/")[0]
    return frozenset(found)


def virtual_environments(paths: Iterable[bytes]) -> frozenset[bytes]:
    """Directories among the paths that are virtual environments."""
    homes = (path.rpartition(b"/") for path in paths)
    return frozenset(home for home, _, name in homes if home and name == b"pyvenv.cfg")


def litter_of(path: bytes, tracked: Collection[bytes], venvs: Collection[bytes]) -> bytes | None:
    """The litter that an untracked path is or lies in (a directory ends in ``/``), else None.

    ``tracked`` holds the directories that the project keeps files in.
    """
    parts = path.split(b"/")
    for depth, part in enumerate(parts[:-1], start=1):
        folder = b"/".join(parts[:depth])
        named = _ANYWHERE.fullmatch(part) or (depth == 1 and _AT_TOP.fullmatch(part))
        if (named or folder in venvs) and folder not in tracked:
            return folder + b"/"
    if _FILE.fullmatch(parts[-1]) or path == b"core":
        return path
    return None


def listed_paths(litters: Iterable[bytes], notes: Iterable[str]) -> tuple[str, ...]:
    """Entries for ``Candidate.left_out``: sorted, each once, cut at ``MAX_LISTED``."""
    entries = sorted({*(printable_path(path) for path in litters), *notes})
    if len(entries) > MAX_LISTED:
        more = len(entries) - MAX_LISTED
        entries = [*entries[:MAX_LISTED], f"… and {more} more"]
    return tuple(entries)
