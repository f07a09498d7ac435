"""One way to evaluate a patch for many data sets: files into a fresh sandbox, a script, its files.

A data set's grader says what to carry out (``EvaluationPlan``) and what the outputs mean
(``PatchJudgement``); the order of steps, limits, logs and earlier verdicts are here.
"""

from __future__ import annotations

import ast
import json
import shlex
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from swe_router.datasets import GradingContext, may_reach
from swe_router.errors import GradingError, SandboxError, UsageError
from swe_router.grading.statuses import Statuses
from swe_router.records import Grade, Instance, digest_of, encoded, patch_digest
from swe_router.seams import Sandbox

FOLDER = "/tmp/swe-router-evaluation"  # noqa: S108 (inside the sandbox)
PATCH = f"{FOLDER}/model.patch"
SCRIPT = f"{FOLDER}/evaluate.sh"
LOG = f"{FOLDER}/output.log"
MAX_LOG = 64_000_000
"""Bytes of one output that are read; an evaluation that writes more is not graded."""
PATCH_REFUSED = 90
"""Exit status of a script: the patch under evaluation does not apply."""
BROKEN = 91
"""Exit status of a script: the evaluation's own preparation failed, whatever the patch is."""

AnswerRow = Mapping[str, Any]
"""The answer columns of a row."""
OutcomeWord = Literal["resolved", "unresolved", "ungraded"]


@dataclass(frozen=True)
class EvaluationPlan:
    """What is carried out in a fresh sandbox to judge one patch."""

    script: str
    """Text for bash, started in the instance's work folder. Exit statuses ``PATCH_REFUSED`` and
    ``BROKEN`` have their meaning; any other is the tests' own."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Absolute path in the sandbox -> content; the patch itself is at ``PATCH`` anyway."""
    outputs: Sequence[str] = ()
    """Absolute paths of files that are read afterwards, besides what the script prints."""


@dataclass(frozen=True)
class EvaluationOutput:
    """What an evaluation left behind."""

    exit_code: int
    log: str
    """What the script printed on both streams."""
    outputs: Mapping[str, str]
    """Text of each output that was there."""


