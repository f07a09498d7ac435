"""Ctrl-C once: no new attempts, diffs rescued, boxes removed. Twice: now."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

STOPPING = "stopping: attempts end at their next step and their diffs are kept; again: at once"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def graceful(stop_file: Path, say: Callable[[str], None], words: str = STOPPING) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into ``stop_file``, the second into an immediate end.

    The immediate end needs no clean-up of its own: a box's main process reads from a pipe or
    socket of this process and ends with it, and the ledger charges what was under way.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if stop_file.exists():
            os.write(2, b"swe-router: stopped at once\n")
            os._exit(130)
        stop_file.touch()
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of another line
            say(words)

    with _handled(handle):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM as SIGINT: ``KeyboardInterrupt``, so that ``with`` and ``finally`` clean up."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(handle):
        yield


@contextmanager
def _handled(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
