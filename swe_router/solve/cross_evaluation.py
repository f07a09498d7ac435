"""Candidates x tests: the matrix, read from what the verdicts show and completed where it gaps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from swe_router.errors import BoundaryError
from swe_router.patch_identity import effect
from swe_router.records import (
    Candidate,
    CrossMatrix,
    CrossRun,
    Instance,
    Outcome,
    TestResult,
    TestSource,
)
from swe_router.seams import VerificationContext, Verifier

REPRODUCTION = "reproduction"
"""The verifier whose tests are run on every candidate; it keeps each run in ``context.cache``."""
_REPO: Mapping[str, TestResult] = {
    "passed": "passed",
    "failed": "failed",
    "error": "failed",
    "died": "failed",
    "hung": "failed",
}
"""What became of an existing test -> result; flaky, gone and unfinished ones say nothing."""
_EXCERPT = 300
T = TypeVar("T")
R = TypeVar("R")


def matrix_of(outcomes: Sequence[Outcome], runs: Sequence[CrossRun] = ()) -> CrossMatrix | None:
    """The matrix that verdicts and ``runs`` come to; None for fewer than two candidates.

    Candidates whose patches have the same effect share one row. Where two results of one pair
    contradict each other it is unknown. Pure: a replay makes it again from the record.
    """
    full = _filled(outcomes)
    if len(full) < 2:
        return None
    same = _same(full)
    tests: dict[str, TestSource] = {}
    heard: dict[str, dict[str, set[TestResult]]] = {row: {} for row in same.values()}
    for outcome, candidate in full:
        for test, source, after in _cells(outcome):
            known = tests.setdefault(test, source)
            tests[test] = known.model_copy(update={"by": _both(known.by, source.by)})
            heard[same[candidate.digest]].setdefault(test, set()).add(after)
    for run in runs:
        if run.patch in same:
            heard[same[run.patch]].setdefault(run.test, set()).add(run.after)
    results = {row: {test: _agreed(said) for test, said in told.items()}
               for row, told in heard.items()}  # fmt: skip
    return CrossMatrix(tests=tests, results=results, same=same, runs=tuple(runs))


def gaps(outcomes: Sequence[Outcome], matrix: CrossMatrix) -> list[Outcome]:
    """Outcomes, one a row, on whose patch some test of the issue was not run yet."""
    wanted = {test for test, source in matrix.tests.items() if source.kind != "repo"}
    rows: dict[str, Outcome] = {}
    for outcome, candidate in _filled(outcomes):
        refused = any(v.outcome == "fail" and v.verifier == "applies" for v in outcome.verdicts)
        if not refused:
            rows.setdefault(matrix.same[candidate.digest], outcome)
    return [one for row, one in rows.items() if wanted - matrix.results.get(row, {}).keys()]


def completed(
    outcomes: Sequence[Outcome],
    instance: Instance,
    context: VerificationContext,
    verifier: Verifier,
    workers: int = 0,
) -> tuple[CrossRun, ...]:
    """Results of the tests that later candidates brought, run on the earlier ones.

    ``verifier`` is asked again with all attempts as peers; ``context.cache`` holds what it ran
    before. No model is asked. Candidates are looked at in parallel, each in sandboxes of its own:
    ``workers`` at a time, 0 for one per core. What cannot be run stays a gap.
    """
    matrix = matrix_of(outcomes)
    open_ = gaps(outcomes, matrix) if matrix is not None else []
    quiet = replace(context, writer=None, judge=None)

    def ask(outcome: Outcome) -> list[CrossRun]:
        peers = [one for one in outcomes if one is not outcome]
        try:
            verdict = verifier.verify(outcome, peers, instance, quiet)
        except BoundaryError:
            return []
        return list(_new(outcome, verdict.evidence))

    return tuple(run for runs in side_by_side(open_, ask, workers) for run in runs)


def side_by_side(items: Sequence[T], work: Callable[[T], R], workers: int = 0) -> list[R]:
    """``work`` of each item, in their order; ``workers`` at a time, 0 for one a core."""
    number = min(len(items), workers or os.cpu_count() or 1)
    if number < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(number, thread_name_prefix="cross") as pool:
        return list(pool.map(work, items))


def _new(outcome: Outcome, evidence: Mapping[str, Any]) -> Iterator[CrossRun]:
    """Runs in the evidence that the outcome's own verdicts do not hold."""
    known = {test for test, _, _ in _cells(outcome)}
    assert outcome.candidate is not None
    for facts in evidence.get("tests", {}).values():
        test = _test_id(facts)
        if test not in known:
            known.add(test)
            yield CrossRun(
                patch=outcome.candidate.digest,
                test=test,
                after=_result(facts["after"]),
                said=str(facts.get("said", ""))[-_EXCERPT:],
            )


def _cells(outcome: Outcome) -> Iterator[tuple[str, TestSource, TestResult]]:
    """Test id, its source and its result, from every verdict that ran something."""
    for verdict in outcome.verdicts:
        tests = verdict.evidence.get("tests", {})
        if verdict.verifier == "repo-tests":
            for test, (base, after) in tests.items():
                file = test.partition("::")[0] if "::" in test else ""
                source = TestSource(kind="repo", by=file, base=base)
                yield test, source, _REPO.get(after, "unknown")
        elif verdict.verifier == REPRODUCTION:
            for facts in tests.values():
                source = TestSource(kind=facts["source"], by=facts["by"], base=facts["base"])
                yield _test_id(facts), source, _result(facts["after"])


def _test_id(facts: Mapping[str, Any]) -> str:
    return f"{facts['source']}:{facts['digest'][:16]}"


def _result(said: str) -> TestResult:
    return "passed" if said == "passed" else "failed" if said == "failed" else "unknown"


def _filled(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, Candidate]]:
    return [(o, o.candidate) for o in outcomes if o.candidate and o.candidate.patch.strip()]


def _same(full: Sequence[tuple[Outcome, Candidate]]) -> dict[str, str]:
    """Digest of each candidate -> that of the first one whose patch has the same effect."""
    first: dict[str, str] = {}
    return {one.digest: first.setdefault(effect(one.patch), one.digest) for _, one in full}


def _both(known: str, more: str) -> str:
    """All who left a test, joined by commas."""
    return ", ".join(dict.fromkeys([*known.split(", "), *more.split(", ")]))


def _agreed(said: set[TestResult]) -> TestResult:
    """A pair that was run several times has a result only if all runs that say one say the same."""
    told = said - {"unknown"}
    return told.pop() if len(told) == 1 else "unknown"
