"""What an evaluation is made of: its plan, its output, its judgement, and what rows say of it."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from swe_router.errors import GradingError
from swe_router.grading.statuses import Statuses

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

APPLY_PATCH = f"[ ! -s {PATCH} ] || git apply {PATCH} || exit {PATCH_REFUSED}"
"""Line of a script: apply the patch under evaluation; an empty one changes nothing."""

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


def judge_lists(
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


def judge_row(row: AnswerRow, statuses: Statuses, *, absent: bool = False) -> PatchJudgement:
    """``judge_lists`` by the lists of a row that has SWE-bench's names for them.

    Raises ``GradingError`` for a list that is none.
    """
    lists = names_of_tests(row, "FAIL_TO_PASS"), names_of_tests(row, "PASS_TO_PASS")
    return judge_lists(*lists, statuses, absent=absent)


def names_of_tests(row: AnswerRow, column: str) -> list[str]:
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


def shell_lines(row: AnswerRow, column: str) -> list[str]:
    """Shell lines of a column that may be one text, a list of them, or missing."""
    value = row.get(column) or []
    return [value] if isinstance(value, str) else [str(line) for line in value]


def setup_lines(workdir: str) -> list[str]:
    """First lines of every script: git accepts the work folder, whatever user owns it."""
    place = shlex.quote(workdir)
    return [f"git config --global --add safe.directory {place}", f"cd {place} || exit {BROKEN}"]
