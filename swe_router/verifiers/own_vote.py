"""A patch has no vote on itself: the tests that judge it are those of the base commit."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from swe_router.seams import Sandbox
from swe_router.verifiers.diffs import Change


def take_away(box: Sandbox, files: Sequence[Change], is_test: Callable[[str], bool]) -> None:
    """Put edited test files back to their base form and take a new ``conftest.py`` out."""
    old = [file.before for file in files if file.before and is_test(file.before)]
    new = [file.path for file in files if not file.before and file.path.endswith("conftest.py")]
    if old:
        box.run(f"git checkout -q HEAD -- {shlex.join(old)}", timeout=60)
    if new:
        box.run(f"rm -f -- {shlex.join(new)}", timeout=60)
