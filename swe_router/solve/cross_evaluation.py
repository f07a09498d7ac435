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

_MAX_OUTPUT_CHARS = 300
Item = TypeVar("Item")
ItemResult = TypeVar("ItemResult")


def matrix_of(
    outcomes: Sequence[Outcome], extra_runs: Sequence[CrossRun] = ()
) -> CrossMatrix | None:
    """The matrix that verdicts and ``extra_runs`` come to; None for fewer than two candidates.

    Candidates whose patches have the same effect share one row. Where two results of one pair
    contradict each other it is unknown. Pure: a replay makes it again from the record.
    """
    patched = _with_patch(outcomes)
    if len(patched) < 2:
        return None
    same = _first_of_same_effect(patched)
    tests: dict[str, TestSource] = {}
    results_heard: dict[str, dict[str, set[TestResult]]] = {row: {} for row in same.values()}
    for outcome, candidate in patched:
        for cell in _recorded_cells(outcome):
            known = tests.setdefault(cell.test, cell.source)
            tests[cell.test] = known.model_copy(
                update={"by": _joined_makers(known.by, cell.source.by)}
            )
            results_heard[same[candidate.digest]].setdefault(cell.test, set()).add(cell.after)
    for run in extra_runs:
        if run.patch in same:
            results_heard[same[run.patch]].setdefault(run.test, set()).add(run.after)
    results = {row: {test: _agreed_result(results) for test, results in row_results.items()}
               for row, row_results in results_heard.items()}  # fmt: skip
    return CrossMatrix(tests=tests, results=results, same=same, runs=tuple(extra_runs))


def outcomes_with_gaps(outcomes: Sequence[Outcome], matrix: CrossMatrix) -> list[Outcome]:
    """Outcomes, one per row, on whose patch some test of the issue was not run yet."""
    wanted = {test for test, source in matrix.tests.items() if source.kind != "repo"}
    rows: dict[str, Outcome] = {}
    for outcome, candidate in _with_patch(outcomes):
        if not any(_blocks_runs(verdict) for verdict in outcome.verdicts):
            rows.setdefault(matrix.same[candidate.digest], outcome)
    return [one for row, one in rows.items() if wanted - matrix.results.get(row, {}).keys()]


def run_missing_tests(
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
    incomplete = outcomes_with_gaps(outcomes, matrix) if matrix is not None else []
    without_models = replace(context, writer=None, judge=None)

    def ask(outcome: Outcome) -> list[CrossRun]:
        peers = [one for one in outcomes if one is not outcome]
        try:
            verdict = verifier.verify(outcome, peers, instance, without_models)
        except BoundaryError:
            return []
        cells = verifier.cells(verdict) if isinstance(verifier, FillsMatrix) else ()
        return list(_new_runs(outcome, cells))

    return tuple(run for runs in map_in_parallel(incomplete, ask, workers) for run in runs)


def map_in_parallel(
    items: Sequence[Item], function: Callable[[Item], ItemResult], workers: int = 0
) -> list[ItemResult]:
    """``function`` of each item, in their order; ``workers`` at a time, 0 for one a core."""
    number = min(len(items), workers or os.cpu_count() or 1)
    if number < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(number, thread_name_prefix="cross") as pool:
        return list(pool.map(function, items))


def _new_runs(outcome: Outcome, cells: Iterable[TestCell]) -> Iterator[CrossRun]:
    """Cells that the outcome's own verdicts do not hold."""
    known = {cell.test for cell in _recorded_cells(outcome)}
    assert outcome.candidate is not None
    for cell in cells:
        if cell.test not in known:
            known.add(cell.test)
            yield CrossRun(
                patch=outcome.candidate.digest,
                test=cell.test,
                after=cell.after,
                said=cell.printed[-_MAX_OUTPUT_CHARS:],
            )


def _recorded_cells(outcome: Outcome) -> Iterator[TestCell]:
    """The runs of every verdict that ran something."""
    for verdict in outcome.verdicts:
        yield from recorded_verdicts.cells_of(verdict)


def _blocks_runs(verdict: Verdict) -> bool:
    """No test of others can be run on its patch."""
    blocks = recorded_verdicts.traits_named(verdict.verifier).blocks_runs
    return blocks and verdict.outcome == "fail"


def _with_patch(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, Candidate]]:
    return [(o, o.candidate) for o in outcomes if o.candidate and o.candidate.patch.strip()]


def _first_of_same_effect(patched: Sequence[tuple[Outcome, Candidate]]) -> dict[str, str]:
    """Digest of each candidate -> that of the first one whose patch has the same effect."""
    first: dict[str, str] = {}
    return {
        one.digest: first.setdefault(effect_digest(one.patch), one.digest) for _, one in patched
    }


def _joined_makers(makers: str, more_makers: str) -> str:
    """All who left a test, joined by commas."""
    return ", ".join(dict.fromkeys([*makers.split(", "), *more_makers.split(", ")]))


def _agreed_result(results: set[TestResult]) -> TestResult:
    """Result of a pair that was run several times: that of its conclusive runs if all agree."""
    known = results - {"unknown"}
    return known.pop() if len(known) == 1 else "unknown"
