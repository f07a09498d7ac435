"""What a test runner itself says in its log: of single tests, and of how many it ran.

The official parsers read the same log line by line and are surprised by what a test prints, by
subtests and by a status next to something else. What is read here never changes their
verdict; it is kept next to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from swe_router.grading.gold import Gold

_SECONDS = r"in \d+(?:\.\d+)? ?s"
_COUNT = r"\d+ [a-z][a-z_-]*(?: [a-z_-]+)*?"
_PYTEST = re.compile(rf"\b({_COUNT}(?:, {_COUNT})*)(?: |,)* {_SECONDS}", re.IGNORECASE)
_SUGAR = re.compile(
    r"^Results \(\d+(?:\.\d+)?s[^)]*\):\n((?:\s+(?:- )?\d+ [a-z ]+\n)+)", re.MULTILINE
)
_PYTEST_RAN = re.compile(r"(\d+) (?:passed|xfailed|xpassed|skipped)")
_UNITTEST = re.compile(r"^Ran (\d+) tests? in \d", re.MULTILINE)
_SYMPY = re.compile(r"tests finished: ([^\n]*?)(?:,? in \d|$)", re.MULTILINE)
_SYMPY_RAN = re.compile(r"(\d+) (?:passed|skipped|expected to fail)")

_SHORT = re.compile(r"^(PASSED|XFAIL|FAILED|ERROR) (\S+::.*)$", re.MULTILINE)
_STATUS_NEXT_TO = re.compile(
    r"^(\S+::.*?) (PASSED|XFAIL|FAILED|ERROR)(?: \([^\n]*\))?(?: +\[ *\d+%\])?$", re.MULTILINE
)
_LISTED = re.compile(r"^=+ short test summary info =+$|\[100%\]$", re.MULTILINE)
_SUB = re.compile(r"^(?:[^\n]*[ \t])?(?:SUB|SUBTEST )FAIL(?:ED)?\b[^\n]*$", re.MULTILINE)
_TEST = re.compile(r"\S+\.\w+::[\w:]+(?:\[[^\]\n]*\])?")
_SECTION = re.compile(
    r"^={20,}\n((?:FAIL|ERROR|UNEXPECTED SUCCESS): (\S+ \([\w.]+\))[^\n]*)\n"
    r"(?:([^-\n][^\n]*)\n)?-{20,}$",
    re.MULTILINE,
)
_OK = re.compile(r"^(\S.*?) \.\.\. +ok$", re.MULTILINE | re.IGNORECASE)
_SYMPY_LINE = re.compile(r"^(test_\w+)\s+(ok|F|E|f)(?:\s+\[(?:OK|FAIL)\])?$", re.MULTILINE)
_GOOD = frozenset(("PASSED", "XFAIL", "ok", "f"))
MAX_COUNT = 20
"""Tests that a doubt lists."""


@dataclass
class TestRecord:
    """Test name -> the line that says so; a test may be in both."""

    passed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, line: str, *, good: bool) -> None:
        """Also under its part before the first blank, which is all that a parser may keep."""
        into = self.passed if good else self.failed
        for key in dict.fromkeys((name, name.split(" ", 1)[0] if "::" in name else name)):
            into.setdefault(key, line.strip()[:200])


def read_own_record(log: str) -> TestRecord:
    """What the runner says of single tests in a log without colours."""
    found = TestRecord()
    for match in _SHORT.finditer(log):
        name = match[2] if match[1] == "PASSED" else match[2].partition(" - ")[0]
        found.add(name.strip(), match[0], good=match[1] in _GOOD)
    for match in _STATUS_NEXT_TO.finditer(log):
        found.add(match[1], match[0], good=match[2] in _GOOD)
    for match in _SUB.finditer(log):
        if test := _TEST.search(match[0]):
            found.add(test[0], match[0], good=False)
    for match in _SECTION.finditer(log):
        for name in filter(None, (match[2], match[3])):
            found.add(name, match[1], good=False)
    for match in _OK.finditer(log):
        found.add(match[1], match[0], good=True)
    for match in _SYMPY_LINE.finditer(log):
        found.add(match[1], match[0], good=match[2] in _GOOD)
    return found


def count_closing_lines(log: str) -> list[int]:
    """How many tests each closing line of a runner says that it ran and did not fail.

    Of pytest in any words and order, unittest (Django, nose) and sympy; empty without any.
    """
    found = [sum(map(int, _PYTEST_RAN.findall(m[1]))) for m in _PYTEST.finditer(log)]
    found += [sum(map(int, _PYTEST_RAN.findall(m[1]))) for m in _SUGAR.finditer(log)]
    found += [int(m[1]) for m in _UNITTEST.finditer(log)]
    return found + [sum(map(int, _SYMPY_RAN.findall(m[1]))) for m in _SYMPY.finditer(log)]


def has_test_list(log: str) -> bool:
    """Whether pytest's own list of tests stands in the log, which ``-qq`` ends without a count."""
    return bool(_LISTED.search(log))


def find_doubts(
    gold: Gold, log: str, status: Mapping[str, Mapping[str, Sequence[str]]]
) -> list[str]:
    """Where the record contradicts the official statuses, a line each with its evidence.

    ``status`` is ``tests_status`` of the harness: lists of tests by ``success`` and ``failure``.
    """
    found = list(_missing(gold))
    record = read_own_record(log)
    lenient = gold.eval_type == "fail_only" and bool(record.passed)
    results = [(name, word == "success") for lists in status.values()
            for word in ("success", "failure") for name in lists.get(word, ())]  # fmt: skip
    for name, passed in results:
        if passed and name in record.failed:
            found.append(f"{name} counts as passed; the runner says: {record.failed[name]}")
        elif not passed and name in record.passed and name not in record.failed:
            found.append(f"{name} counts as failed; the runner says: {record.passed[name]}")
        elif passed and lenient and name not in record.passed:
            found.append(f"{name} counts as passed; the runner says nothing of it")
    more = len(found) - MAX_COUNT
    return [*found[:MAX_COUNT], f"and {more} more"] if more > 0 else found


def _missing(gold: Gold) -> Iterator[str]:
    if not gold.fail_to_pass:
        also = "" if gold.pass_to_pass else " and no test that must stay passing"
        yield (
            f"the row names no test that must start to pass{also}:"
            f" {'a patch that changes nothing' if also == '' else 'any patch'} would be resolved"
        )
