"""Files that a command writes in addition to its result; an error names the place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swe_router.errors import UsageError

FILE_SUFFIXES = frozenset(
    (
        ".csv",
        ".gz",
        ".htm",
        ".html",
        ".json",
        ".jsonl",
        ".md",
        ".parquet",
        ".pdf",
        ".png",
        ".svg",
        ".toml",
        ".txt",
        ".yaml",
        ".yml",
        ".zip",
    )
)
"""Suffixes of files: a path with one of them is not meant as a folder."""


def output_folder(out: Path, content_name: str) -> Path:
    """``out`` as a folder that is there. Raises ``UsageError`` for a file's name or place.

    ``content_name`` says what is put into it, for the error.
    """
    if out.suffix.lower() in FILE_SUFFIXES and not out.is_dir():
        raise UsageError(
            f"--out {out} is the name of a file: name a folder, it gets {content_name}"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from None
    return out


def write_files(out: Path, content_by_name: Mapping[str, bytes]) -> list[str]:
    """Every file of ``content_by_name`` (name -> bytes) into the folder ``out``; the names.

    Raises ``UsageError`` when it cannot be written.
    """
    output_folder(out, ", ".join(content_by_name))
    for name, data in content_by_name.items():
        write_file(out / name, data)
    return list(content_by_name)


def write_file(path: Path, data: bytes) -> None:
    """One file, and the folder above it. Raises ``UsageError`` when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
