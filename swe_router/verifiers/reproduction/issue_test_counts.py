"""What verdicts on tests of the issue come to: cells of the matrix, counts, and signals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from swe_router.estimates.acceptance.verdict_signals import MAX_TEST_SIGNAL
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import TestResult, TestSource, Verdict
from swe_router.verifier_abilities import TestCell, VerdictSummary
from swe_router.verifiers.evidence_records import ReproductionEvidence

SIGNALS = (
    "written_passed", "written_failed", "harvested_passed", "harvested_failed", "own_failed",
)  # fmt: skip
"""An author's own tests can lower a probability and never raise it."""


def cells(verdict: Verdict) -> Iterator[TestCell]:
    """One cell per test of the issue; its id is its text's, so attempts may share it."""
    for test in read_evidence(ReproductionEvidence, verdict).tests.values():
        origin = {"kind": test.source, "by": test.by, "base": test.base}
        source = TestSource.model_validate(origin)
        name = f"{test.source}:{test.digest[:16]}"
        yield TestCell(name, source, _result(test.after), test.printed)


def _result(after: str) -> TestResult:
    return "passed" if after == "passed" else "failed" if after == "failed" else "unknown"


def summary(verdict: Verdict) -> VerdictSummary:
    """Tests that a model wrote; those of the candidate's own model have no vote."""
    tests = read_evidence(ReproductionEvidence, verdict).tests
    written = {name: test for name, test in tests.items() if test.source == "written"}
    after = Counter(test.after for test in written.values() if not test.own)
    return VerdictSummary(
        issue_tests_passed=after["passed"],
        issue_tests_ran=after["passed"] + after["failed"],
        written_tests={name: test.text for name, test in written.items()},
    )


def votes(evidence: ReproductionEvidence, author: str = "") -> dict[str, float]:
    """Passed and failed reproduction tests by where they came from.

    What one attempt left has one vote together, by its majority; a written test has its own.
    """
    ballots: dict[tuple[str, str], Counter[str]] = {}
    for name, test in evidence.tests.items():
        written = test.source == "written"
        own_model = written and test.by and test.by.lower() in author.lower()
        kind = "own" if test.own or own_model else test.source
        voter = name if written else test.by
        ballots.setdefault((kind, voter), Counter())[test.after] += 1
    tally: Counter[str] = Counter()
    for (kind, _), results in ballots.items():
        for result in ("passed", "failed"):
            tally[f"{kind}_{result}"] += 2 * results[result] > results.total()
    return {
        name: round(min(MAX_TEST_SIGNAL, math.log2(1 + count)), 4)
        for name, count in sorted(tally.items())
        if count and name in SIGNALS
    }
