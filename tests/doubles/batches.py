"""Batches of tests as they were run at the base."""

from __future__ import annotations

from swe_router.verifiers.testing.batches import Batch
from swe_router.verifiers.testing.results import TestRun


def run(results, **changes) -> TestRun:
    """A run that came to its end, changed."""
    return TestRun(result_by_test=results, **{"ended": True, **changes})


def batch(*files, seconds=1.0, results=None, owners=None, **changes) -> Batch:
    """A batch of files with one passed test each, changed."""
    results = results or {f"{file}::t": "passed" for file in files}
    owners = owners or {test: test.partition("::")[0] for test in results}
    return Batch(files, run(results, file_by_test=owners, seconds=seconds, **changes))
