"""What may name a file: ids of instances and attempts are checked where they are read."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

MAX_NAME_BYTES = 180
"""UTF-8 bytes of a name, so that a file named after it can have an ending."""


def checked_name(name: str) -> str:
    """The name, fit to be that of one file in one folder, or ``ValueError`` that says why not.

    No path, no hidden file, nothing that a terminal obeys, and not so long that no file takes it.
    """
    fault = ""
    if not name or name.startswith("."):
        fault = "it is empty" if not name else "it begins with a dot"
    elif bad := next(
        (c for c in name if c in "/\\" or unicodedata.category(c) in _UNSAFE_CATEGORIES), ""
    ):
        fault = f"it holds {bad!r}"
    elif len(name.encode()) > MAX_NAME_BYTES:
        fault = f"it has more than {MAX_NAME_BYTES} bytes"
    if fault:
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise ValueError(f"{shown!r} cannot name a file: {fault}")
    return name


_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories: controls, marks of direction, halves of surrogate pairs, line ends."""

Name = Annotated[str, AfterValidator(checked_name)]
"""An id that files are named after."""
