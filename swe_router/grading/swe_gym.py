"""SWE-Gym: rows of SWE-bench's older form, of eleven projects with known test commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

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
    judge_row,
    setup_lines,
)
from swe_router.grading.script_run import ScriptedGrader
from swe_router.grading.statuses import parse_statuses
from swe_router.records import Instance

TEST_PATCH_FILE = f"{FOLDER}/test.patch"
TEST_LOG_FILE = f"{FOLDER}/tests.log"
COMMANDS: Mapping[str, str] = {
    "python/mypy": "pytest -n0 -rA -k",
    "getmoto/moto": "pytest -n0 -rA",
    "conan-io/conan": "pytest -n0 -rA",
    "dask/dask": "pytest -n0 -rA --color=no",
    "project-monai/monai": "pytest -rA",
    "iterative/dvc": "pytest -rA",
    "bokeh/bokeh": "pytest -rA -n0",
    "modin-project/modin": "pytest -n0 -rA",
    "pydantic/pydantic": "pytest -rA --tb=short -vv -o console_output_style=classic --no-header",
    "pandas-dev/pandas": "pytest -rA --tb=long",
    "facebookresearch/hydra": "pytest -rA --tb=long",
}
"""Project in lower case -> how the data set's evaluation runs its tests; files are added."""
_CHANGED_FILE = re.compile(r"^diff --git a/.* b/(.*)$", re.MULTILINE)
_MYPY_CASE = re.compile(r"\[case ([^\]]+)\]")
NON_TEST_SUFFIXES = (
    ".json",
    ".png",
    "csv",
    ".txt",
    ".md",
    ".jpg",
    ".jpeg",
    ".pkl",
    ".yml",
    ".yaml",
    ".toml",
)
"""Endings of files that a test patch may bring and that are no tests."""


class SweGymGrader(ScriptedGrader):
    """Grades SWE-Gym by SWE-bench's rule, in its ready images."""

    answers = ("patch", "test_patch", "FAIL_TO_PASS", "PASS_TO_PASS")
    question_columns = ("instance_id", "repo")

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:
        """Its project must be one of the data set's."""
        _test_command(str(answer_row.get("repo") or ""), str(answer_row.get("test_patch") or ""))

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """The patch, the tests at the base commit with the test patch, the project's command.

        The install line of the data set's evaluation is left out: the image is installed, and
        the line would need the network.
        """
        patch = str(answer_row.get("test_patch") or "")
        files = " ".join(shlex.quote(file) for file in _CHANGED_FILE.findall(patch))
        script = [
            *setup_lines(instance.workdir),
            f"[ ! -s {PATCH} ] || git apply {PATCH} || patch --batch --fuzz=5 -p1 -i {PATCH}"
            f" || exit {PATCH_REFUSED}",
            "source /opt/miniconda3/bin/activate",
            "conda activate testbed",
            # A test file that the base does not have makes room for the test patch's own.
            f"for file in {files}; do git checkout -q {shlex.quote(instance.base_commit)} --"
            ' "$file" 2>/dev/null || rm -f "$file"; done',
            f"git apply {TEST_PATCH_FILE} || exit {BROKEN}",
            f"( {_test_command(str(answer_row.get('repo')), patch)}\n) > {TEST_LOG_FILE} 2>&1",
            f"cat {TEST_LOG_FILE}",
            "exit 0",
        ]
        return EvaluationPlan(
            "\n".join(script), {TEST_PATCH_FILE: patch.encode()}, (TEST_LOG_FILE,)
        )

    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """The statuses against the lists."""
        statuses = parse_statuses("pytest-summary", output.outputs.get(TEST_LOG_FILE, ""))
        return judge_row(answer_row, statuses)


def _test_command(repo: str, test_patch: str) -> str:
    command = COMMANDS.get(repo.lower())
    if command is None:
        raise GradingError(f"{repo} is no project of SWE-Gym: how its tests are run is not known")
    if command.endswith(" -k"):
        return f"{command} {shlex.quote(' or '.join(_MYPY_CASE.findall(test_patch)))}"
    files = [
        file for file in _CHANGED_FILE.findall(test_patch) if not file.endswith(NON_TEST_SUFFIXES)
    ]
    return " ".join([command, *(shlex.quote(file) for file in files)])
