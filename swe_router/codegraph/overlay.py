"""Text of the base commit with the agent's changes laid over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from swe_router.codegraph.git_objects import GitObjects, TreeEntry

MAX_FILE = 1_000_000
"""Larger files are not searched."""
MAX_TOTAL = 256_000_000
"""Bytes held at most; what lies beyond is named as not searched."""


class Overlay:
    """Searchable files by path; the base is read at the first need."""

    def __init__(self, repo: Path, commit: str) -> None:
        self._objects, self._commit = GitObjects(repo), commit
        self._base: dict[str, bytes] | None = None
        self._entries: dict[str, TreeEntry] | None = None
        self._over: dict[str, bytes | None] = {}
        self.left_out = 0
        """Files of the base that are too large to search."""

    def change(self, path: str, content: bytes | None) -> None:
        """Lay a file over the base; None removes it."""
        self._over[path] = content

    def paths(self) -> list[str]:
        """Every path there is, sorted, binary files included."""
        gone = {path for path, content in self._over.items() if content is None}
        return sorted((set(self._tree()) | set(self._over)) - gone)

    def text(self, path: str) -> bytes | None:
        """Content of a searchable file, or None."""
        if path in self._over:
            return _searchable(self._over[path])
        return self._load().get(path)

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """Every searchable file, sorted by path."""
        for path in self.paths():
            content = self.text(path)
            if content is not None:
                yield path, content

    def _tree(self) -> dict[str, TreeEntry]:
        if self._entries is None:
            self._entries = {entry.path: entry for entry in self._objects.tree(self._commit)}
        return self._entries

    def _load(self) -> dict[str, bytes]:
        if self._base is None:
            self._base = self._read()
        return self._base

    def _read(self) -> dict[str, bytes]:
        wanted: dict[str, list[str]] = {}
        total = 0
        for path, entry in self._tree().items():
            if not entry.mode.startswith("100"):
                continue
            total += entry.size
            if entry.size > MAX_FILE or total > MAX_TOTAL:
                self.left_out += 1
                continue
            wanted.setdefault(entry.sha, []).append(path)
        found: dict[str, bytes] = {}
        for sha, content in self._objects.blobs(wanted):
            if _searchable(content) is not None:
                found.update(dict.fromkeys(wanted[sha], content))
        return found


def _searchable(content: bytes | None) -> bytes | None:
    if content is None or b"\0" in content[:8000] or len(content) > MAX_FILE:
        return None
    return content
