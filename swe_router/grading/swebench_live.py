"""SWE-bench-Live: the row's own commands, read by pytest's summary or by the row's own parser.

The data set asks for a denominator of gold patches that pass on the same machine, since its
tests follow living projects: ``gold_outcomes`` gives what it needs, ``NOTE`` says so.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from swe_router.errors import GradingError
from swe_router.grading.evaluation import (
    APPLY_PATCH,
    BROKEN,
    FOLDER,
    AnswerRow,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
    judge_row,
    setup_lines,
    shell_lines,
)
from swe_router.grading.script_run import ScriptedGrader
from swe_router.grading.statuses import Statuses, parse_statuses, statuses_of_code
from swe_router.records import Instance

TEST_PATCH_FILE = f"{FOLDER}/test.patch"
TEST_LOG_FILE = f"{FOLDER}/printed.log"
NOTE = (
    "SWE-bench-Live counts only instances whose gold patch passes on the same machine:"
    " grade --predictions gold first, and its verdicts are taken into account"
)


class SwebenchLiveGrader(ScriptedGrader):
    """Grades SWE-bench-Live (Lite, Verified, Full) and its MultiLang rows."""

    answers = (
        *("patch", "test_patch", "FAIL_TO_PASS", "PASS_TO_PASS", "rebuild_cmds"),
        *("test_cmds", "print_cmds", "log_parser", "parser"),
    )
    note = NOTE

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:
        """The row must say how it is tested."""
        _tests(answer_row)

    def gold_outcomes(self, instances: Sequence[str]) -> Mapping[str, str]:
        """See ``datasets.CountsByGold``."""
        gold = self.gold()
        found = {name: self.earlier_outcome(name, gold[name]) for name in instances if name in gold}
        return {name: outcome for name, outcome in found.items() if outcome}

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """Test patch, patch, rebuild, tests; the log is what the row prints, or their output."""
        tests = _tests(answer_row)
        # One line per group, as in the data set's evaluation: `a ; b` goes on after a failure.
        printing = " ; ".join(shell_lines(answer_row, "print_cmds")).strip()
        testing = " ; ".join(tests)
        script = [
            *setup_lines(instance.workdir),
            # Of about one row in a hundred the project is a folder of the work folder.
            '[ -d .git ] || cd "$(dirname "$(find . -maxdepth 2 -name .git -type d | head -1)")"',
            f"git apply {TEST_PATCH_FILE} || exit {BROKEN}",
            APPLY_PATCH,
            f"cd {shlex.quote(instance.workdir)}",
            " ; ".join(shell_lines(answer_row, "rebuild_cmds")),
            f"( {testing}\n) > {TEST_LOG_FILE} 2>&1" if not printing else f"( {testing}\n)",
            f"( {printing}\n) > {TEST_LOG_FILE} 2>&1" if printing else "",
            f"cat {TEST_LOG_FILE}",
            "exit 0",
        ]
        patch = str(answer_row.get("test_patch") or "")
        return EvaluationPlan(
            "\n".join(script), {TEST_PATCH_FILE: patch.encode()}, (TEST_LOG_FILE,)
        )

    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """The data set's rule: no test of a list failed, and each of FAIL_TO_PASS passed.

        A test of PASS_TO_PASS without a status is no failure.
        """
        statuses = _statuses(answer_row, output.outputs.get(TEST_LOG_FILE, ""))
        return judge_row(answer_row, statuses, absent=True)


def _tests(answer_row: AnswerRow) -> list[str]:
    tests = shell_lines(answer_row, "test_cmds")
    if not tests:
        raise GradingError("the row has no test_cmds")
    return tests


def _statuses(answer_row: AnswerRow, log: str) -> Statuses:
    parser = str(answer_row.get("log_parser") or answer_row.get("parser") or "pytest").strip()
    if parser.lower() == "pytest":
        return parse_statuses("pytest-summary", log)
    return statuses_of_code(parser, "parser", log)
