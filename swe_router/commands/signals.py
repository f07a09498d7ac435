"""Ctrl-C once: no new attempts, diffs rescued, sandboxes removed. Twice: end at once.

A scheduler's SIGTERM, the SIGHUP of a terminal that is closed and the end of ``--hours`` are a
Ctrl-C each.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from swe_router.errors import UsageError

STOPPING_MESSAGE = (
    "stopping: attempts end at their next step and their diffs are kept; again: at once"
)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def require_positive_hours(hours: float | None) -> None:
    """Raise ``UsageError`` for a time limit that is not over 0."""
    if hours is not None and not hours > 0:
        raise UsageError(f"--hours {hours:g}: say for how long, as in --hours 8 or --hours 0.5")


def end_process() -> None:
    """End this process at once.

    It needs no clean-up of its own: the main process of a sandbox reads from a pipe or socket of
    this process and ends with it, and the ledger charges the calls under way.
    """
    with contextlib.suppress(OSError):
        os.write(2, b"swe-router: stopped at once\n")
    os._exit(130)


@contextmanager
def graceful_stop(
    stop_file: Path,
    say: Callable[[str], None],
    message: str = STOPPING_MESSAGE,
    *,
    force_quit: Callable[[], None] = end_process,
) -> Iterator[None]:
    """Turn the first stop signal into ``stop_file``; the second one calls ``force_quit``."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            force_quit()
            return
        asked = True
        stop_file.write_text("asked to", encoding="utf-8")
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of another line
            say(message)

    with _handling_signals(handle):
        yield


@contextmanager
def on_stop_signals(
    stopping: threading.Event,
    say: Callable[[str], None],
    message: str,
    *,
    force_quit: Callable[[], None] = end_process,
) -> Iterator[None]:
    """The first of ``STOP_SIGNALS`` sets ``stopping``; the second one calls ``force_quit``."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            force_quit()
            return
        stopping.set()
        with contextlib.suppress(RuntimeError):
            say(message)

    with _handling_signals(handle):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Any of ``STOP_SIGNALS`` is a ``KeyboardInterrupt``: ``with`` and ``finally`` clean up."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling_signals(handle):
        yield


@contextmanager
def time_limit(
    hours: float | None, stopping: Callable[[], bool], say: Callable[[str], None]
) -> Iterator[None]:
    """End the body as SIGTERM would, after so many hours; None is never.

    A run that is stopping already gets no second signal, which would cut it short.
    """

    def over() -> None:
        if not stopping():
            say(f"{hours:g} hours are over")
            os.kill(os.getpid(), signal.SIGTERM)

    if hours is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("hours: only the main thread can be stopped by time; leave hours away")
    timer = threading.Timer(hours * 3600, over)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _handling_signals(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """``handle`` for ``STOP_SIGNALS``, but for a SIGHUP that is ignored: that is how nohup works.

    Only the main thread may handle signals: in another one they are left as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminals = [fd for fd in (1, 2) if _is_terminal(fd)]

    def handled(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _silence_lost_terminals(terminals)
        handle(number, frame)

    before = {}
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handled)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _silence_lost_terminals(terminals: list[int]) -> None:
    """Redirect output to /dev/null where the terminal is gone: to write there is an error."""
    for fd in terminals:
        if not _is_terminal(fd):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, fd)
            os.close(nowhere)
