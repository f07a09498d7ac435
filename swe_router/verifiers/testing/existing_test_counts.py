"""What verdicts on existing tests come to: cells of the matrix, counts, and signals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from swe_router.estimates.acceptance.verdict_signals import MAX_TEST_SIGNAL
from swe_router.recorded_verdicts import read_evidence
from swe_router.records import TestResult, TestSource, Verdict
from swe_router.verifier_abilities import TestCell, VerdictSummary
from swe_router.verifiers.evidence_records import RepoTestsEvidence

_RESULTS: Mapping[str, TestResult] = {
    "passed": "passed",
    "failed": "failed",
    "error": "failed",
    "died": "failed",
    "hung": "failed",
}
"""What became of an existing test -> result; flaky, gone and unfinished ones say nothing."""


def cells(verdict: Verdict) -> Iterator[TestCell]:
    """One cell per existing test that ran."""
    for test, (base, after) in read_evidence(RepoTestsEvidence, verdict).tests.items():
        file = test.partition("::")[0] if "::" in test else ""
        source = TestSource(kind="repo", by=file, base=base)
        yield TestCell(test, source, _RESULTS.get(after, "unknown"))


def summary(verdict: Verdict) -> VerdictSummary:
    """How many tests passed before, still pass, and broke."""
    counts = read_evidence(RepoTestsEvidence, verdict).counts
    return VerdictSummary(
        passed_before=counts.get("passed_before", 0),
        still_pass=counts.get("still_pass", 0),
        broken=counts.get("broken", 0),
    )


def signals(verdict: Verdict, verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Tests that broke, those that peers break as well, or that all were kept."""
    contested = {str(test) for one in verdicts for test in one.evidence.get("contested", ())}
    facts = read_evidence(RepoTestsEvidence, verdict)
    broken = facts.counts.get("broken", 0) or len(facts.deleted_tests)
    shared = len(contested & facts.tests.keys())
    if broken > shared:
        # One broken test counts once, ten twice: they mostly break for one reason.
        return {"tests_broken": round(min(MAX_TEST_SIGNAL, 1 + math.log10(broken - shared)), 4)}
    if broken:
        return {"tests_contested": 1.0}
    return {"tests_kept": 1.0} if verdict.outcome == "pass" else {}
