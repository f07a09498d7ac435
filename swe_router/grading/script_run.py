"""One way to evaluate a patch for many data sets: files into a fresh sandbox, a script, its files.

A data set's grader says what to carry out (``EvaluationPlan``) and what the outputs mean
(``PatchJudgement``); the order of steps, limits, logs and earlier verdicts are here.
"""

from __future__ import annotations

import json
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from swe_router.datasets import GradingContext, may_reach
from swe_router.errors import GradingError, SandboxError, UsageError
from swe_router.grading.evaluation import (
    BROKEN,
    LOG,
    MAX_LOG,
    PATCH,
    PATCH_REFUSED,
    SCRIPT,
    AnswerRow,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
)
from swe_router.records import Grade, Instance, digest_of, patch_bytes, patch_digest
from swe_router.seams import Sandbox


class ScriptedGrader(ABC):
    """Grades by a script in a fresh sandbox; one subclass per data set."""

    answers: Sequence[str] = ()
    """Columns of the rows that nobody else may read."""
    question_columns: Sequence[str] = ("instance_id",)
    """Columns of the question that the subclass reads too."""

    def __init__(self, context: GradingContext) -> None:
        self._context = context
        self._answer_rows: dict[str, AnswerRow] | None = None
        self._open: set[Sandbox] = set()
        self._lock = threading.Lock()

    @abstractmethod
    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """What to carry out. Raises ``GradingError`` where this instance cannot be evaluated."""

    @abstractmethod
    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """What the outputs mean. Raises ``GradingError`` where they cannot be read."""

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:  # noqa: B027 (may be left out)
        """Raise ``GradingError`` where this instance could not be evaluated here."""

    def identifier(self, row: AnswerRow) -> str:
        """Id of the instance that a row is of."""
        return str(row.get("instance_id") or "")

    def grade(self, instance: Instance, patch: str) -> Grade:
        """The verdict on one patch that is not empty."""
        folder = _evaluation_folder(self._context.folder, instance.id, patch)
        try:
            answer_row = self.answer_row(instance.id)
            plan = self.plan(instance, answer_row)
            if reason := may_reach(instance.network, self._context.network):
                raise GradingError(reason)
            with self.opened(self.evaluated_instance(instance, answer_row)) as sandbox:
                stamp = self._stamp(sandbox, plan, answer_row)
                if (earlier := _earlier_grade(folder, stamp)) is not None:
                    return earlier
                output = self._run_evaluation(sandbox, plan, patch, folder)
            judgement = _judgement_by_exit_code(output) or self.judgement(
                instance, answer_row, output
            )
        except (GradingError, SandboxError) as error:
            return self._grade_of_judgement(
                instance, patch, PatchJudgement("ungraded", str(error)), folder
            )
        grade = self._grade_of_judgement(instance, patch, judgement, folder)
        if grade.outcome != "ungraded":
            report = {"stamp": stamp, "grade": grade.model_dump(mode="json")}
            (folder / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        return grade

    def close(self) -> None:
        """Close the sandboxes that are still in use, which ends what runs in them."""
        with self._lock:
            sandboxes = list(self._open)
        for sandbox in sandboxes:
            with suppress(SandboxError):
                sandbox.close()

    def answer_row(self, instance_id: str) -> AnswerRow:
        """The answer columns of one instance. Raises ``GradingError`` for an unknown one."""
        with self._lock:
            if self._answer_rows is None:
                rows = self._context.rows((*self.question_columns, *self.answers))
                self._answer_rows = {self.identifier(row): row for row in rows}
            answer_rows = self._answer_rows
        if instance_id not in answer_rows:
            raise GradingError(f"{self._context.label!r} has no row of {instance_id}")
        return answer_rows[instance_id]

    def gold(self) -> Mapping[str, str]:
        """Instance id -> the data set's own patch."""
        with suppress(GradingError):
            self.answer_row("")
        return {name: self.gold_patch(row) for name, row in (self._answer_rows or {}).items()}

    def evaluated_instance(self, instance: Instance, answer_row: AnswerRow) -> Instance:
        """The instance whose image the evaluation runs in."""
        return instance

    def evaluated_patch(self, patch: str) -> str:
        """The patch as the data set's evaluation takes it."""
        return patch

    def gold_patch(self, row: AnswerRow) -> str:
        """The data set's own patch of a row."""
        return str(row.get("patch") or "")

    def earlier_outcome(self, instance_id: str, patch: str) -> str:
        """What this patch was graded as by an earlier evaluation here; empty where it was not."""
        for folder in filter(None, (self._context.folder, self._context.gold_folder)):
            report = _read_stored_grade(_evaluation_folder(folder, instance_id, patch))
            if report is not None:
                return report[1].outcome
        return ""

    def check(self, instances: Sequence[str]) -> None:
        """Raise ``UsageError`` for an id that could not be evaluated after a run."""
        for name in instances:
            try:
                self.require_usable(name, self.answer_row(name))
            except GradingError as error:
                raise UsageError(f"instance {name!r} cannot be graded: {error}") from None

    @contextmanager
    def opened(self, instance: Instance) -> Iterator[Sandbox]:
        """The image as it is: what sets it up for a solver hides what an evaluation needs."""
        if self._context.open is None:
            raise GradingError("this grader was made to read, not to evaluate")
        bare = instance.model_copy(update={"setup": ""})
        with self._context.open(bare, network=bool(self._context.network)) as sandbox:
            with self._lock:
                self._open.add(sandbox)
            try:
                yield sandbox
            finally:
                with self._lock:
                    self._open.discard(sandbox)

    def _stamp(self, sandbox: Sandbox, plan: EvaluationPlan, answer_row: AnswerRow) -> str:
        """What a verdict rests on: the image by its content, the steps, the answer key."""
        files = {name: data.hex() for name, data in plan.files.items()}
        answers = [repr(item) for item in sorted(answer_row.items())]
        return digest_of(
            [sandbox.identity, plan.script, files, answers, bool(self._context.network)]
        )

    def _run_evaluation(
        self, sandbox: Sandbox, plan: EvaluationPlan, patch: str, folder: Path
    ) -> EvaluationOutput:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "patch.diff").write_bytes(patch_bytes(patch))
        (folder / "evaluate.sh").write_text(plan.script, encoding="utf-8")
        for path, data in {PATCH: patch_bytes(self.evaluated_patch(patch)), **plan.files}.items():
            sandbox.write(path, data)
        sandbox.write(SCRIPT, plan.script.encode())
        # Into a file, because a sandbox keeps only head and tail of what a command prints.
        result = sandbox.run(f"bash {SCRIPT} > {LOG} 2>&1", timeout=self._context.timeout)
        log = _read_output(sandbox, LOG)
        (folder / "test_output.txt").write_text(log, encoding="utf-8")
        if result.timed_out:
            raise GradingError(f"timed out after {self._context.timeout:g} s")
        outputs = {}
        for path in plan.outputs:
            with suppress(FileNotFoundError):
                outputs[path] = _read_output(sandbox, path, missing=True)
        return EvaluationOutput(result.exit_code, log, outputs)

    def _grade_of_judgement(
        self, instance: Instance, patch: str, judgement: PatchJudgement, folder: Path
    ) -> Grade:
        evidence = {"reason": judgement.reason, **judgement.evidence}
        log = folder / "test_output.txt"
        if log.exists():
            evidence["log"] = str(log)
        if judgement.outcome == "unresolved" and not self._context.network:
            evidence["network"] = "off"
        return Grade(
            instance_id=instance.id,
            outcome=judgement.outcome,
            evidence=evidence,
            patch=patch_digest(patch),
        )


