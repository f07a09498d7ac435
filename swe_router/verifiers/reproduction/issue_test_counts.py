"""What verdicts on tests of the issue come to: cells of the matrix, counts, and signals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from swe_router.estimates.acceptance.verdict_signals import MAX_VOTES
from swe_router.records import TestResult, TestSource, Verdict
from swe_router.verifier_abilities import TestCell, VerdictSummary

SIGNALS = (
    "written_passed", "written_failed", "harvested_passed", "harvested_failed", "own_failed",
)  # fmt: skip
"""An author's own tests can lower a probability and never raise it."""


def cells(verdict: Verdict) -> Iterator[TestCell]:
    """One cell per test of the issue; its id is its text's, so attempts may share it."""
    for facts in verdict.evidence.get("tests", {}).values():
        source = TestSource(kind=facts["source"], by=facts["by"], base=facts["base"])
        name = f"{facts['source']}:{facts['digest'][:16]}"
        yield TestCell(name, source, _result(facts["after"]), str(facts.get("said", "")))


def _result(after: str) -> TestResult:
    return "passed" if after == "passed" else "failed" if after == "failed" else "unknown"


def summary(verdict: Verdict) -> VerdictSummary:
    """Tests that a model wrote; those of the candidate's own model have no vote."""
    tests: Mapping[str, Mapping[str, Any]] = verdict.evidence.get("tests", {})
    written = {name: one for name, one in tests.items() if one.get("source") == "written"}
    after = Counter(one.get("after") for one in written.values() if not one.get("own"))
    return VerdictSummary(
        issue_tests_passed=after["passed"],
        issue_tests_ran=after["passed"] + after["failed"],
        written_tests={name: str(one.get("text")) for name, one in written.items()},
    )


def votes(evidence: Mapping[str, Any], author: str = "") -> dict[str, float]:
    """Passed and failed reproduction tests by where they came from.

    What one attempt left has one vote together, by its majority; a written test has its own.
    """
    ballots: dict[tuple[str, str], Counter[str]] = {}
    for name, test in evidence.get("tests", {}).items():
        by, source = str(test.get("by", "")), str(test.get("source", ""))
        own_model = source == "written" and by and by.lower() in author.lower()
        kind = "own" if test.get("own") or own_model else source
        voter = name if source == "written" else by
        ballots.setdefault((kind, voter), Counter())[str(test.get("after"))] += 1
    tally: Counter[str] = Counter()
    for (kind, _), results in ballots.items():
        for result in ("passed", "failed"):
            tally[f"{kind}_{result}"] += 2 * results[result] > results.total()
    return {
        name: round(min(MAX_VOTES, math.log2(1 + count)), 4)
        for name, count in sorted(tally.items())
        if count and name in SIGNALS
    }
