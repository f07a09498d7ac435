"""SWE-smith: the bug is a branch of the image's repository, and the gold patch is its reverse.

The test commands are the project's profile in the swesmith package, which cannot be installed
with swebench 5; the few Python profiles that differ from the usual one are written down here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    names_of_tests,
    setup_lines,
)
from swe_router.grading.reversing import reverse_patch
from swe_router.grading.script_run import ScriptedGrader
from swe_router.grading.statuses import parse_statuses
from swe_router.records import Instance

BUG_PATCH_FILE = f"{FOLDER}/bug.patch"
TEST_LOG_FILE = f"{FOLDER}/tests.log"
ACTIVATE = "source /opt/miniconda3/bin/activate && conda activate testbed"
_PROFILE = re.compile(r"(?P<repo>.+)\.[0-9a-f]{8}\..+")


@dataclass(frozen=True)
class RepositoryProfile:
    """How the tests of a project are run and read."""

    command: str = "pytest --disable-warnings --color=no --tb=no --verbose"
    parser: str = "pytest-verbose"
    conda: bool = True
    """The tests run in the image's environment ``testbed``."""
    listed_files_only: bool = False
    """Only the files that the row's lists name are run: all tests would take too long."""


USUAL = RepositoryProfile()
PROFILES: Mapping[str, RepositoryProfile] = {
    "tkrajina__gpxpy": RepositoryProfile(
        "pytest test.py --verbose --color=no --tb=no --disable-warnings"
    ),
    "mido__mido": RepositoryProfile(f"{USUAL.command} -rs -c /dev/null"),
    "paramiko__paramiko": RepositoryProfile(
        "pytest -rA --color=no --disable-warnings", "pytest-summary"
    ),
    "un33k__python-slugify": RepositoryProfile("python test.py --verbose", "unittest-verbose"),
    "hips__autograd": RepositoryProfile(parser="pytest-xdist"),
    "tornadoweb__tornado": RepositoryProfile(
        "python -m tornado.test --verbose", "unittest-verbose"
    ),
    # A path inside the image: its profile installs uv there.
    "pydantic__pydantic": RepositoryProfile(
        f"/root/.local/bin/uv run {USUAL.command}", conda=False
    ),
    **dict.fromkeys(
        (
            *("conan-io__conan", "dask__dask", "facebookresearch__hydra", "getmoto__moto"),
            *("iterative__dvc", "modin-project__modin", "pandas-dev__pandas"),
            *("project-monai__monai", "scrapy__scrapy", "sqlfluff__sqlfluff", "sunpy__sunpy"),
            *("sympy__sympy", "tobymao__sqlglot"),
        ),
        RepositoryProfile(listed_files_only=True),
    ),
}
"""Projects whose profile is not the usual one."""
ELSEWHERE = frozenset({"python__mypy", "jax-ml__jax"})
"""Python projects whose profile does more than run one command and read its usual lines."""
_MOVED_ROOT = "../dev/"
"""Begins names of tests that were run with ``-c /dev/null``, which moves pytest's root."""


class SweSmithGrader(ScriptedGrader):
    """Grades SWE-smith's Python rows: the tests of both lists, with the bug on its branch.

    A test without a status counts as passed in PASS_TO_PASS, as in the data set's evaluation; one
    of FAIL_TO_PASS must have passed.
    """

    answers = ("patch", "FAIL_TO_PASS", "PASS_TO_PASS", "test_cmd")

    def require_usable(self, instance_id: str, answer_row: AnswerRow) -> None:
        """Its project's profile must be known."""
        _profile(instance_id, answer_row)

    def plan(self, instance: Instance, answer_row: AnswerRow) -> EvaluationPlan:
        """The bug with its tests, the patch without changes of tests, the project's tests."""
        profile = _profile(instance.id, answer_row)
        must_pass, must_stay = (
            names_of_tests(answer_row, "FAIL_TO_PASS"),
            names_of_tests(answer_row, "PASS_TO_PASS"),
        )
        files = _files_of((*must_pass, *must_stay))
        listed = [profile.command, *(files if profile.listed_files_only else ())]
        branch = shlex.quote(instance.id)
        script = [
            *setup_lines(instance.workdir),
            # The branch's last commit takes the tests away that find the bug.
            f"git checkout -q {branch}~1 2>/dev/null || git checkout -q origin/{branch}~1"
            f" 2>/dev/null || git apply {BUG_PATCH_FILE} || exit {BROKEN}",
            APPLY_PATCH,
            *(f"git checkout -q HEAD -- {file} 2>/dev/null" for file in files),
            ACTIVATE if profile.conda else "",
            f"( {' '.join(listed)}\n) > {TEST_LOG_FILE} 2>&1",
            f"cat {TEST_LOG_FILE}",
            "exit 0",
        ]
        return EvaluationPlan(
            "\n".join(script), {BUG_PATCH_FILE: str(answer_row["patch"]).encode()}, (TEST_LOG_FILE,)
        )

    def judgement(
        self, instance: Instance, answer_row: AnswerRow, output: EvaluationOutput
    ) -> PatchJudgement:
        """The statuses against the lists."""
        statuses = parse_statuses(
            _profile(instance.id, answer_row).parser, output.outputs.get(TEST_LOG_FILE, "")
        )
        return judge_row(answer_row, statuses, absent=True)

    def gold_patch(self, row: AnswerRow) -> str:
        """The reverse of the row's patch, which makes the bug."""
        return reverse_patch(str(row.get("patch") or ""))


def _files_of(names: Sequence[str]) -> list[str]:
    """The test files of pytest's names, quoted for a shell."""
    files = {name.split("::")[0].removeprefix(_MOVED_ROOT) for name in names if "::" in name}
    return [shlex.quote(file) for file in sorted(files)]


def _profile(instance_id: str, answer_row: AnswerRow) -> RepositoryProfile:
    match = _PROFILE.fullmatch(instance_id)
    project = match["repo"].lower() if match else ""
    if command := str(answer_row.get("test_cmd") or ""):
        return RepositoryProfile(command)
    if project in PROFILES:
        return PROFILES[project]
    tests = names_of_tests(answer_row, "FAIL_TO_PASS")
    if project in ELSEWHERE or not all(".py" in name for name in tests):
        raise GradingError(
            f"the test command of {project or instance_id} is a profile of the swesmith package,"
            " which cannot be installed with swebench 5: give it as a column test_cmd of a file"
        )
    return USUAL
