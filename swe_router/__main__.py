"""The one door of the command line; codes: 0 done, 1 not all concluded, 2 usage, 3 money, 130."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from typer.exceptions import Abort, TyperException

from swe_router.cli.app import app, gather
from swe_router.cli.surroundings import one_certificate
from swe_router.errors import BoundaryError, DiskFull, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code; a user's mistake is one line, no traceback."""
    words = gather(list(sys.argv[1:] if argv is None else argv))
    one_certificate(os.environ)
    before = _interrupted_by_all()
    try:
        if sys.platform not in {"linux", "darwin"}:
            raise UsageError(f"swe-router runs on Linux and macOS; on {sys.platform} use WSL 2")
        code = app(words, prog_name="swe-router", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except Exception as error:
        return _ended(error)
    except KeyboardInterrupt:
        return 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted_by_all() -> dict[signal.Signals, Any]:
    """A scheduler's SIGTERM and a closed terminal's SIGHUP end a command as Ctrl-C does.

    From the first moment on; where somebody handles or ignores them already (nohup), he is left.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, signal.default_int_handler)
    return before


def _ended(error: Exception) -> int:
    """The exit code of an error, said in one line; an error of ours is raised as it is."""
    if isinstance(error, TyperException):
        return _say(" ".join(error.format_message().split()), 2)
    if isinstance(error, UsageError | DiskFull):
        return _say(str(error), 2)
    if isinstance(error, BoundaryError):
        return _say(f"{type(error).__name__}: {error}", 1)
    if isinstance(error, Abort):
        return 130
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _say(f"no space left on the disk ({error.filename or error})", 2)
    raise error


def _say(message: str, code: int) -> int:
    print(f"swe-router: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
