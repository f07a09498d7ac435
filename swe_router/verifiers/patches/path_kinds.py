"""What a path is, by its name alone: test, document, debris or source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Protocol, runtime_checkable

_TEST_FILE = re.compile(
    r"\A(test_.*|unittest_.*|.*_tests?|tests?)\.py\Z|\A.*[._](test|spec)\.[jt]sx?\Z"
)
_TEST_FOLDERS = frozenset({"tests", "__tests__", "spec"})
_DOC_SUFFIXES = (".rst", ".md", ".markdown", ".adoc")
_DOC_FOLDERS = frozenset({"docs", "doc", "documentation", "changelog", "news"})
_DEBRIS = re.compile(
    r"(\.(orig|rej|pyc|pyo|bak|swp|swo|log|patch|diff)|~)\Z|(\A|/)(\.DS_Store|__pycache__/.*)\Z"
)
_SCRATCH = re.compile(r"\A(repro\w*|debug\w*|test_\w+|verify\w*|check_\w+|demo\w*)\.(py|sh)\Z")


@runtime_checkable
class KnowsTestFiles(Protocol):
    """A code graph with its own notion of a test file."""

    def is_test(self, path: str) -> bool:
        """Whether the file holds tests."""
        ...


def is_test(path: str) -> bool:
    """True for test modules and whatever lies in a folder of tests."""
    *folders, name = path.split("/")
    if _TEST_FILE.match(name) or name == "conftest.py":
        return True
    first = folders[:1] in (["test"], ["testing"])
    return first or not _TEST_FOLDERS.isdisjoint(folders)


def is_test_module(path: str) -> bool:
    """True for a Python file that a test runner can be pointed at."""
    return path.endswith(".py") and bool(_TEST_FILE.match(posixpath.basename(path)))


def is_git_internal(path: str) -> bool:
    """True for what git keeps for itself: no change of a project, and its hooks are run."""
    return ".git" in path.split("/")


def is_doc(path: str) -> bool:
    """True for prose: by suffix, by folder, or a text file at the root."""
    *folders, name = path.lower().split("/")
    if name.endswith(_DOC_SUFFIXES) or not _DOC_FOLDERS.isdisjoint(folders):
        return True
    return not folders and name.endswith(".txt") and "require" not in name


def is_debris(path: str) -> bool:
    """True for what tools leave behind: reject files, byte code, backups, logs."""
    return bool(_DEBRIS.search(path))


def is_scratch(path: str) -> bool:
    """True for a script at the root that looks like a reproduction of the issue.

    Noted, not held against a patch: among real candidates, right ones carry them too.
    """
    return bool(_SCRATCH.match(path))


def is_test_predicate(graph: object) -> Callable[[str], bool]:
    """``is_test``, extended by the graph's own notion of a test file if it has one."""
    if not isinstance(graph, KnowsTestFiles):
        return is_test
    return lambda path: graph.is_test(path) or is_test(path)
