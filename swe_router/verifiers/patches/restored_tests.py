"""A patch has no vote on itself: the tests that judge it are those of the base commit."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from swe_router.patch_files import PatchSummary
from swe_router.seams import Sandbox
from swe_router.verifiers.patches import tampering


def restore_tests(
    sandbox: Sandbox, files: Sequence[PatchSummary], is_test: Callable[[str], bool]
) -> None:
    """Put tests and test settings back to their base form, and take out those that are new."""
    old, new = tampering.paths_to_restore(files, is_test)
    if old:
        sandbox.run(f"git checkout -q HEAD -- {shlex.join(old)}", timeout=60)
    if new:
        sandbox.run(f"rm -f -- {shlex.join(new)}", timeout=60)
