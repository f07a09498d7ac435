"""From arguments to an exit code: one line per mistake, silence for Ctrl-C, one value for --json.

Nothing heavy is imported at the top: Ctrl-C in the first second shows no traceback of imports.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from swe_router.lazy_imports import uncollected_loading

STOPPED = 130
"""Exit code of Ctrl-C, as shells have it."""
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code; a user's mistake is one line, no traceback.

    With ``--json`` what stopped a command before its result is ``{"error": …}`` on stdout.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    before = _interrupted_by_all()
    try:
        # Looking for plugins of pydantic reads the metadata of every package that is installed.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        with _quietly_stopped(), uncollected_loading("swe_router.cli.app"):
            from swe_router.cli.app import app_of, gather
            from swe_router.cli.certificates import one_certificate
            from swe_router.errors import UsageError
        one_certificate(os.environ)
        if sys.platform not in {"linux", "darwin"}:
            raise UsageError(f"swe-router runs on Linux and macOS; on {sys.platform} use WSL 2")
        code = app_of(words)(gather(words), prog_name="swe-router", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return _stopped(words)
    except Exception as error:
        return _ended(error, words)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if argv is None:
            gc.freeze()  # all goes with the process: the interpreter need not look for what is left


def _interrupted_by_all() -> dict[signal.Signals, Any]:
    """A scheduler's SIGTERM and a closed terminal's SIGHUP end a command as Ctrl-C does.

    From the first moment on; a signal that is handled or ignored already (nohup) is left alone.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, signal.default_int_handler)
    return before


@contextmanager
def _quietly_stopped() -> Iterator[None]:
    """Ctrl-C ends the process at once: half-imported modules turn it into errors of their own."""
    mine = threading.current_thread() is threading.main_thread()
    usual = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if mine and signal.getsignal(number) is signal.default_int_handler
    ]
    for number in usual:
        signal.signal(number, lambda *_: os._exit(STOPPED))
    try:
        yield
    finally:
        for number in usual:
            signal.signal(number, signal.default_int_handler)


def _ended(error: Exception, words: Sequence[str]) -> int:
    """The exit code of an error, reported in one line; a fault of our own is raised."""
    from typer.exceptions import Abort, TyperException

    from swe_router.errors import BoundaryError, DiskFull, UsageError

    if isinstance(error, Abort) or _by_ctrl_c(error):
        return _stopped(words)
    if isinstance(error, TyperException):
        return _say(" ".join(error.format_message().split()), 2, words)
    if isinstance(error, UsageError | DiskFull):
        return _say(str(error), 2, words)
    if isinstance(error, BoundaryError):
        return _say(f"{type(error).__name__}: {error}", 1, words)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, OSError) and (error.filename or error.errno in FULL):
        full = "no space left on the disk: " if error.errno in FULL else ""
        return _say(f"{full}{error.filename or error}: {error.strerror or error}", 2, words)
    _print_json(f"a fault of swe-router's own: {type(error).__name__}: {error}", words)
    raise error


def _by_ctrl_c(error: BaseException | None) -> bool:
    """Whether an error was caused by Ctrl-C while a module was loaded."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _stopped(words: Sequence[str]) -> int:
    _print_json("stopped", words)
    return STOPPED


def _say(message: str, code: int, words: Sequence[str]) -> int:
    _print_json(message, words)
    from swe_router.terminal import print_message

    if message:  # without words the help was asked for, and stands on stdout
        print_message(f"swe-router: {message}")
    return code


def _print_json(message: str, words: Sequence[str]) -> None:
    if "--json" in words and sys.stdout is not None:
        import json

        with suppress(OSError, ValueError):  # the disk that is full may be that of stdout
            print(json.dumps({"error": message}), flush=True)
