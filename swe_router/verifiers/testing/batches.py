"""Batches of test files per process: their base results, and which run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from swe_router.verifiers.testing import comparison
from swe_router.verifiers.testing.results import TestRun

MIN_BATCH_SECONDS = 2.0
"""Minimum time left to start a test run."""
MAX_RERUN_FILES = 3
"""Maximum files to rerun at a time."""
QUICK_FILE_SECONDS = 3.0
"""A base batch below this is mostly start-up time, so the next one may be larger."""


@dataclass(frozen=True)
class Batch:
    """Test files that run in one process, and their results at the base."""

    files: tuple[str, ...]
    base_run: TestRun


def next_batch_size(batch: Batch) -> int:
    """Maximum files of the next batch."""
    quick = batch.base_run.ended and batch.base_run.seconds < QUICK_FILE_SECONDS
    return (4 if quick else 2) * len(batch.files)


def timeout_seconds(batch: Batch) -> float:
    """Timeout of a batch: the hang limit plus a margin; 1.5 times its base time if that was cut."""
    if not batch.base_run.ended:
        return max(2 * MIN_BATCH_SECONDS, 1.5 * batch.base_run.seconds)
    least = 2 * comparison.MIN_HUNG_SECONDS
    return max(least, 1.2 * comparison.HUNG_FACTOR * batch.base_run.seconds)


def batch_with_tests(batch: Batch, tests: Sequence[str]) -> Batch:
    """The part of a batch with these tests; all its files if their owners are unknown."""
    mine = [test for test in tests if test in batch.base_run.result_by_test]
    owners = {batch.base_run.file_by_test.get(test, "") for test in mine}
    files = tuple(path for path in batch.files if path in owners)
    if mine and len(files) < len(owners):
        files = batch.files
    return Batch(files if mine else (), batch.base_run)


def first_batches(batches: Sequence[Batch]) -> list[Batch]:
    """The first batches, up to ``MAX_RERUN_FILES`` files together, each cut to its own tests."""
    chosen: list[Batch] = []
    room = MAX_RERUN_FILES
    for batch in batches:
        attributed = set(batch.base_run.file_by_test.values()) <= set(batch.files)
        files = batch.files[:room] if attributed else batch.files
        if files and room > 0:
            held = {
                test: outcome
                for test, outcome in batch.base_run.result_by_test.items()
                if not attributed or batch.base_run.file_by_test[test] in files
            }
            chosen.append(Batch(files, replace(batch.base_run, result_by_test=held)))
            room -= len(files)
    return chosen


def merged_run(batches: Sequence[Batch]) -> TestRun:
    """All base results as one run."""
    results: dict[str, str] = {}
    files: dict[str, str] = {}
    why: dict[str, str] = {}
    for batch in batches:
        results |= batch.base_run.result_by_test
        files |= batch.base_run.file_by_test
        why |= batch.base_run.failure_messages
    return TestRun(
        result_by_test=results,
        file_by_test=files,
        failure_messages=why,
        ended=all(batch.base_run.ended for batch in batches),
        timed_out=any(batch.base_run.timed_out for batch in batches),
        seconds=sum(batch.base_run.seconds for batch in batches),
        output_tail=next(
            (batch.base_run.output_tail for batch in batches if batch.base_run.output_tail), ""
        ),
    )
