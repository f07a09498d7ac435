"""Batches of test files per process: their base results, and which run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from swe_router.verifiers.testing import comparison
from swe_router.verifiers.testing.results import TestRun

MIN_SECONDS = 2.0
"""Minimum time left to start a test run."""
RERUN = 3
"""Maximum files to rerun at a time."""
QUICK = 3.0
"""A base batch below this is mostly start-up time, so the next one may be larger."""


@dataclass(frozen=True)
class Batch:
    """Test files that run in one process, and their results at the base."""

    files: tuple[str, ...]
    before: TestRun


def next_batch_size(batch: Batch) -> int:
    """Maximum files of the next batch."""
    quick = batch.before.ended and batch.before.seconds < QUICK
    return (4 if quick else 2) * len(batch.files)


def timeout_seconds(batch: Batch) -> float:
    """Timeout of a batch: the hang limit plus a margin; 1.5 times its base time if that was cut."""
    if not batch.before.ended:
        return max(2 * MIN_SECONDS, 1.5 * batch.before.seconds)
    least = 2 * comparison.MIN_HUNG
    return max(least, 1.2 * comparison.HUNG_FACTOR * batch.before.seconds)


def batch_with_tests(batch: Batch, tests: Sequence[str]) -> Batch:
    """The part of a batch with these tests; all its files if their owners are unknown."""
    mine = [test for test in tests if test in batch.before.results]
    owners = {batch.before.files.get(test, "") for test in mine}
    files = tuple(path for path in batch.files if path in owners)
    if mine and len(files) < len(owners):
        files = batch.files
    return Batch(files if mine else (), batch.before)


def first_batches(batches: Sequence[Batch]) -> list[Batch]:
    """The first batches, up to ``RERUN`` files together, each cut to its own tests."""
    chosen: list[Batch] = []
    room = RERUN
    for batch in batches:
        attributed = set(batch.before.files.values()) <= set(batch.files)
        files = batch.files[:room] if attributed else batch.files
        if files and room > 0:
            held = {
                test: outcome
                for test, outcome in batch.before.results.items()
                if not attributed or batch.before.files[test] in files
            }
            chosen.append(Batch(files, replace(batch.before, results=held)))
            room -= len(files)
    return chosen


def merged_run(batches: Sequence[Batch]) -> TestRun:
    """All base results as one run."""
    results: dict[str, str] = {}
    files: dict[str, str] = {}
    why: dict[str, str] = {}
    for batch in batches:
        results |= batch.before.results
        files |= batch.before.files
        why |= batch.before.why
    return TestRun(
        results=results,
        files=files,
        why=why,
        ended=all(batch.before.ended for batch in batches),
        timed_out=any(batch.before.timed_out for batch in batches),
        seconds=sum(batch.before.seconds for batch in batches),
        tail=next((batch.before.tail for batch in batches if batch.before.tail), ""),
    )
