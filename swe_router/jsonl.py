"""Append-only JSON lines that survive a kill at any moment: a torn last line is written again."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import ValidationError

from swe_router.errors import DiskFull, UsageError
from swe_router.records import FrozenRecord
from swe_router.safe_files import check_regular_file

FOLDER_GONE_ERRNOS = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ESTALE)
)
"""What is met when a folder was renamed, removed or made read-only."""
R = TypeVar("R", bound=FrozenRecord)


def append_value(path: Path, value: Any, *, durable: bool = True) -> None:
    """Append one JSON line and make it durable; a torn tail left by a crash is cut off first.

    Not ``durable``: it outlives this process, and a power cut only once a later line of the file
    is durable. Raises ``DiskFull`` when the device is full.
    """
    append_line(path, as_json(value), durable=durable)


def append_line(path: Path, encoded_line: bytes, *, durable: bool = True) -> None:
    """``append_value`` of a value that is JSON already, without its line end."""
    try:
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            write_whole_lines(
                file.fileno(), _cut_torn_tail(file), encoded_line + b"\n", durable=durable
            )
    except OSError as error:
        raise disk_error(error, path) from error


def write_whole_lines(fd: int, end: int, lines: bytes, *, durable: bool) -> None:
    """Write lines at the end of a file that this process has locked: all of them or none.

    ``fd`` was opened to append, ``end`` is the file's size. Raises ``OSError``, and then the file
    is as it was.
    """
    try:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if durable:
            _sync_to_disk(fd)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, end)
        raise


def as_json(value: Any) -> bytes:
    """A value as JSON in UTF-8: half a surrogate pair, which UTF-8 has no bytes for, is escaped.

    So stand bytes of a diff that are no text (``surrogateescape``).
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Each line's object; a torn last line (no newline) is passed over.

    Raises ``UsageError`` that names file and line for one that is damaged, and for a file that
    cannot be read to its end.
    """
    check_regular_file(path)
    if not path.exists():
        return
    number = 0
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                yield _parse_object(path, number, line)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(
            f"{path} is damaged after line {number} ({error or 'it is cut off'}): restore the file"
        ) from None


def parse_row(path: Path, line_number: int, record_type: type[R], row: Any) -> R:
    """A value of a line as a record. Raises ``UsageError`` that names file, line and field."""
    try:
        return record_type.model_validate(row)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise UsageError(
            f"{path}:{line_number} is no {record_type.__name__} ({where}: {fault['msg']});"
            " restore the line or delete it"
        ) from None


def _parse_object(path: Path, line_number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8", "surrogatepass"))
        if not isinstance(found, dict):
            raise TypeError("it holds no object")
        return found
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path}:{line_number} is damaged ({error}): restore the line or delete it"
            " (its content is then made again)"
        ) from None


def replace_lines(path: Path, values: Iterable[Any]) -> None:
    """Put these lines in the place of a file's own, in one step that a kill leaves whole."""
    data = b"".join(as_json(value) + b"\n" for value in values)
    _replace(path, path.with_name(f".{path.name}.new"), data)


def _replace(path: Path, temporary: Path, data: bytes) -> None:
    """Put a file with this content in the place of ``path``, in one step, on the disk."""
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error


def make_folder(folder: Path) -> None:
    """A folder and the one above it; never the run folder itself, which may have been moved."""
    try:
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error


def compress(path: Path, *, exclude_line: bytes = b"") -> Path:
    """Replace ``path`` by ``path.gz`` in one step; the same bytes give the same file.

    Lines that begin with ``exclude_line``, if it is given, are left out. Durable when it returns.
    """
    packed = path.with_name(path.name + ".gz")
    partial = packed.with_name(packed.name + ".part")
    try:
        rows = path.read_bytes().splitlines(keepends=True)
        data = b"".join(row for row in rows if not (exclude_line and row.startswith(exclude_line)))
        with partial.open("wb") as file:
            file.write(gzip.compress(data, mtime=0))
            file.flush()
            # The lines themselves may not be on the disk yet, and are gone in a moment.
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, path) from error
    partial.replace(packed)
    path.unlink()
    return packed


def decompress(path: Path) -> None:
    """Bring ``path`` back from ``path.gz``, in one step; nothing happens where there is none."""
    packed = path.with_name(path.name + ".gz")
    if not packed.exists():
        return
    partial = path.with_name(path.name + ".part")
    try:
        data = gzip.decompress(packed.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{packed} is damaged ({error}): restore the file") from None
    try:
        partial.write_bytes(data)
    except OSError as error:
        raise disk_error(error, path) from error
    partial.replace(path)
    packed.unlink()


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, a reader sees the old or the new one, never half."""
    data = text.encode("utf-8", "surrogatepass")
    _replace(path, path.with_name(path.name + ".part"), data)


def disk_error(error: OSError, path: Path) -> Exception:
    """``DiskFull`` for a full device or quota, ``UsageError`` for a folder that went away."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"no space left to write {path}: free some, then `swe-router resume`")
    if error.errno in FOLDER_GONE_ERRNOS:
        return UsageError(
            f"cannot write {path} ({error.strerror}): the run folder was moved, or may not be"
            " written to any more; bring it back, then `swe-router resume` it: what was paid for"
            " is on record"
        )
    return error


_sync_to_disk = getattr(os, "fdatasync", os.fsync)
"""The cheaper one where there is one: times of access are not worth waiting for."""


def _cut_torn_tail(file: BinaryIO) -> int:
    """Cut off what stands behind the last whole line; the size that is left, in bytes."""
    end = file.seek(0, os.SEEK_END)
    keep = end
    while keep > 0:
        start = max(0, keep - 65_536)
        file.seek(start)
        block = file.read(keep - start)
        if block.endswith(b"\n"):
            break
        cut = block.rfind(b"\n")
        keep = start + cut + 1
        if cut >= 0:
            break
    if keep < end:
        file.truncate(keep)
    return keep
