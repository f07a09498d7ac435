"""Copies of run folders that many tests change: read once per process, written for each."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ARCHIVES = ".tar.xz"


@cache
def _files(source: Path) -> Mapping[str, bytes]:
    """Path below the folder, or in the archive -> its bytes; folders that hold none are lost."""
    if source.name.endswith(ARCHIVES):
        with tarfile.open(source) as archive:
            opened = ((one.name, archive.extractfile(one)) for one in archive if one.isfile())
            return {name: file.read() for name, file in opened if file is not None}
    return {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in sorted(source.rglob("*"))
        if path.is_file()
    }


def copied(source: Path, target: Path, leave: tuple[str, ...] = ()) -> Path:
    """``target`` with all files of a folder or archive but those whose name matches ``leave``.

    The source must not change while the tests run.
    """
    made: set[Path] = set()
    for name, data in _files(source).items():
        if any(fnmatch(part, pattern) for part in name.split("/") for pattern in leave):
            continue
        path = target / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_bytes(data)
    return target
