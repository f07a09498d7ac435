"""Searches and files of the start state, as the writer of a rubric may ask for them."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping
from typing import Any

from swe_router.seams import Sandbox

LOOK_SECONDS = 60.0
"""Seconds for one search."""
MAX_SEARCH_LINES, MAX_LINE_CHARS = 60, 300
MAX_FILE_BYTES = 5_000_000
MAX_SEARCHED_CHARS = 200
"""Characters of a text that is searched for."""
SEARCH, READ, FROM = "search", "read", "from"


def is_look(wish: Mapping[str, Any]) -> bool:
    """Whether an answer asks for a search or a file."""
    return any(isinstance(wish.get(name), str) and wish[name] for name in (SEARCH, READ))


def look(sandbox: Sandbox, wish: Mapping[str, Any], lines: int) -> str:
    """What a wish shows, or why it shows nothing. Raises ``SandboxError``.

    Only files that git tracks or that lie in the work folder, its own ``.git`` apart.
    """
    if isinstance(wish.get(SEARCH), str) and wish[SEARCH]:
        return _search(sandbox, wish[SEARCH])
    start = wish.get(FROM)
    first = start if isinstance(start, int) and start > 0 else 1
    return _read(sandbox, str(wish.get(READ, "")), first, lines)


def _search(sandbox: Sandbox, text: str) -> str:
    text = text.strip()
    if not text or "\n" in text or "\0" in text or len(text) > MAX_SEARCHED_CHARS:
        return f"A search is one line of at most {MAX_SEARCHED_CHARS} characters."
    command = f"git grep -n -I -F -e {shlex.quote(text)} -- . | head -n {MAX_SEARCH_LINES + 1}"
    result = sandbox.run(command, timeout=LOOK_SECONDS)
    if result.timed_out:
        return "The search took too long."
    found = result.output.splitlines()
    shown = [line[:MAX_LINE_CHARS] for line in found[:MAX_SEARCH_LINES]]
    if not shown:
        return "Nothing contains it."
    return "\n".join([*shown, "(there is more)"] if len(found) > MAX_SEARCH_LINES else shown)


def _read(sandbox: Sandbox, name: str, first: int, lines: int) -> str:
    path = posixpath.normpath(name.strip() or ".")
    parts = path.split("/")
    # The history may hold the answer: a start state hides it, and here it is not asked for.
    if path.startswith("/") or ".." in parts or ".git" in parts or "\0" in path:
        return "Name a file by its path from the top of the repository."
    try:
        data = sandbox.read(path, limit=MAX_FILE_BYTES)
    except (OSError, ValueError):
        return f"There is no such file, or it is larger than {MAX_FILE_BYTES} bytes."
    whole = data.decode("utf-8", "replace").splitlines()
    shown = whole[first - 1 : first - 1 + lines]
    if not shown:
        return f"The file has {len(whole)} lines."
    numbered = (f"{n}: {line[:MAX_LINE_CHARS]}" for n, line in enumerate(shown, first))
    return "\n".join([*numbered, f"(of {len(whole)} lines)"])
