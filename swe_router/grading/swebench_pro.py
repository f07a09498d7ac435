"""SWE-bench Pro: the run script and the parser of each instance, as its own evaluation calls them.

Neither is a column of the published rows: they come from a copy of the data set's repository
(``run_scripts/ID``), or with the row (``run_script``, ``parser``) where a file has them.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from swe_router.errors import GradingError
from swe_router.grading.evaluation import (
    BROKEN,
    PATCH,
    PATCH_REFUSED,
    AnswerRow,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
    judge_lists,
    names_of_tests,
    setup_lines,
)
from swe_router.grading.script_run import ScriptedGrader
from swe_router.grading.statuses import common_statuses
from swe_router.records import Instance

PLACE = "/workspace"
RESULT = f"{PLACE}/output.json"
REPOSITORY = "https://github.com/scaleapi/SWE-bench_Pro-os"
_SECTION = re.compile(r"(?=^diff --git )", re.MULTILINE)
_BINARY = re.compile(r"^(Binary files .* differ|GIT binary patch)$", re.MULTILINE)


class SwebenchProGrader(ScriptedGrader):
    """Grades SWE-bench Pro: every test of both lists has the status PASSED."""

    answers = (
        *("patch", "fail_to_pass", "pass_to_pass", "before_repo_set_cmd"),
        *("selected_test_files_to_run", "run_script", "parser"),
    )

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:
        """Its scripts must be at hand."""
        self._scripts(instance_id, answer_row)

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """The steps of the data set's own evaluation."""
        run, parser = self._scripts(instance.id, answer_row)
        tests = shlex.quote(",".join(names_of_tests(answer_row, "selected_test_files_to_run")))
        base = shlex.quote(instance.base_commit)
        # The last line alone: the ones before it reset the work tree, which would undo the patch.
        setting = (str(answer_row.get("before_repo_set_cmd") or "").strip().splitlines() or [""])[
            -1
        ]
        script = [
            *setup_lines(instance.workdir),
            f"git reset -q --hard {base} || exit {BROKEN}",
            f"git checkout -q {base} || exit {BROKEN}",
            f"[ ! -s {PATCH} ] || git apply -v {PATCH} || exit {PATCH_REFUSED}",
            setting,
            f"bash {PLACE}/run_script.sh {tests} > {PLACE}/stdout.log 2> {PLACE}/stderr.log",
            "code=$?",
            f"cat {PLACE}/stdout.log {PLACE}/stderr.log",
            "python=$(command -v python || command -v python3)",
            f'"$python" {PLACE}/parser.py {PLACE}/stdout.log {PLACE}/stderr.log {RESULT}',
            f"[ $code -ne {BROKEN} ] && [ $code -ne {PATCH_REFUSED} ] || code=1",
            "exit $code",
        ]
        scripts = {f"{PLACE}/run_script.sh": run.encode(), f"{PLACE}/parser.py": parser.encode()}
        return EvaluationPlan("\n".join(script), scripts, (RESULT,))

    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """The parser's result against the lists."""
        if RESULT not in output.outputs:
            raise GradingError("the data set's parser wrote no result")
        try:
            tests = json.loads(output.outputs[RESULT])["tests"]
            statuses = common_statuses({str(test["name"]): test["status"] for test in tests})
        except (ValueError, KeyError, TypeError) as error:
            raise GradingError(f"the data set's parser wrote no test results: {error}") from None
        return judge_lists(
            names_of_tests(answer_row, "fail_to_pass"),
            names_of_tests(answer_row, "pass_to_pass"),
            statuses,
        )

    def evaluated_patch(self, patch: str) -> str:
        """Without binary sections, which the data set's evaluation leaves out."""
        return "".join(part for part in _SECTION.split(patch) if not _BINARY.search(part))

    def _scripts(self, instance_id: str, answer_row: AnswerRow) -> tuple[str, str]:
        found = []
        folder = self._context.code
        for column, name in (("run_script", "run_script.sh"), ("parser", "parser.py")):
            text = str(answer_row.get(column) or "")
            file = Path(folder) / "run_scripts" / instance_id / name if folder else None
            if not text and file is not None and file.is_file():
                text = file.read_text(encoding="utf-8", errors="replace")
            if not text.strip():
                raise GradingError(
                    f"its {name} is in the data set's repository: git clone {REPOSITORY} and"
                    " --set grade.code=FOLDER (`grade --code FOLDER`)"
                )
            found.append(text)
        return found[0], found[1]
