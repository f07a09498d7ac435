"""Rules from recorded results to a verdict; pure functions."""

from __future__ import annotations

import hashlib
from collections import Counter
from decimal import Decimal, InvalidOperation

from swe_router.verifiers.evidence_records import IssueTestEvidence, ReproductionEvidence


def outcome_of(evidence: ReproductionEvidence) -> str:
    """The outcome that follows from the evidence, or ``contradictory`` with the reason.

    Each written test has one vote; all tests left by one attempt have one vote together. Tests left
    by the judged attempt or written by its own model have none. More than half of the votes must
    agree; an attempt with inconclusive tests abstains.
    """
    wrong = contradiction(evidence)
    if wrong:
        return f"contradictory: {wrong}"
    votes = votes_of(evidence)
    count = Counter(votes.values())
    if 2 * count["passed"] > len(votes):
        return "pass"
    return "fail" if 2 * count["failed"] > len(votes) else "unknown"


def contradiction(evidence: ReproductionEvidence) -> str:
    """What of the evidence does not follow from the rest of it; empty when all does."""
    for name, test in evidence.tests.items():
        if _digest(test.text) != test.digest:
            return f"{name}: the text is not that of its digest"
        if test.base != "failed" or not _failed_before(test):
            return f"{name}: it did not fail at the base"
        if result_of(test) != test.after:
            return f"{name}: recorded {test.after}, by its results {result_of(test)}"
    try:
        paid = sum((Decimal(call["usd"]) for call in evidence.calls), Decimal(0))
        recorded = Decimal(evidence.usd)
    except InvalidOperation:
        return "usd: no amount of money"
    return "" if paid == recorded else f"usd: recorded {recorded}, its calls cost {paid}"


def votes_of(evidence: ReproductionEvidence) -> dict[str, str]:
    """Who votes -> passed | failed | unknown."""
    ballots: dict[str, list[str]] = {}
    for name, test in evidence.tests.items():
        if not test.own:
            voter = name if test.source == "written" else str(test.by)
            ballots.setdefault(voter, []).append(test.after)
    wrote = {name for name, test in evidence.tests.items() if test.source == "written"}
    votes = {voter: _majority(results) for voter, results in ballots.items()}
    return {voter: vote for voter, vote in votes.items() if vote != "unknown" or voter in wrote}


def result_of(test: IssueTestEvidence) -> str:
    """Result of a test after the patch, from its recorded runs."""
    if test.flaky:
        return "unknown"
    if test.oracle != "result":
        return _by_print(test)
    results = [after for _, after in test.results.values()]
    if "failed" in results:
        return "failed"
    return "passed" if results and set(results) == {"passed"} else "unknown"


def why_text(evidence: ReproductionEvidence) -> str:
    """The votes in one line."""
    votes = votes_of(evidence)
    idle = len(evidence.unusable)
    own = sum(test.own for test in evidence.tests.values())
    suffix = "".join(
        f", {number} {what}" for number, what in ((own, "of its own"), (idle, "unusable")) if number
    )
    if not votes:
        return f"no test fails at the base for the issue's reason and may vote{suffix}"
    count = Counter(votes.values())
    counts = ", ".join(f"{count[kind]} {kind}" for kind in ("passed", "failed", "unknown")
                     if count[kind])  # fmt: skip
    return f"after the patch: {counts} of {len(votes)} vote(s){suffix}"


def _by_print(test: IssueTestEvidence) -> str:
    """A script that ends well at the base and prints that something is wrong.

    Words of failure: passed when none is printed more often than by what is right. Else by its
    whole output: that of the base is failed, that of its author's fix is passed.
    """
    if test.ended != "well":
        return "failed" if test.ended == "badly" else "unknown"
    if test.oracle == "marks":
        still = any(now > calm for _, calm, now in test.marks.values())
        return "failed" if still else "passed"
    base, fixed, after = test.outputs
    return {base: "failed", fixed: "passed"}.get(after, "unknown")


def _failed_before(test: IssueTestEvidence) -> bool:
    if test.oracle == "marks":
        return any(bad > calm for bad, calm, _ in test.marks.values())
    if test.oracle == "output":
        return test.outputs[0] != test.outputs[1]
    return any(base == "failed" for base, _ in test.results.values())


def _majority(results: list[str]) -> str:
    """What most of those say that say anything."""
    count = Counter(results)
    if count["passed"] == count["failed"]:
        return "unknown"
    return "passed" if count["passed"] > count["failed"] else "failed"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
