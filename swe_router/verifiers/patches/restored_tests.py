"""Restores the tests of the base commit: a patch does not choose the tests that judge it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from swe_router.patch_files import PatchSummary
from swe_router.seams import Sandbox
from swe_router.verifiers.patches import tampering


def restore_tests(
    sandbox: Sandbox, files: Sequence[PatchSummary], is_test: Callable[[str], bool]
) -> None:
    """Restore tests and test settings of the base commit, and remove new ones."""
    old, new = tampering.paths_to_restore(files, is_test)
    if old:
        sandbox.run(f"git checkout -q HEAD -- {shlex.join(old)}", timeout=60)
    if new:
        sandbox.run(f"rm -f -- {shlex.join(new)}", timeout=60)