def _judgement_by_exit_code(output: EvaluationOutput) -> PatchJudgement | None:
    last = output.log.strip()[-2000:]
    if output.exit_code == PATCH_REFUSED:
        return PatchJudgement("unresolved", "the patch does not apply", {"output": last})
    if output.exit_code == BROKEN:
        last_line = next((line for line in reversed(last.splitlines()) if line.strip()), "nothing")
        return PatchJudgement(
            "ungraded", f"the evaluation could not be prepared: {last_line[:300]}"
        )
    return None


def _evaluation_folder(folder: Path, instance_id: str, patch: str) -> Path:
    """Where the logs and the verdict of one patch are kept."""
    return folder / instance_id / patch_digest(patch)[:16]


def _earlier_grade(folder: Path, stamp: str) -> Grade | None:
    """The verdict of an earlier evaluation of this very patch by this very key."""
    report = _read_stored_grade(folder)
    return report[1] if report is not None and report[0] == stamp else None


def _read_stored_grade(folder: Path) -> tuple[str, Grade] | None:
    """The stamp and the verdict that an evaluation left in its folder."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return str(report["stamp"]), Grade.model_validate(report["grade"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _read_output(sandbox: Sandbox, path: str, *, missing: bool = False) -> str:
    try:
        return sandbox.read(path, limit=MAX_LOG).decode("utf-8", "replace")
    except FileNotFoundError as error:
        if missing:
            raise
        raise GradingError(f"the output cannot be read: {error}") from None
    except ValueError as error:
        raise GradingError(f"the output cannot be read: {error}") from None
