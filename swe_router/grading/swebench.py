"""The grader of SWE-bench: the official harness in Docker, or its steps in a local sandbox."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from swe_router import suggest
from swe_router.datasets import GradingContext, Row
from swe_router.errors import UsageError
from swe_router.grading import gold as answer_key
from swe_router.grading import runner
from swe_router.grading.backend import Backend, GradingTask
from swe_router.grading.gold import Gold
from swe_router.grading.hidden import new_tests
from swe_router.grading.local import LocalBackend
from swe_router.grading.official import OfficialBackend
from swe_router.grading.predictions import Prediction
from swe_router.records import Grade, Instance

SHARED = ("instance_id", "repo", "base_commit", "image")
"""Columns of the answer key that are no answers."""


class SweBenchGrader:
    """Grades by the rows' own evaluation scripts; see ``datasets.Grader``."""

    answers: Sequence[str] = tuple(one for one in answer_key.COLUMNS if one not in SHARED)

    def __init__(self, context: GradingContext, *, backend: Backend | None = None) -> None:
        """``backend`` stands in for the one that the context's sandbox asks for."""
        self._context = context
        self._backend = backend
        self._rows: dict[str, Row] = {}
        self._golds: dict[str, Gold] = {}
        self._lock = threading.Lock()

    def check(self, instances: Sequence[str]) -> None:
        """See ``datasets.SupportsCheck``."""
        for name in instances:
            self._gold(name)

    def grade(self, instance: Instance, patch: str) -> Grade:
        """See ``datasets.Grader``."""
        prediction = Prediction(instance_id=instance.id, patch=patch)
        return self._evaluation().grade(GradingTask(instance, self._gold(instance.id), prediction))

    def close(self) -> None:
        """See ``datasets.Grader``."""
        if self._backend is not None:
            self._backend.close()

    def gold(self) -> Mapping[str, str]:
        """See ``datasets.SupportsGold``."""
        return {name: self._gold(name).patch for name in self._read()}

    def runner(self, instance_id: str) -> str:
        """See ``datasets.SupportsRunner``."""
        return runner.runner_name(self._gold(instance_id))

    def hidden_tests(self, instance_id: str) -> frozenset[str]:
        """See ``datasets.SupportsHiddenTests``."""
        if instance_id not in self._read():
            return frozenset()
        return new_tests(self._gold(instance_id))

    def _read(self) -> Mapping[str, Row]:
        with self._lock:
            if not self._rows:
                rows = self._context.rows(answer_key.COLUMNS)
                self._rows = {str(row["instance_id"]): row for row in rows}
            return self._rows

    def _gold(self, name: str) -> Gold:
        if name not in self._golds:
            rows = self._read()
            if name not in rows:
                hint = suggest.did_you_mean_hint(name, rows)
                raise UsageError(f"split {self._context.label!r} has no instance {name!r}{hint}")
            self._golds |= answer_key.gold_of_rows([rows[name]])
        return self._golds[name]

    def _evaluation(self) -> Backend:
        with self._lock:
            if self._backend is None:
                self._backend = self._made()
            return self._backend

    def _made(self) -> Backend:
        context = self._context
        if context.sandbox == "docker":
            harness = OfficialBackend(context.folder, timeout=context.timeout)
            harness.check()
            return harness
        if context.open is None:
            raise UsageError("no sandbox to grade in was given")
        return LocalBackend(context.open, context.folder, timeout=context.timeout)
