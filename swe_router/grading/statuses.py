"""The output of a test run becomes a status per test, by the parser that a data set names.

swebench's own parsers come first (by name); what they do not know is read by code that the data
set brings along, in a process of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from swe_router.errors import GradingError
from swe_router.grading import isolated
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    from swe_router.grading import harness
else:
    harness = deferred_module("swe_router.grading.harness")

Statuses = Mapping[str, str]
"""Name of a test -> ``passed``, ``failed`` or ``skipped``."""

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_WORDS = {
    **dict.fromkeys(("pass", "passed", "xfail", "ok", "success"), "passed"),
    **dict.fromkeys(("fail", "failed", "error", "failure", "xpass"), "failed"),
    **dict.fromkeys(("skip", "skipped", "ignored", "pending"), "skipped"),
}
_VERBOSE = re.compile(r"(\S+)\s+(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
_SUMMARY = re.compile(r"(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\s+(\S+)")
_WORKER = re.compile(
    r"\[gw\d+\]\s+(?:\[ *\d+%\]\s+)?(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\s+(\S+)"
)
_DOTS = re.compile(r"(.+?)\s\.\.\.\s(ok|FAIL|ERROR|skipped)\b")


def parse_statuses(name: str, log: str) -> Statuses:
    """Statuses by the parser of that name.

    Names are swebench's (``parse_log_jest``), also without their prefix (``pytest``), and those
    of ``OWN``. Raises ``GradingError`` for a name that is unknown here.
    """
    own = OWN.get(name)
    if own is not None:
        return own(ANSI.sub("", log))
    for candidate in (name, f"parse_log_{name}"):
        if candidate in harness.PARSERS:
            return common_statuses(harness.parse_log(candidate, log))
    raise GradingError(f"log parser {name!r} is not known here")


def is_known_parser(name: str) -> bool:
    """Whether ``parsed`` knows the name."""
    return name in OWN or name in harness.PARSERS or f"parse_log_{name}" in harness.PARSERS


def common_statuses(found: Mapping[str, Any]) -> Statuses:
    """Any parser's statuses in our three words; a word that nobody knows counts as failed."""
    return {str(test): _WORDS.get(str(word).lower(), "failed") for test, word in found.items()}


def pytest_verbose(log: str) -> Statuses:
    """``path::test PASSED [ 3%]``: the lines of ``pytest --verbose``."""
    found = (_VERBOSE.match(line) for line in log.split("\n"))
    return common_statuses({match[1]: match[2] for match in found if match})


def pytest_summary(log: str) -> Statuses:
    """``PASSED path::test``: the lines of ``pytest -rA``."""
    found = (_SUMMARY.match(line) for line in log.split("\n"))
    return common_statuses({match[2]: match[1] for match in found if match})


def pytest_xdist(log: str) -> Statuses:
    """``[gw0] PASSED path::test``: the lines of ``pytest --verbose -n 4``, percentages or not."""
    found = (_WORKER.match(line) for line in log.split("\n"))
    return common_statuses({match[2]: match[1] for match in found if match})


def unittest_verbose(log: str) -> Statuses:
    """``test_x (module.Class) ... ok``: the lines of ``python -m unittest --verbose``."""
    found = (_DOTS.match(line) for line in log.split("\n"))
    return common_statuses({match[1]: match[2] for match in found if match})


OWN: Mapping[str, Callable[[str], Statuses]] = {
    "pytest-verbose": pytest_verbose,
    "pytest-summary": pytest_summary,
    "pytest-xdist": pytest_xdist,
    "unittest-verbose": unittest_verbose,
}
"""Parsers that swebench does not have."""


def statuses_of_code(code: str, function: str, log: str, *, path: str = "") -> Statuses:
    """Statuses by a function of Python text that a data set brings along; see ``isolated``.

    Raises ``GradingError`` when it fails or gives no statuses.
    """
    found = isolated.call_isolated(code, function, log, path=path)
    if not isinstance(found, Mapping):
        raise GradingError(f"the data set's log parser gave {type(found).__name__}, not statuses")
    return common_statuses(found)
