"""Multi-SWE-bench: the image's own script with the patch in its place, judged by its package.

The package (``pip install 'swe-router[multi-swe-bench]'``) holds a log parser per project; it is
asked in a process of its own. The image runs ``fix-run.sh``, which applies the tests and the patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router.errors import GradingError, MissingExtra
from swe_router.grading import isolated
from swe_router.grading.evaluation import (
    FOLDER,
    PATCH,
    AnswerRow,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
    setup_lines,
)
from swe_router.grading.script_run import ScriptedGrader
from swe_router.records import Instance

TEST_LOG_FILE = f"{FOLDER}/tests.log"
LISTS = ("p2p_tests", "f2p_tests", "s2p_tests", "n2p_tests")
RESULTS = ("run_result", "test_patch_result", "fix_patch_result")
_PACKAGE = """
import json
from multi_swe_bench.harness.dataset import Dataset
from multi_swe_bench.harness.image import Config
from multi_swe_bench.harness.instance import Instance
from multi_swe_bench.harness.report import generate_report

def _made(row):
    data = Dataset.from_json(json.dumps(row))
    config = Config(need_clone=False, global_env=None, clear_env=False)
    return data, Instance.create(data, config)

def commands(row):
    _, instance = _made(row)
    return [instance.fix_patch_run(), instance.dependency().fix_patch_path()]

def report(row, log):
    data, instance = _made(row)
    found = generate_report(instance, data.run_result, data.test_patch_result, log)
    lists = ("p2p_tests", "f2p_tests", "s2p_tests", "n2p_tests")
    missing = {name: [t for t in getattr(data, name) if t not in getattr(found, name)]
               for name in lists}
    counts = {name: len(getattr(data, name)) for name in lists}
    passed = found.fix_patch_result.passed_tests
    failed = {name: [t for t in getattr(data, name) if t not in passed] for name in lists}
    good = bool(found.valid) and not any(missing.values())
    return {"resolved": good, "error": str(found.error_msg or ""), "failed": failed,
            "listed": counts, "read": found.fix_patch_result.all_count}
"""


class MultiSwebenchGrader(ScriptedGrader):
    """Grades Multi-SWE-bench by its own report: nothing broke, and every listed test passed."""

    answers = (
        *("state", "title", "body", "fix_patch", "test_patch", "tag", "number_interval"),
        *("fixed_tests", *LISTS, *RESULTS),
    )
    question_columns = ("instance_id", "org", "repo", "number", "base", "resolved_issues", "lang")

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:
        """The package must be there, and know the project."""
        self._call_package("commands", _row(answer_row))

    def identifier(self, row: AnswerRow) -> str:
        """As the data set's own evaluation names it, and its rows where they have an id."""
        return str(row.get("instance_id") or f"{row['org']}__{row['repo']}-{row['number']}")

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """The image's script; it applies the tests and the patch itself."""
        command, place = self._call_package("commands", _row(answer_row))
        script = [
            *setup_lines(instance.workdir),
            f"cp {PATCH} {place}",
            f"( {command}\n) > {TEST_LOG_FILE} 2>&1",
            f"cat {TEST_LOG_FILE}",
            "exit 0",
        ]
        return EvaluationPlan("\n".join(script), {}, (TEST_LOG_FILE,))

    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """The package's report on the log."""
        found = self._call_package(
            "report", _row(answer_row), output.outputs.get(TEST_LOG_FILE, "")
        )
        if not found["read"]:
            return PatchJudgement("unresolved", "the tests left no result that could be read")
        evidence: dict[str, Any] = {
            name: {"passed": found["listed"][name] - len(failed), "failed": failed}
            for name, failed in found["failed"].items()
            if found["listed"][name]
        }
        evidence = {_NAMES.get(name, name): count for name, count in evidence.items()}
        if found["resolved"]:
            return PatchJudgement("resolved", "all tests that must pass did", evidence)
        why = found["error"].splitlines()[0][:300] if found["error"] else "tests failed"
        return PatchJudgement("unresolved", why, evidence)

    def gold_patch(self, row: AnswerRow) -> str:
        """The row's ``fix_patch``."""
        return str(row.get("fix_patch") or "")

    def _call_package(self, function: str, *arguments: Any) -> Any:
        """An answer of the package, installed or in the copy of its repository."""
        try:
            return isolated.call_isolated(_PACKAGE, function, *arguments, path=self._context.code)
        except GradingError as error:
            if "No module named 'multi_swe_bench'" in str(error):
                raise MissingExtra("multi-swe-bench", "multi-swe-bench") from None
            raise


_NAMES = {"p2p_tests": "pass_to_pass", "f2p_tests": "fail_to_pass"}


def _row(answer_row: AnswerRow) -> Mapping[str, Any]:
    """The row as its package reads it: without what a table put in for missing names of tests."""
    row = {name: value for name, value in answer_row.items() if value is not None}
    for name in ("fixed_tests", *LISTS):
        tests = row.get(name) or {}
        row[name] = {test: result for test, result in tests.items() if result is not None}
    return row
