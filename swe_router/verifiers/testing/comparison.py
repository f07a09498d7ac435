"""Results of the same tests before and after a patch, compared; pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from swe_router.verifiers.evidence_records import RepoTestsEvidence
from swe_router.verifiers.testing.results import TestRun

BROKEN_RESULTS = ("failed", "error", "died", "hung")
"""Results after the patch that count against it, for a test that passed before."""
MAX_LISTED_TESTS = 200
"""Tests listed in the evidence; broken ones come first and are all listed."""
HUNG_FACTOR = 5.0
"""A run that did not end within this multiple of its earlier time hangs."""
MIN_HUNG_SECONDS = 30.0
"""Minimum seconds to call a run hung: a busy machine is slow."""
_NETWORK_ERROR = re.compile(
    r"gaierror|getaddrinfo|name or service not known|temporary failure in name resolution"
    r"|network is unreachable|name resolution|max retries exceeded|urlopen error"
    r"|failed to establish a new connection|nodename nor servname|no route to host",
    re.IGNORECASE,
)


def needs_network(why: str) -> bool:
    """A failure that says no more than that the sandbox has no network."""
    return bool(_NETWORK_ERROR.search(why))


def compare_runs(before: TestRun, after: TestRun) -> dict[str, str]:
    """Each test that passed before, in order -> its result after.

    passed | failed | error (its file no longer loads) | gone (no longer there, or skipped) |
    died (the run broke off in it) | hung | unfinished (not reached, where it was reached before) |
    cut (not reached, in a run that was cut short before as well).
    """
    passed = [test for test, outcome in before.result_by_test.items() if outcome == "passed"]
    now = {test: _result_after(test, before, after) for test in passed}
    stops = [test for test, came in now.items() if came in ("died", "hung")]
    # The run stopped in the first of them; the others were not reached.
    return now | dict.fromkeys(stops[1:], "unfinished")


def _result_after(test: str, before: TestRun, after: TestRun) -> str:
    outcome = after.result_by_test.get(test)
    if outcome is not None:
        return "gone" if outcome == "skipped" else outcome
    if after.timed_out or not after.ended:
        return _files_not_reached(before, after)
    return (
        "error" if not after.result_by_test or _file_fails_to_load(test, before, after) else "gone"
    )


def _files_not_reached(before: TestRun, after: TestRun) -> str:
    if not before.ended:
        return "cut"
    if not after.timed_out:
        return "died"
    patience = max(MIN_HUNG_SECONDS, HUNG_FACTOR * before.seconds)
    return "hung" if after.timeout_seconds >= patience else "unfinished"


def _file_fails_to_load(test: str, before: TestRun, after: TestRun) -> bool:
    """The test's file, or an unnamed one, fails to load and did not before."""
    files = ("", before.file_by_test.get(test, ""))
    return any(
        outcome == "error" and after.file_by_test.get(other, "") in files
        for other, outcome in after.result_by_test.items()
        if before.result_by_test.get(other) != "error"
    )


def with_flaky_tests(
    results_after: Mapping[str, str], before: TestRun, after: TestRun
) -> dict[str, str]:
    """``results_after`` with ``flaky`` for what a second pair of runs does not break again."""
    again = compare_runs(before, after)
    return {
        test: "flaky"
        if came in BROKEN_RESULTS and again.get(test, "gone") not in BROKEN_RESULTS
        else came
        for test, came in results_after.items()
    }


def evidence_of(now: Mapping[str, str], before: TestRun) -> dict[str, Any]:
    """Counts of all tests, and the listed tests.

    ``needed_network``: tests that failed before for lack of a network; they are no evidence.
    """
    order = sorted(now, key=lambda test: (now[test] not in BROKEN_RESULTS, test))
    broken = sum(came in BROKEN_RESULTS for came in now.values())
    listed = order[: max(MAX_LISTED_TESTS, broken)]
    facts = {
        "counts": {
            **outcome_counts(now.values()),
            "not_passed_before": len(before.result_by_test) - len(now),
        },
        "tests": {test: ["passed", now[test]] for test in listed},
        "listed": len(listed),
    }
    network = tests_needing_network(before)
    return {**facts, "needed_network": network[:MAX_LISTED_TESTS]} if network else facts


def tests_needing_network(before: TestRun) -> list[str]:
    """Tests that failed before for lack of network, sorted."""
    return sorted(
        test
        for test, why in before.failure_messages.items()
        if before.result_by_test.get(test) in ("failed", "error") and needs_network(why)
    )


def outcome_counts(came: Iterable[str]) -> dict[str, int]:
    """Number of tests that passed before, per result after."""
    tally = Counter(came)
    return {
        "passed_before": tally.total(),
        "still_pass": tally["passed"],
        "broken": sum(tally[kind] for kind in BROKEN_RESULTS),
        "flaky": tally["flaky"],
        "gone": tally["gone"],
        "unfinished": tally["unfinished"],
        "cut": tally["cut"],
    }


def outcome_of(evidence: RepoTestsEvidence) -> str:
    """The outcome that follows from the evidence, or ``contradictory``.

    ``unknown``: a failure without time to confirm it, a tampered report, a run in which more tests
    vanished than passed, and a run that did not end though it did before. A patch that touches the
    test machinery can fail but not pass.
    """
    if evidence.deleted_tests:
        return "fail"
    counts = evidence.counts
    if not counts:
        return "unknown"
    if _contradictory(evidence):
        return "contradictory"
    if counts["broken"] and not evidence.tampered:
        return "unknown" if evidence.confirmed is False else "fail"
    if evidence.tampered or evidence.meddles or counts["unfinished"]:
        return "unknown"
    lost = max(counts["gone"], counts.get("cut", 0))
    return "pass" if counts["still_pass"] > 0 and counts["still_pass"] >= lost else "unknown"


def _contradictory(evidence: RepoTestsEvidence) -> bool:
    counts = evidence.counts
    tests = outcome_counts(came for _, came in evidence.tests.values())
    whole = len(evidence.tests) == counts["passed_before"]
    if whole and any(tests[key] != counts.get(key, 0) for key in tests):
        return True
    return tests["broken"] != counts["broken"]
