"""What every backend shares: the task, the folder of one evaluation, and a verdict seen before."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from swe_router.grading.evidence import HarnessVerdict, grade_of_report
from swe_router.grading.gold import Gold
from swe_router.grading.predictions import Prediction
from swe_router.records import Grade, Instance, digest_of

MODEL = "swe-router"
"""The model name that the harness sees; what the file names may be no folder name."""


@dataclass(frozen=True)
class GradingTask:
    """One prediction to grade."""

    instance: Instance
    gold: Gold
    prediction: Prediction


class Backend(Protocol):
    """A way to run the official evaluation."""

    def grade(self, task: GradingTask) -> Grade:
        """The verdict on one non-empty patch.

        What breaks outside is an ``ungraded`` grade that says so, or a ``BoundaryError``.
        """
        ...

    def close(self) -> None:
        """Stop evaluations that still run and remove what they started; safe to call twice."""
        ...


@dataclass(frozen=True)
class GradingPlace:
    """The folder of one evaluation, laid out as the official harness does.

    The run id holds the hashes of the patch and of all it is judged by, so that a verdict is
    only ever found again for the same patch under the same tests in the same place.
    """

    root: Path
    task: GradingTask
    where: str
    """What the tests run in: the sandbox, or the image by its content."""

    @property
    def run_id(self) -> str:
        """Id of the evaluation, fit for a container name."""
        key = digest_of([self.task.gold.fingerprint(), self.where, version("swebench")])
        return f"swe-router-{self.task.prediction.digest[:16]}-{key[:8]}"

    @property
    def folder(self) -> Path:
        """Where the harness writes the logs of this evaluation."""
        logs = self.root / "logs" / "run_evaluation"
        return logs / self.run_id / MODEL / self.task.gold.instance_id

    @property
    def log(self) -> Path:
        """The evaluation's output."""
        return self.folder / "test_output.txt"

    @property
    def judged(self) -> HarnessVerdict:
        """What a grade is made for."""
        return HarnessVerdict(self.task.gold, self.task.prediction.digest, self.log)

    def report(self) -> Any:
        """The report as JSON, or None when there is none that can be read."""
        try:
            return json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def seen(self) -> Grade | None:
        """The verdict of an earlier evaluation of this very patch, unless that was ungraded."""
        report = self.report()
        grade = None if report is None else grade_of_report(self.judged, report)
        return None if grade is None or grade.outcome == "ungraded" else grade

    def clear(self) -> None:
        """Remove what an earlier evaluation left, so that nothing of it is taken for ours."""
        shutil.rmtree(self.folder, ignore_errors=True)
