"""What the same tests said before and after a patch; pure, so that a reader can redo it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from swe_router.verifiers.runners import TestRun

BROKEN = ("failed", "error", "died", "hung")
"""What a test that passed before may have come to, and that counts against the patch."""
MOST_LISTED = 200
"""Tests listed in the evidence; all that broke come first and are all listed."""
HUNG_FACTOR = 5.0
"""A run that got this many times the seconds it took before, and did not end, hangs."""
HUNG_LEAST = 30.0
"""Seconds under which no run is called hung: a busy machine stutters."""


def after_of(test: str, before: TestRun, after: TestRun) -> str:
    """What became of a test that passed before.

    passed | failed | error (its file no longer loads) | died (the run broke off) | hung |
    unfinished (out of time, no verdict) | gone (no longer there, or skipped).
    """
    said = after.results.get(test)
    if said is not None:
        return "gone" if said == "skipped" else said
    if after.timed_out:
        patience = max(HUNG_LEAST, HUNG_FACTOR * before.seconds)
        return "hung" if before.ended and after.limit >= patience else "unfinished"
    if not after.ended:
        return "died"
    if not after.results:
        return "error"
    file = before.files.get(test, "")
    for other, outcome in after.results.items():
        known = before.results.get(other) == "error"
        if outcome == "error" and not known and after.files.get(other, "") in ("", file):
            return "error"
    return "gone"


def compare(before: TestRun, after: TestRun) -> dict[str, str]:
    """Each test that passed before -> what became of it."""
    passed = (test for test, outcome in before.results.items() if outcome == "passed")
    return {test: after_of(test, before, after) for test in passed}


def confirmed(now: Mapping[str, str], before: TestRun, after: TestRun) -> dict[str, str]:
    """``now`` with ``flaky`` for a broken test that a second pair of runs does not break again."""
    again = compare(before, after)
    return {
        test: "flaky" if came in BROKEN and again.get(test, "gone") not in BROKEN else came
        for test, came in now.items()
    }


def evidence_of(now: Mapping[str, str], before: TestRun) -> dict[str, Any]:
    """Counts of all tests, and the tests themselves as far as they are listed."""
    order = sorted(now, key=lambda test: (now[test] not in BROKEN, test))
    broken = sum(came in BROKEN for came in now.values())
    listed = order[: max(MOST_LISTED, broken)]
    return {
        "counts": {
            **counted(now.values()),
            "not_passed_before": len(before.results) - len(now),
        },
        "tests": {test: ["passed", now[test]] for test in listed},
        "listed": len(listed),
    }


def counted(came: Any) -> dict[str, int]:
    """How many of the tests that passed before came to what."""
    tally = Counter(came)
    return {
        "passed_before": tally.total(),
        "still_pass": tally["passed"],
        "broken": sum(tally[kind] for kind in BROKEN),
        "flaky": tally["flaky"],
        "gone": tally["gone"],
        "unfinished": tally["unfinished"],
    }


def outcome_of(evidence: Mapping[str, Any]) -> str:
    """The outcome that the evidence stands for, or a word that says it contradicts itself."""
    if evidence.get("deleted_tests"):
        return "fail"
    if "counts" not in evidence:
        return "unknown"
    counts = evidence["counts"]
    tests = counted(came for _, came in evidence["tests"].values())
    whole = len(evidence["tests"]) == counts["passed_before"]
    if whole and any(tests[key] != counts[key] for key in tests):
        return "contradictory"
    if tests["broken"] != counts["broken"]:
        return "contradictory"
    if counts["broken"]:
        return "fail"
    return "pass" if counts["still_pass"] and not counts["unfinished"] else "unknown"
