"""A file of JSON lines that many processes append to, whole lines or nothing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swe_router import jsonl
from swe_router.errors import DiskFull, JournalError, UsageError
from swe_router.ledger.log_reader import BROKEN, describe_damage
from swe_router.safe_files import check_regular_file

Entry = Mapping[str, Any]


class LedgerLog:
    """One process's view of the file: it reads only what others appended since it last looked."""

    def __init__(self, path: Path, apply: Callable[[Entry], None]) -> None:
        self._path = path
        self._apply = apply
        self._offset = 0
        self._line = 0
        self._fd = -1
        self._pid = -1
        self._threads = threading.RLock()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all threads and processes, with all entries of the others applied."""
        with self._threads:
            fd = self._open()
            fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                self._catch_up(fd)
                yield
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)

    def append(self, *entries: Entry, durable: bool = True) -> None:
        """Write entries and apply them; they are on the disk when this returns (under the lock).

        Not ``durable``: every process sees them, and they are on the disk with the next entry
        that is. Raises ``DiskFull`` when they do not fit: then none of them counts.
        """
        data = b"".join(jsonl.as_json(entry) + b"\n" for entry in entries)
        try:
            jsonl.write_whole_lines(self._fd, self._offset, data, durable=durable)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise DiskFull(f"no space left to write {self._path}") from None
            raise UsageError(
                f"cannot write the ledger {self._path} ({error.strerror}): see that its folder can"
                " be written to, then `swe-router resume` the run"
            ) from None
        self._offset += len(data)
        for entry in entries:
            self._line += 1
            self._apply(entry)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._threads:
            if self._pid == os.getpid():
                os.close(self._fd)
            self._pid = -1

    def __del__(self) -> None:
        # Of another process's descriptor nothing is known here: it is left alone.
        if self._pid == os.getpid():
            with contextlib.suppress(OSError):
                os.close(self._fd)

    def _open(self) -> int:
        # A lock taken through an inherited descriptor would be shared with the parent process.
        if self._pid != os.getpid():
            new = not self._path.exists()
            check_regular_file(self._path)
            try:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            except OSError as error:
                raise UsageError(f"cannot open the ledger {self._path}: {error.strerror}") from None
            self._pid = os.getpid()
            if new:
                _sync_folder(self._path.parent)
        return self._fd

    def _catch_up(self, fd: int) -> None:
        size = os.fstat(fd).st_size
        if size < self._offset:
            raise JournalError(
                f"{self._path} was cut: {size} bytes, {self._offset} were read before"
            )
        if size == self._offset:
            return
        data = os.pread(fd, size - self._offset, self._offset)
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            # Its writer died inside the write, so nothing was sent on the strength of this line.
            os.ftruncate(fd, self._offset + len(whole))
        for line in whole.splitlines(keepends=True):
            self._line += 1
            self._take(line)
            self._offset += len(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise TypeError("not an object")
            self._apply(entry)
        except BROKEN as error:
            raise JournalError(describe_damage(self._path, self._line, error)) from None


def _sync_folder(folder: Path) -> None:
    """Make the entry of a new file durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
