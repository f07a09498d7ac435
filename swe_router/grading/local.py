"""Grading without Docker: the official steps in a local sandbox, read by the official functions."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.errors import SandboxError
from swe_router.grading.backend import GradingPlace, GradingTask
from swe_router.grading.evidence import grade_of_report
from swe_router.grading.predictions import patch_bytes
from swe_router.lazy_imports import deferred_module
from swe_router.records import Grade, Instance
from swe_router.seams import Sandbox

if TYPE_CHECKING:
    from swe_router.grading import harness
else:
    harness = deferred_module("swe_router.grading.harness")

PATCH, SCRIPT, OUTPUT = (f"/tmp/swe-router-{name}" for name in ("patch", "eval.sh", "output"))  # noqa: S108
MAX_LOG = 64_000_000
"""Bytes of output that are read; an evaluation that writes more is not graded."""
STEP = 120.0
"""Seconds for one of the git commands around the evaluation."""


class LocalBackend:
    """Grades in the sandboxes that ``open_sandbox`` gives, each a fresh start state.

    ``workdir`` receives the logs; ``timeout`` is in seconds, for one evaluation.
    """

    def __init__(
        self,
        open_sandbox: Callable[[Instance], AbstractContextManager[Sandbox]],
        workdir: Path,
        *,
        timeout: float = 1800.0,
    ) -> None:
        self._open = open_sandbox
        self._root = workdir
        self._timeout = timeout
        self._sandboxes: set[Sandbox] = set()

    def grade(self, task: GradingTask) -> Grade:
        """Apply the patch, run the evaluation script, and read its output."""
        place = GradingPlace(self._root, task, "local")
        if (seen := place.seen()) is not None:
            return seen
        place.clear()
        place.folder.mkdir(parents=True)
        try:
            with self._open(task.instance) as sandbox:
                self._sandboxes.add(sandbox)
                try:
                    return self._evaluate(sandbox, place)
                finally:
                    self._sandboxes.discard(sandbox)
        except SandboxError as error:
            return place.judged.grade("ungraded", f"the sandbox failed: {error}")

    def close(self) -> None:
        """Close the sandboxes that are still in use, which ends what runs in them."""
        for sandbox in list(self._sandboxes):
            sandbox.close()

    def _evaluate(self, sandbox: Sandbox, place: GradingPlace) -> Grade:
        gold, patch = place.task.gold, place.task.prediction.patch
        (place.folder / "patch.diff").write_bytes(patch_bytes(patch))
        sandbox.write(PATCH, patch_bytes(patch))
        applied, printed = _apply(sandbox)
        (place.folder / "run_instance.log").write_text(printed, "utf-8", "replace")
        if not applied:
            return place.judged.grade(
                "unresolved", "the patch does not apply", output=printed[-2000:]
            )
        script = harness.eval_script(gold)
        (place.folder / "eval.sh").write_text(script, "utf-8")
        sandbox.write(SCRIPT, script.encode())
        # Into a file, because a sandbox keeps only head and tail of what a command prints.
        command = f"/bin/bash {SCRIPT} > {OUTPUT} 2>&1"
        result = sandbox.run(command, timeout=self._timeout)
        try:
            printed = sandbox.read(OUTPUT, limit=MAX_LOG).decode("utf-8", "replace")
            place.log.write_text(printed, "utf-8")
        except (FileNotFoundError, ValueError) as error:
            return place.judged.grade("ungraded", f"the output cannot be read: {error}")
        if result.timed_out:
            return place.judged.grade("ungraded", f"timed out after {self._timeout:g} s")
        report = harness.report(gold, patch, place.log)
        (place.folder / "report.json").write_text(json.dumps(report, indent=4), "utf-8")
        return grade_of_report(place.judged, report)


def _apply(sandbox: Sandbox) -> tuple[bool, str]:
    """The harness's ways to apply a patch, each from a pristine tree; and what it printed."""
    printed: list[str] = []
    for index, command in enumerate(harness.APPLY_COMMANDS):
        if index:
            sandbox.run("git checkout -- . ; git clean -fd", timeout=STEP)
        result = sandbox.run(f"{command} {shlex.quote(PATCH)}", timeout=STEP)
        printed.append(f"$ {command}\n{result.output}")
        if result.exit_code == 0:
            return True, "\n".join([*printed, harness.APPLIED])
    # A command may have applied all of it and still failed.
    result = sandbox.run(f"git apply --check --reverse {shlex.quote(PATCH)}", timeout=STEP)
    if result.exit_code == 0:
        return True, "\n".join([*printed, harness.APPLIED])
    return False, "\n".join([*printed, harness.NOT_APPLIED])
