"""Results of a test run of any runner, and the parser of the recorder's signed lines."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

RESULT_SEVERITY = {"error": 4, "failed": 3, "passed": 2, "skipped": 1}
"""Outcomes of a test; of two reported for one test, the higher counts."""


@dataclass(frozen=True)
class TestRun:
    """Results of one test run."""

    __test__ = False

    result_by_test: Mapping[str, str] = field(default_factory=dict)
    """Test id -> passed | failed | skipped | error, the worst where it was reported twice; in the
    order in which the tests ran."""
    file_by_test: Mapping[str, str] = field(default_factory=dict)
    """Test id -> its file, where that is known."""
    ended: bool = False
    """The run came to its own end."""
    timed_out: bool = False
    seconds: float = 0.0
    timeout_seconds: float = 0.0
    """Seconds that it was given."""
    output_tail: str = ""
    """End of the output, kept when there are no results."""
    failure_messages: Mapping[str, str] = field(default_factory=dict)
    """Test id -> what it failed with, at most 200 characters, where the runner tells."""
    tampered: str = ""
    """Why the report is not trusted: foreign or missing lines."""


@dataclass
class Report:
    """A report as it is read."""

    result_by_test: dict[str, str] = field(default_factory=dict)
    file_by_test: dict[str, str] = field(default_factory=dict)
    failure_messages: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    foreign: int = 0
    """Complete lines that the recorder did not sign."""
    missing: int = 0
    """Numbers between those seen that are not there."""

    def add(self, test: str, outcome: str, file: str = "", message: str = "") -> None:
        """Add one result; the worst of a test counts."""
        if outcome not in RESULT_SEVERITY:
            return
        self.file_by_test[test] = file
        if RESULT_SEVERITY[outcome] > RESULT_SEVERITY.get(self.result_by_test.get(test, ""), 0):
            self.result_by_test[test] = outcome
            if message:
                self.failure_messages[test] = message

    def relative_to(self, workdir: str) -> Report:
        """The same with paths from the work folder, where a runner gave absolute ones."""

        def inside(name: str) -> str:
            return name.removeprefix(f"{workdir}/")

        return replace(
            self,
            result_by_test={inside(name): outcome for name, outcome in self.result_by_test.items()},
            file_by_test={inside(name): inside(file) for name, file in self.file_by_test.items()},
            failure_messages={inside(name): text for name, text in self.failure_messages.items()},
        )

    @property
    def tampering_signs(self) -> str:
        """What is wrong with the report, or the empty string."""
        if self.foreign:
            return f"{self.foreign} line(s) of the test report were not written by the recorder"
        return f"{self.missing} line(s) of the test report are gone" if self.missing else ""


def parse_recorded_lines(lines: bytes, key: str = "") -> Report:
    """The recorder's lines, signed with ``key`` (empty: unsigned); a torn last line is left."""
    report = Report()
    numbers: set[int] = set()
    for line in lines.splitlines(keepends=True):
        entry = signed_entry(line, key)
        if entry is None:
            report.foreign += line.endswith(b"\n") and bool(line.strip())
            continue
        numbers.add(entry.get("n", -1))
        report.ended = report.ended or entry.get("end") is True
        test, outcome = entry.get("id"), entry.get("outcome")
        if isinstance(test, str) and isinstance(outcome, str):
            report.add(test, outcome, str(entry.get("file", "")), str(entry.get("why", "")))
    report.missing = max(numbers, default=-1) + 1 - len(numbers) if key else 0
    return report


def signed_entry(line: bytes, key: str) -> dict[str, Any] | None:
    """A line of a recorder's report; None for one that is not signed with ``key``.

    An empty key: lines are not signed, and None is one that is no JSON object.
    """
    if key:
        mac, _, line = line.rstrip(b"\n").partition(b" ")
        wanted = hmac.new(key.encode(), line, hashlib.sha256).hexdigest()[:32]
        if not hmac.compare_digest(mac, wanted.encode()):
            return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
