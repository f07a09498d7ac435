"""The grader of one's own issue: the user's test command, before the patch and after it."""

from __future__ import annotations

from swe_router.errors import GradingError
from swe_router.grading.evaluation import (
    BROKEN,
    FOLDER,
    PATCH,
    PATCH_REFUSED,
    AnswerRow,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
    setup_lines,
)
from swe_router.grading.script_run import ScriptedGrader
from swe_router.instances.own_issue import OwnIssue, at_commit
from swe_router.records import Instance

COMMAND, BEFORE, AFTER = (f"{FOLDER}/{name}" for name in ("test-command.sh", "before", "after"))
NO_COMMAND = "no test command was given, so nobody can say (--test-command)"
NOT_STARTED = frozenset({"126", "127"})
"""Exit statuses with which a shell says that it could not start a command."""


class OwnIssueGrader(ScriptedGrader):
    """Resolved where the test command succeeds with the patch; without a command ungraded."""

    answers = ("test_command",)
    question_columns = OwnIssue.question

    def identifier(self, row: AnswerRow) -> str:
        """The id that the data set gives."""
        return OwnIssue().identifier(row)  # type: ignore[arg-type]

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """The command at the base commit, the patch, the command again."""
        command = str(answer_row.get("test_command") or "").strip()
        if not command:
            raise GradingError(NO_COMMAND)
        script = [
            *setup_lines(instance.workdir),
            f"{at_commit(instance.base_commit)} || exit {BROKEN}" if instance.image else "",
            f"( bash {COMMAND} ) < /dev/null; echo $? > {BEFORE}",
            f"cd {instance.workdir} && git checkout -q -- . && git clean -qfd || exit {BROKEN}",
            f"git apply {PATCH} || exit {PATCH_REFUSED}",
            "echo '===== with the patch ====='",
            f"( bash {COMMAND} ) < /dev/null; echo $? > {AFTER}",
            "exit 0",
        ]
        return EvaluationPlan("\n".join(script), {COMMAND: command.encode()}, (BEFORE, AFTER))

    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """The exit statuses; a command that succeeds without the patch shows no fix."""
        before, after = (output.outputs.get(one, "").strip() for one in (BEFORE, AFTER))
        evidence = {"exit_before": before, "exit_after": after}
        if not after or after in NOT_STARTED:
            raise GradingError(f"the test command could not be started (exit {after or 'unknown'})")
        if after != "0":
            reason = f"the test command ended with exit {after}"
            return PatchJudgement("unresolved", reason, evidence)
        if before == "0":
            doubt = "the test command succeeds without the patch as well: it does not show the fix"
            evidence |= {"doubt": [doubt]}  # type: ignore[dict-item]
        return PatchJudgement("resolved", "the test command succeeds with the patch", evidence)

    def gold_patch(self, row: AnswerRow) -> str:
        """Nobody knows it."""
        return ""
