"""Real runs of small suites: what breaks a patch, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_router.records import Verdict
from swe_router.settings import VerifySettings
from swe_router.verifiers.repo_tests import RepoTestsVerifier
from tests.doubles.calculator import CALC, SUITE, UNITTEST
from tests.doubles.project import INSTANCE, Project, outcome

pytestmark = pytest.mark.box

KNOWN_BAD = "\n\ndef test_known_bad():\n    assert calc.add(1, 1) == 3\n"
SKIPPED = '\n    @unittest.skip("no")\n    def test_skipped(self):\n        pass\n'
TEST = "tests/test_calc.py"


@pytest.fixture(scope="module")
def by_pytest(tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = {"calc.py": CALC, TEST: SUITE + KNOWN_BAD, "pytest.ini": "[pytest]\n"}
    return Project(tmp_path_factory.mktemp("pytest"), files)


@pytest.fixture(scope="module")
def by_unittest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    make = "test:\n\tpython -m unittest\n"
    files = {"calc.py": CALC, TEST: UNITTEST + SKIPPED, "tests/__init__.py": "", "Makefile": make}
    project = Project(tmp_path_factory.mktemp("unittest"), files)
    yield project
    assert not any(sandbox.root.exists() for sandbox in project.opened)


def judge(project: Project, changes: dict[str, str | None], seconds: float = 120) -> Verdict:
    verifier = RepoTestsVerifier(VerifySettings(seconds=seconds))
    verdict = verifier.verify(outcome(project.patch(changes)), (), INSTANCE, project.context())
    assert verifier.check(Verdict.model_validate_json(verdict.model_dump_json())) == verdict.outcome
    return verdict


def test_a_harmless_change_passes_and_a_test_that_failed_before_is_ignored(
    by_pytest: Project,
) -> None:
    verdict = judge(by_pytest, {"calc.py": CALC + "\n\nNEW = 1\n"})
    assert verdict.outcome == "pass"
    counts = verdict.evidence["counts"]
    assert (counts["passed_before"], counts["still_pass"], counts["not_passed_before"]) == (2, 2, 1)
    assert verdict.evidence["runner"] == "pytest"


def test_a_patch_that_bends_tests_and_prints_passed_is_judged_by_the_old_ones(
    by_pytest: Project,
) -> None:
    liar = CALC.replace("a - b", "b - a") + f"\nprint('{TEST}::test_sub PASSED\\n3 passed')\n"
    drop = "def pytest_collection_modifyitems(items):\n    items.clear()\n"
    bent = (SUITE + KNOWN_BAD).replace("== 2", "== -2")
    verdict = judge(by_pytest, {"calc.py": liar, TEST: bent, "tests/conftest.py": drop})
    assert verdict.outcome == "fail"
    assert verdict.evidence["tests"][f"{TEST}::test_sub"] == ["passed", "failed"]
    assert verdict.evidence["run_again"] is True


def test_unittest_is_read_from_the_makefile_and_a_regression_fails(by_unittest: Project) -> None:
    verdict = judge(by_unittest, {"calc.py": CALC.replace("a - b", "b - a")})
    assert verdict.evidence["runner"] == "unittest"
    tests = verdict.evidence["tests"]
    assert verdict.outcome == "fail"
    assert tests["tests.test_calc.TestCalc.test_sub"] == ["passed", "failed"]
    assert tests["tests.test_calc.TestCalc.test_add"] == ["passed", "passed"]


def test_a_module_that_no_longer_imports_breaks_its_tests(by_unittest: Project) -> None:
    verdict = judge(by_unittest, {"calc.py": "import nowhere_to_be_found\n" + CALC})
    assert verdict.outcome == "fail"
    assert verdict.evidence["counts"]["broken"] == 2


def test_an_exit_in_mid_run_is_no_pass(by_unittest: Project) -> None:
    text = CALC.replace("return a - b", "import os; os._exit(0)")
    verdict = judge(by_unittest, {"calc.py": text})
    assert verdict.evidence["tests"]["tests.test_calc.TestCalc.test_sub"] == ["passed", "died"]
    assert verdict.outcome == "fail"


def test_a_suite_that_hangs_ends_in_its_time_sandbox(by_unittest: Project) -> None:
    text = CALC.replace("return a - b", "import time; time.sleep(600)")
    verdict = judge(by_unittest, {"calc.py": text}, seconds=5)
    assert verdict.outcome == "unknown"
    assert verdict.evidence["counts"]["unfinished"] == 1


def test_no_test_near_the_change_is_unknown_not_pass(by_unittest: Project) -> None:
    assert judge(by_unittest, {"zebra.py": "X = 1\n"}).outcome == "unknown"


def test_a_patch_that_takes_a_test_away_fails_unrun(by_unittest: Project) -> None:
    opened = len(by_unittest.opened)
    assert judge(by_unittest, {"calc.py": CALC + "#\n", TEST: None}).outcome == "fail"
    assert len(by_unittest.opened) == opened


def test_tests_that_got_to_nothing_in_time_are_not_told_as_failing(tmp_path):
    slow = "import time\n\n\ndef test_slow():\n    time.sleep(60)\n"
    project = Project(tmp_path, {"calc.py": CALC, "test_calc.py": slow})
    patch = project.patch({"calc.py": CALC + "\n"})
    settings = VerifySettings(seconds=5.1)
    said = RepoTestsVerifier(settings).verify(outcome(patch), (), INSTANCE, project.context())
    assert said.outcome == "unknown"
    assert "passed before the patch within 2 s" in said.evidence["why"]


SEVERAL = {f"tests/test_calc_{name}.py": SUITE for name in "abcde"}


def test_after_the_patch_all_files_run_in_one_process(tmp_path: Path) -> None:
    note = "import os\n\n\ndef test_note():\n    print(os.getpid(), file=open(%r, 'a'))\n"
    log = tmp_path / "log"
    suites = {path: text + note % str(log) for path, text in SEVERAL.items()}
    project = Project(tmp_path / "p", {"calc.py": CALC, "pytest.ini": "[pytest]\n", **suites})
    said = judge(project, {"calc.py": CALC + "#\n"})
    runs = log.read_text().split()
    assert said.outcome == "pass"
    assert said.evidence["counts"]["still_pass"] == 15
    assert (len(runs), len(set(runs[5:]))) == (10, 1)
    assert len(set(runs[:5])) > 1, "at the base in batches: one that hangs takes no other along"


def test_what_fails_in_company_alone_is_not_held_against_a_patch(tmp_path: Path) -> None:
    """It holds only while no other file was loaded in its process, as at the base."""
    alone = "import sys\n\n\ndef test_alone():\n    assert 'test_calc_b' not in sys.modules\n"
    suites = SEVERAL | {"tests/test_calc.py": SUITE + alone}
    project = Project(tmp_path, {"calc.py": CALC, "pytest.ini": "[pytest]\n", **suites})
    said = judge(project, {"calc.py": CALC + "#\n"})
    assert (said.outcome, said.evidence["counts"]["flaky"]) == ("pass", 1)


def test_a_file_that_no_longer_loads_hides_no_other(tmp_path: Path) -> None:
    gone = "from calc import sub\n\n\ndef test_it():\n    assert sub(3, 1) == 2\n"
    suites = {f"tests/test_calc_{name}.py": gone if name == "e" else
              "import calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n"
              for name in "abcde"}  # fmt: skip
    project = Project(tmp_path, {"calc.py": CALC, "pytest.ini": "[pytest]\n", **suites})
    said = judge(project, {"calc.py": CALC.partition("\n\n\n")[0] + "\n"})
    assert said.outcome == "fail"
    told = said.evidence["tests"]
    assert told["tests/test_calc_e.py::test_it"] == ["passed", "error"]
    assert told["tests/test_calc_a.py::test_add"] == ["passed", "passed"]
