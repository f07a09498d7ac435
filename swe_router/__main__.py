"""The one door of the command line: exit 0 done, 1 not all concluded, 2 usage, 130 stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from typer.exceptions import Abort, TyperException

from swe_router.cli.app import app, gather
from swe_router.errors import BoundaryError, DiskFull, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code; a user's mistake is one line, no traceback."""
    words = gather(list(sys.argv[1:] if argv is None else argv))
    if sys.platform not in {"linux", "darwin"}:
        return _say(f"swe-router runs on Linux and macOS; on {sys.platform} use WSL 2", 2)
    try:
        code = app(words, prog_name="swe-router", standalone_mode=False)
    except TyperException as error:
        return _say(" ".join(error.format_message().split()), 2)
    except (UsageError, DiskFull) as error:
        return _say(str(error), 2)
    except BoundaryError as error:
        return _say(f"{type(error).__name__}: {error}", 1)
    except (KeyboardInterrupt, Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    print(f"swe-router: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
