"""The one door of the command line; codes: 0 done, 1 not all concluded, 2 usage, 3 money, 130."""

from __future__ import annotations

import sys

from swe_router.cli.entry_point import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