@dataclass(frozen=True)
class PatchJudgement:
    """What a data set's rule says of an evaluation."""

    outcome: OutcomeWord
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class ScriptedGrader(ABC):
    """Grades by a script in a fresh sandbox; one subclass per data set."""

    answers: Sequence[str] = ()
    """Columns of the rows that nobody else may read."""
    shared: Sequence[str] = ("instance_id",)
    """Columns of the question that the subclass reads too."""

    def __init__(self, context: GradingContext) -> None:
        self._context = context
        self._keys: dict[str, AnswerRow] | None = None
        self._open: set[Sandbox] = set()
        self._lock = threading.Lock()

    @abstractmethod
    def plan(self, instance: Instance, key: AnswerRow) -> EvaluationPlan:
        """What to carry out. Raises ``GradingError`` where this instance cannot be evaluated."""

    @abstractmethod
    def judgement(
        self, instance: Instance, key: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """What the outputs mean. Raises ``GradingError`` where they cannot be read."""

    def usable(self, instance_id: str, key: AnswerRow) -> None:  # noqa: B027 (may be left out)
        """Raise ``GradingError`` where this instance could not be evaluated here."""

    def identifier(self, row: AnswerRow) -> str:
        """Id of the instance that a row is of."""
        return str(row.get("instance_id") or "")

    def grade(self, instance: Instance, patch: str) -> Grade:
        """The verdict on one patch that is not empty."""
        folder = self._context.folder / instance.id / patch_digest(patch)[:16]
        try:
            key = self.key(instance.id)
            plan = self.plan(instance, key)
            where = self.place(instance, key)
            stamp = self._stamp(where, plan)
            if (seen := _seen(folder, stamp)) is not None:
                return seen
            if reason := may_reach(instance.network, self._context.network):
                raise GradingError(reason)
            output = self._carried_out(where, plan, patch, folder)
            judgement = _usual(output) or self.judgement(instance, key, output)
        except (GradingError, SandboxError) as error:
            judgement, stamp = PatchJudgement("ungraded", str(error)), ""
        grade = self._grade(instance, patch, judgement, folder)
        if stamp and grade.outcome != "ungraded":
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

    def key(self, instance_id: str) -> AnswerRow:
        """The answer columns of one instance. Raises ``GradingError`` for an unknown one."""
        with self._lock:
            if self._keys is None:
                rows = self._context.rows((*self.shared, *self.answers))
                self._keys = {self.identifier(row): row for row in rows}
            keys = self._keys
        if instance_id not in keys:
            raise GradingError(f"{self._context.label!r} has no row of {instance_id}")
        return keys[instance_id]

    def gold(self) -> Mapping[str, str]:
        """Instance id -> the data set's own patch."""
        with suppress(GradingError):
            self.key("")
        return {name: self.gold_patch(row) for name, row in (self._keys or {}).items()}

    def place(self, instance: Instance, key: AnswerRow) -> Instance:
        """The instance whose image the evaluation runs in."""
        return instance

    def carried(self, patch: str) -> str:
        """The patch as the data set's evaluation takes it."""
        return patch

    def gold_patch(self, row: AnswerRow) -> str:
        """The data set's own patch of a row."""
        return str(row.get("patch") or "")

    def check(self, instances: Sequence[str]) -> None:
        """Raise ``UsageError`` for an id that could not be evaluated after a run."""
        for name in instances:
            try:
                self.usable(name, self.key(name))
            except GradingError as error:
                raise UsageError(f"instance {name!r} cannot be graded: {error}") from None

    @contextmanager
    def opened(self, instance: Instance) -> Iterator[Sandbox]:
        """The image as it is: what sets it up for a solver hides what an evaluation needs."""
        if self._context.open is None:
            raise GradingError("this grader was made to read, not to evaluate")
        bare = instance.model_copy(update={"setup": ""})
        with self._context.open(bare, network=bool(self._context.network)) as sandbox:
            yield sandbox

    def _stamp(self, instance: Instance, plan: EvaluationPlan) -> str:
        files = {name: data.hex() for name, data in plan.files.items()}
        where = [instance.image, instance.workdir, self._context.sandbox]
        return digest_of([where, plan.script, files, bool(self._context.network)])

    def _carried_out(
        self, instance: Instance, plan: EvaluationPlan, patch: str, folder: Path
    ) -> EvaluationOutput:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "patch.diff").write_bytes(encoded(patch))
        (folder / "evaluate.sh").write_text(plan.script, encoding="utf-8")
        with self.opened(instance) as sandbox:
            with self._lock:
                self._open.add(sandbox)
            try:
                return self._run(sandbox, plan, patch, folder)
            finally:
                with self._lock:
                    self._open.discard(sandbox)

    def _run(
        self, sandbox: Sandbox, plan: EvaluationPlan, patch: str, folder: Path
    ) -> EvaluationOutput:
        for path, data in {PATCH: encoded(self.carried(patch)), **plan.files}.items():
            sandbox.write(path, data)
        sandbox.write(SCRIPT, plan.script.encode())
        # Into a file, because a sandbox keeps only head and tail of what a command prints.
        result = sandbox.run(f"bash {SCRIPT} > {LOG} 2>&1", timeout=self._context.timeout)
        log = _text(sandbox, LOG)
        (folder / "test_output.txt").write_text(log, encoding="utf-8")
        if result.timed_out:
            raise GradingError(f"timed out after {self._context.timeout:g} s")
        outputs = {}
        for path in plan.outputs:
            with suppress(FileNotFoundError):
                outputs[path] = _text(sandbox, path, missing=True)
        return EvaluationOutput(result.exit_code, log, outputs)

    def _grade(
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


def judged(
    must_pass: Sequence[str], must_stay: Sequence[str], statuses: Statuses, *, absent: bool = False
) -> PatchJudgement:
    """The usual rule: every test of both lists passed.

    ``absent``: a test of ``must_stay`` without a status is no failure (it was not run). A skipped
    test of ``must_stay`` never is one. Without any status there is no evidence: unresolved.
    """
    if not statuses:
        return PatchJudgement("unresolved", "the tests left no result that could be read")
    if not must_pass and not must_stay:
        return PatchJudgement("ungraded", "the row lists no test that must pass")
    unsolved = [name for name in must_pass if statuses.get(name) != "passed"]
    bad = {"failed"} if absent else {"failed", None}
    broken = [name for name in must_stay if statuses.get(name) in bad]
    evidence = {
        "fail_to_pass": {"passed": len(must_pass) - len(unsolved), "failed": unsolved},
        "pass_to_pass": {"passed": len(must_stay) - len(broken), "failed": broken},
    }
    if unsolved or broken:
        return PatchJudgement("unresolved", "tests failed that must pass", evidence)
    return PatchJudgement("resolved", "all tests that must pass did", evidence)


def names(row: AnswerRow, column: str) -> list[str]:
    """Test names of a column: a list, or one written as JSON or Python text (as on the hub).

    Raises ``GradingError`` for anything else.
    """
    value = row.get(column)
    if isinstance(value, str):
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
                value = read(value)
                break
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise GradingError(f"{column} is not a list of test names")
    return list(value)


def lines(row: AnswerRow, column: str) -> list[str]:
    """Shell lines of a column that may be one text, a list of them, or missing."""
    value = row.get(column) or []
    return [value] if isinstance(value, str) else [str(line) for line in value]


def prepared(workdir: str) -> list[str]:
    """First lines of every script: git takes the work folder, whoever owns it."""
    place = shlex.quote(workdir)
    return [f"git config --global --add safe.directory {place}", f"cd {place} || exit {BROKEN}"]


def _usual(output: EvaluationOutput) -> PatchJudgement | None:
    last = output.log.strip()[-2000:]
    if output.exit_code == PATCH_REFUSED:
        return PatchJudgement("unresolved", "the patch does not apply", {"output": last})
    if output.exit_code == BROKEN:
        said = next((line for line in reversed(last.splitlines()) if line.strip()), "nothing")
        return PatchJudgement("ungraded", f"the evaluation could not be prepared: {said[:300]}")
    return None


def _seen(folder: Path, stamp: str) -> Grade | None:
    """The verdict of an earlier evaluation of this very patch by this very key."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return Grade.model_validate(report["grade"]) if report["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _text(sandbox: Sandbox, path: str, *, missing: bool = False) -> str:
    try:
        return sandbox.read(path, limit=MAX_LOG).decode("utf-8", "replace")
    except FileNotFoundError as error:
        if missing:
            raise
        raise GradingError(f"the output cannot be read: {error}") from None
    except ValueError as error:
        raise GradingError(f"the output cannot be read: {error}") from None
