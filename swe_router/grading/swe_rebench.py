"""SWE-rebench V2: the row's test command in its own image, read by the log parser that it names.

Parsers that swebench knows by the same name are swebench's; the others are in the data set's
repository (``lib/agent/log_parsers.py``), of which the user may name a copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swe_router.errors import GradingError
from swe_router.grading import statuses as parsers
from swe_router.grading.evaluation import (
    BROKEN,
    FOLDER,
    PATCH,
    PATCH_REFUSED,
    AnswerRow,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
    judge_lists,
    names_of_tests,
    setup_lines,
    shell_lines,
)
from swe_router.grading.script_run import ScriptedGrader
from swe_router.grading.statuses import Statuses
from swe_router.records import Instance

TEST_PATCH_FILE = f"{FOLDER}/test.patch"
TEST_LOG_FILE = f"{FOLDER}/tests.log"
APPLY = "git apply -v --3way --recount --ignore-space-change --whitespace=nowarn"
REPOSITORY = "https://github.com/SWE-rebench/SWE-rebench-V2"
PARSERS = "lib/agent/log_parsers.py"
_TIMES = (
    re.compile(r"\s*\[\s*\d+(?:\.\d+)?\s*m?s\s*\]\s*$", re.IGNORECASE),
    re.compile(r"\s+in\s+\d+(?:\.\d+)?\s+m?sec\b", re.IGNORECASE),
    re.compile(r"\s*\(\s*\d+(?:\.\d+)?\s*m?s\s*\)\s*$", re.IGNORECASE),
)
"""Durations that some runners write into the names of tests; the data set compares without."""


class SweRebenchGrader(ScriptedGrader):
    """Grades SWE-rebench V2: every test of both lists passed, names compared without durations."""

    answers = ("patch", "test_patch", "FAIL_TO_PASS", "PASS_TO_PASS", "install_config")

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:
        """The row must name its tests, and a log parser that is at hand."""
        _tests(answer_row)
        self._parser(_config(answer_row))

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """Patch, test patch, test commands until one fails."""
        self.require_usable(instance.id, answer_row)
        tests = _tests(answer_row)
        script = [
            *setup_lines(instance.workdir),
            f"git reset -q --hard HEAD || exit {BROKEN}",
            f"[ ! -s {PATCH} ] || {APPLY} {PATCH} || exit {PATCH_REFUSED}",
            # A patch that stands where the tests must go is the patch's fault: they fit the base.
            f"{APPLY} {TEST_PATCH_FILE} || exit {PATCH_REFUSED}",
            f"( set -e\n{chr(10).join(tests)}\n) > {TEST_LOG_FILE} 2>&1",
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
        """The parser's statuses against the lists."""
        found = self._statuses(_config(answer_row), output.outputs.get(TEST_LOG_FILE, ""))
        statuses = {without_time(name): status for name, status in found.items()}
        must_pass = [without_time(name) for name in names_of_tests(answer_row, "FAIL_TO_PASS")]
        must_stay = [without_time(name) for name in names_of_tests(answer_row, "PASS_TO_PASS")]
        return judge_lists(must_pass, must_stay, statuses)

    def _parser(self, config: Mapping[str, Any]) -> tuple[str, str]:
        """Name of the parser, and the text that holds it where swebench does not."""
        name = str(config.get("log_parser") or "")
        if not name:
            raise GradingError("the row has no install_config.log_parser")
        if parsers.is_known_parser(name):
            return name, ""
        folder = self._context.code
        file = Path(folder) / PARSERS if folder else None
        if file is None or not file.is_file():
            raise GradingError(
                f"its log parser {name!r} is in the data set's repository: git clone {REPOSITORY}"
                " and --set grade.code=FOLDER"
            )
        return name, file.read_text(encoding="utf-8")

    def _statuses(self, config: Mapping[str, Any], log: str) -> Statuses:
        name, code = self._parser(config)
        if not code:
            return parsers.parse_statuses(name, log)
        # By its table: several names of rows are other names of one function.
        code += f"\nread = globals().get('NAME_TO_PARSER', {{}}).get({name!r})"
        code += f" or globals()[{name!r}]\n"
        return parsers.statuses_of_code(code, "read", log, path=str(self._context.code))


def without_time(name: str) -> str:
    """The name of a test without the duration that its runner wrote into it."""
    for pattern in _TIMES:
        name = pattern.sub("", name)
    return name.strip()


def _tests(answer_row: AnswerRow) -> list[str]:
    tests = [line for line in shell_lines(_config(answer_row), "test_cmd") if line.strip()]
    if not tests:
        raise GradingError("the row has no install_config.test_cmd")
    return tests


def _config(answer_row: AnswerRow) -> Mapping[str, Any]:
    config = answer_row.get("install_config")
    if not isinstance(config, Mapping):
        raise GradingError("the row has no install_config")
    return config
