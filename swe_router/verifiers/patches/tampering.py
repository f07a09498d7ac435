"""Detects patches that change tests, test configuration or auto-loaded files."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable, Sequence

from swe_router.patch_files import PatchSummary

TEST_SETTINGS_FILES = frozenset(
    {
        "conftest.py",
        *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"),
        *("tox.ini", "setup.cfg", "pyproject.toml", ".coveragerc"),
        *("phpunit.xml", "phpunit.xml.dist", ".rspec", ".mocharc.json", ".mocharc.js"),
        *(".mocharc.cjs", ".mocharc.yml", ".mocharc.yaml", "jest.config.js", "jest.config.ts"),
        *("jest.config.json", "jest.config.cjs", "jest.config.mjs", "vitest.config.ts"),
        *("vitest.config.js", "vitest.config.mts", "vitest.config.mjs"),
    }
)
"""Files by name that say which tests run and how; manifests of builds are not among them."""
_AUTO_LOADED_FILE = re.compile(
    r"(\A|/)(sitecustomize|usercustomize)(\.py|/)|\.pth\Z|\.(egg|dist)-info/|(\A|/)bin/test\Z"
)
_KNOWN_MODULES = frozenset(sys.stdlib_module_names) | {
    *("pytest", "_pytest", "pluggy", "iniconfig", "py", "pytest_cov", "xdist", "hypothesis"),
    "recorder",
}
_TEST_MACHINERY = re.compile(
    r"\b_pytest\b|\bpytest_(runtest|collection|configure|sessionfinish|report|pyfunc|itemcollected)"
    r"|\bunittest\.(TestResult|result|runner|suite|case\.TestCase\.run)\b"
    r"|\b(TestResult|TestReport|PyTestReporter)\.\w+\s*="
    r"|swe.router|\bgc\.get_(objects|referrers)\b|sys\.modules\[['\"](pytest|_pytest|unittest)"
)

_TEST_PATH = re.compile(r"(\A|[/_.])(py|doc|unit|run)?test(s|ing)?(?=[/_.]|\Z)")


def decides_own_test_run(path: str, is_test: Callable[[str], bool]) -> bool:
    """True for a test, a test configuration, or a file that Python loads by itself."""
    name = posixpath.basename(path)
    return name in TEST_SETTINGS_FILES or is_test(path) or bool(_AUTO_LOADED_FILE.search(path))


def paths_to_restore(
    files: Sequence[PatchSummary], is_test: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """Paths to restore from the base commit, and paths to remove, for a run of the base tests.

    Removed are new tests and settings, and new top-level modules that would shadow one of Python's
    or pytest's own.
    """
    old = [f.before for f in files if f.before and decides_own_test_run(f.before, is_test)]
    new = [
        f.path
        for f in files
        if not f.deleted
        and f.path != f.before
        and (
            decides_own_test_run(f.path, is_test) or (not f.before and shadows_known_module(f.path))
        )
    ]
    return sorted(set(old)), sorted(set(new) - set(old))


def shadows_known_module(path: str) -> bool:
    """A top-level module with the name of one of Python's or pytest's own."""
    top, slash, rest = path.partition("/")
    if not slash:
        return top.endswith(".py") and top.removesuffix(".py") in _KNOWN_MODULES
    return rest == "__init__.py" and top in _KNOWN_MODULES


def machinery_lines(files: Sequence[PatchSummary], is_test: Callable[[str], bool]) -> list[str]:
    """Added product lines that touch the test machinery; at most 20.

    Projects that are test machinery themselves, by their removed lines and paths, are exempt.
    """
    found: list[str] = []
    for file in files:
        if decides_own_test_run(file.path, is_test) or not file.path.endswith((".py", ".pyi")):
            continue
        if _TEST_PATH.search(file.path):
            continue
        if any(_TEST_MACHINERY.search(line) for line in file.removed_lines):
            continue
        hits = (line.strip() for line in file.added_lines if _TEST_MACHINERY.search(line))
        found += [f"{file.path}: {line[:120]}" for line in hits]
    return found[:20]
