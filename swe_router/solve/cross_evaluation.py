"""Candidates x tests: the matrix, read from what the verdicts show and completed where it gaps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from swe_router import recorded_verdicts
from swe_router.errors import BoundaryError
from swe_router.patch_identity import effect_digest
from swe_router.records import (
    Candidate,
    CrossMatrix,
    CrossRun,
    Instance,
    Outcome,
    TestResult,
    TestSource,
    Verdict,
)
from swe_router.seams import VerificationContext, Verifier
from swe_router.verifier_abilities import FillsMatrix, TestCell

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
        for cell in _cells(outcome):
            known = tests.setdefault(cell.test, cell.source)
            tests[cell.test] = known.model_copy(update={"by": _both(known.by, cell.source.by)})
            heard[same[candidate.digest]].setdefault(cell.test, set()).add(cell.after)
    for run in runs:
        if run.patch in same:
            heard[same[run.patch]].setdefault(run.test, set()).add(run.after)
    results = {row: {test: _agreed(results) for test, results in row_results.items()}
               for row, row_results in heard.items()}  # fmt: skip
    return CrossMatrix(tests=tests, results=results, same=same, runs=tuple(runs))


def gaps(outcomes: Sequence[Outcome], matrix: CrossMatrix) -> list[Outcome]:
    """Outcomes, one per row, on whose patch some test of the issue was not run yet."""
    wanted = {test for test, source in matrix.tests.items() if source.kind != "repo"}
    rows: dict[str, Outcome] = {}
    for outcome, candidate in _filled(outcomes):
        if not any(_blocks_runs(verdict) for verdict in outcome.verdicts):
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
        cells = verifier.cells(verdict) if isinstance(verifier, FillsMatrix) else ()
        return list(_new(outcome, cells))

    return tuple(run for runs in side_by_side(open_, ask, workers) for run in runs)


def side_by_side(items: Sequence[T], work: Callable[[T], R], workers: int = 0) -> list[R]:
    """``work`` of each item, in their order; ``workers`` at a time, 0 for one a core."""
    number = min(len(items), workers or os.cpu_count() or 1)
    if number < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(number, thread_name_prefix="cross") as pool:
        return list(pool.map(work, items))


def _new(outcome: Outcome, cells: Iterable[TestCell]) -> Iterator[CrossRun]:
    """Cells that the outcome's own verdicts do not hold."""
    known = {cell.test for cell in _cells(outcome)}
    assert outcome.candidate is not None
    for cell in cells:
        if cell.test not in known:
            known.add(cell.test)
            yield CrossRun(
                patch=outcome.candidate.digest,
                test=cell.test,
                after=cell.after,
                said=cell.printed[-_EXCERPT:],
            )


def _cells(outcome: Outcome) -> Iterator[TestCell]:
    """The runs of every verdict that ran something."""
    for verdict in outcome.verdicts:
        yield from recorded_verdicts.cells_of(verdict)


def _blocks_runs(verdict: Verdict) -> bool:
    """No test of others can be run on its patch."""
    blocks = recorded_verdicts.traits_named(verdict.verifier).blocks_runs
    return blocks and verdict.outcome == "fail"


def _filled(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, Candidate]]:
    return [(o, o.candidate) for o in outcomes if o.candidate and o.candidate.patch.strip()]


def _same(full: Sequence[tuple[Outcome, Candidate]]) -> dict[str, str]:
    """Digest of each candidate -> that of the first one whose patch has the same effect."""
    first: dict[str, str] = {}
    return {one.digest: first.setdefault(effect_digest(one.patch), one.digest) for _, one in full}


def _both(known: str, more: str) -> str:
    """All who left a test, joined by commas."""
    return ", ".join(dict.fromkeys([*known.split(", "), *more.split(", ")]))


def _agreed(results: set[TestResult]) -> TestResult:
    """Result of a pair that was run several times: that of its conclusive runs if all agree."""
    known = results - {"unknown"}
    return known.pop() if len(known) == 1 else "unknown"
