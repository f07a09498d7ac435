"""Tests that a patch takes away, read from its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from swe_router.patch_files import PatchSummary
from swe_router.verifiers.patches.path_kinds import is_test_module

_TEST_DEFINITION = re.compile(
    r"\s*(?:async\s+)?def\s+(test\w*)\s*\(|\s*class\s+(Test\w*|\w+Tests?)\b"
)


def deleted_tests(files: Iterable[PatchSummary], is_test: Callable[[str], bool]) -> list[str]:
    """Test files removed, and test functions or classes removed and not added again."""
    files = list(files)
    added = {name for file in files for name in _test_names(file.added_lines)}
    moved = {file.path for file in files if not file.deleted}
    gone: list[str] = []
    for file in files:
        source = file.before or file.path
        if file.copied or not is_test(source):
            continue
        if file.deleted and source not in moved:
            gone.append(source)
            continue
        stays = is_test_module if is_test_module(source) else is_test
        if not stays(file.path):
            gone.append(source)  # renamed to what no runner looks for
        names = _test_names(file.removed_lines)
        gone += [f"{source}::{name}" for name in names if name not in added]
    return gone


def _test_names(lines: Iterable[str]) -> list[str]:
    found = (_TEST_DEFINITION.match(line) for line in lines)
    return [match.group(1) or match.group(2) for match in found if match]
