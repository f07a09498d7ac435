"""Suites and patches that mean harm or merely do it: the right verdict, or none, and no litter."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swe_router import patch_files
from swe_router.records import Instance, Verdict
from swe_router.sandboxes import patch_application as patches
from swe_router.sandboxes.local import LocalSandboxes, best_wall
from swe_router.seams import Sandbox, VerificationContext
from swe_router.settings import SandboxSettings, VerifySettings
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.patches.tampering import (
    machinery_lines,
    paths_to_restore,
    shadows_known_module,
)
from swe_router.verifiers.repo_tests import RepoTestsVerifier
from swe_router.verifiers.testing.results import parse_recorded_lines
from tests.doubles.calculator import CALC, SUITE, UNITTEST
from tests.doubles.project import INSTANCE, Project, outcome

pytestmark = pytest.mark.box

WRONG = CALC.replace("a - b", "b - a")
MAKE = "test:\n\tpython -m unittest\n"


def judged(
    project: Project, patch: str, context: VerificationContext, seconds: float = 120
) -> Verdict:
    verifier = RepoTestsVerifier(VerifySettings(seconds=seconds))
    verdict = verifier.verify(outcome(patch), (), INSTANCE, context)
    assert verifier.check(Verdict.model_validate_json(verdict.model_dump_json())) == verdict.outcome
    assert not any(sandbox.root.exists() for sandbox in project.opened)
    return verdict


def judge(
    home: Path,
    changes: dict[str, str | None],
    suite: str = SUITE,
    seconds: float = 120,
    **more: str,
) -> Verdict:
    """The verdict on changes of a project tested by pytest; ``more`` are its further files."""
    files = {"calc.py": CALC, "test_calc.py": suite, "pytest.ini": "[pytest]\n", **more}
    project = Project(home, files)
    return judged(project, project.patch(changes), project.context(), seconds)


def judge_by_unittest(
    home: Path, changes: dict[str, str | None], suite: str, seconds: float = 120
) -> Verdict:
    project = Project(home, {"calc.py": CALC, "test_calc.py": suite, "Makefile": MAKE})
    return judged(project, project.patch(changes), project.context(), seconds)


DESELECT = "def pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"
ALL_PASS = """\
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    out = yield
    out.get_result().outcome = "passed"
"""
PRETEND = "import unittest\nunittest.TestCase.run = lambda self, result: result.addSuccess(self)\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("conftest.py", DESELECT),
        ("conftest.py", ALL_PASS),
        ("pytest.ini", "[pytest]\naddopts = -k add\n"),
        ("tox.ini", "[pytest]\naddopts = -k add\n"),
        ("setup.cfg", "[tool:pytest]\naddopts = --collect-only\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-k add"\n'),
        ("sitecustomize.py", "import os\nos._exit(0)\n"),
        ("pytest.py", "def main(*a, **k):\n    return 0\n"),
        ("json.py", "def dumps(x):\n    return ''\n"),
        ("test_calc.py", "def test_add():\n    pass\n\n\ndef test_sub():\n    pass\n"),
    ],
)
def test_a_patch_has_no_vote_on_how_it_is_tested(path: str, text: str, tmp_path: Path) -> None:
    verdict = judge(tmp_path, {"calc.py": WRONG, path: text})
    assert verdict.outcome == "fail"
    assert verdict.evidence["tests"]["test_calc.py::test_sub"] == ["passed", "failed"]
    assert path in verdict.evidence.get("put_back", []) + verdict.evidence.get("taken_out", [])


def test_a_plugin_that_the_patch_registers_for_itself_is_taken_out() -> None:
    files = patch_files.patch_summaries(
        "diff --git a/x.egg-info/entry_points.txt b/x.egg-info/entry_points.txt\n"
        "new file mode 100644\n--- /dev/null\n+++ b/x.egg-info/entry_points.txt\n"
        "@@ -0,0 +1,2 @@\n+[pytest11]\n+x = x\n"
    )
    assert files is not None
    assert paths_to_restore(files, path_kinds.is_test) == ([], ["x.egg-info/entry_points.txt"])
    assert shadows_known_module("unittest/__init__.py")
    assert not shadows_known_module("src/types.py"), "below the top it is a module of a package"


@pytest.mark.parametrize(
    "line",
    [
        "import _pytest.reports; _pytest.reports.TestReport.outcome = 'passed'",
        "unittest.TestResult.addFailure = lambda *a: None",
        "import glob; open(glob.glob('/tmp/swe-router-*/*')[0], 'a').write('passed')",
        "import gc; gc.get_objects()",
    ],
)
def test_a_product_that_reaches_for_the_tests_machinery_never_passes(
    line: str, tmp_path: Path
) -> None:
    said = judge(tmp_path, {"calc.py": f"{CALC}\n\ndef forge():\n    {line}\n"})
    assert said.outcome == "unknown"
    assert said.evidence["meddles"]


def test_a_project_that_is_the_machinery_may_be_mended() -> None:
    files = patch_files.patch_summaries(
        "diff --git a/src/_pytest/a.py b/src/_pytest/a.py\n--- a/src/_pytest/a.py\n"
        "+++ b/src/_pytest/a.py\n@@ -1 +1 @@\n-import a\n+import _pytest.b\n"
    )
    assert files is not None
    assert machinery_lines(files, path_kinds.is_test) == []


FORGER = """\
import glob
for path in glob.glob("FOLDER/swe-router-*/*"):
    if not path.endswith(".py"):
        with open(path, "a") as report:
            report.write('{"id": "test_calc.py::test_sub", "outcome": "passed"}\\n')
print("test_calc.py::test_sub PASSED")
"""


def test_lines_in_the_report_that_are_not_the_recorders_are_no_results(tmp_path: Path) -> None:
    forger = FORGER.replace("FOLDER", f"{tmp_path}/box*/tmp")
    body = _indented(f"{forger}assert calc.sub(3, 1) == 2\n")
    suite = f"import calc\n{forger}\n\ndef test_sub():\n{body}"
    verdict = judge(tmp_path, {"calc.py": WRONG}, suite)
    assert verdict.outcome == "fail"
    assert verdict.evidence["tests"] == {"test_calc.py::test_sub": ["passed", "failed"]}


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def test_a_foreign_or_a_missing_line_is_noticed() -> None:
    assert parse_recorded_lines(b'{"id": "a", "outcome": "passed"}\n', "key").foreign == 1
    assert parse_recorded_lines(b"", "key").tampering_signs == ""


def test_a_suite_that_deletes_its_files_the_history_and_the_report_is_judged(
    tmp_path: Path,
) -> None:
    wipe = (
        "import glob, os, shutil\n\n\ndef test_a_wipe():\n"
        "    os.remove(__file__)\n    shutil.rmtree('.git')\n"
        f"    for path in glob.glob('{tmp_path}/box*/tmp/swe-router-*'):\n"
        "        shutil.rmtree(path)\n\n\n"
    )
    assert judge(tmp_path / "r", {"calc.py": CALC + "#\n"}, wipe + SUITE).outcome == "pass"
    said = judge(tmp_path / "w", {"calc.py": WRONG}, wipe + SUITE)
    assert said.outcome == "fail"


def test_a_suite_that_kills_itself_is_no_evidence_and_a_patch_that_does_fails(
    tmp_path: Path,
) -> None:
    kill = "import os, signal\n\n\ndef test_kill():\n    os.kill(os.getpid(), signal.SIGKILL)\n\n\n"
    assert judge(tmp_path / "a", {"calc.py": CALC + "#\n"}, kill + SUITE).outcome == "unknown"
    deadly = CALC.replace("return a - b", "import os; os.kill(os.getpid(), 9)")
    said = judge(tmp_path / "b", {"calc.py": deadly})
    assert said.outcome == "fail"
    assert said.evidence["tests"]["test_calc.py::test_sub"] == ["passed", "died"]


def test_what_fails_for_lack_of_network_is_unknown(tmp_path: Path) -> None:
    net = (
        "import socket\n\n\ndef test_net():\n"
        "    socket.create_connection(('nowhere.invalid', 80), timeout=5)\n"
    )
    said = judge(tmp_path, {"calc.py": CALC + "#\n"}, net)
    assert said.outcome == "unknown"
    assert said.evidence["needed_network"] == ["test_calc.py::test_net"]
    assert "network" in said.evidence["why"]


def test_megabytes_of_output_are_no_matter(tmp_path: Path) -> None:
    loud = UNITTEST.replace(
        "    def test_add(self):\n",
        "    def test_add(self):\n        import os\n"
        "        for _ in range(64):\n            os.write(1, b'PASSED\\n' * 150_000)\n",
    )
    said = judge_by_unittest(tmp_path, {"calc.py": WRONG}, loud)
    assert said.outcome == "fail"
    assert said.evidence["counts"]["still_pass"] == 1


class Numbered(Project):
    """Each sandbox knows how many were opened before it."""

    @contextmanager
    def open(self, instance: Instance) -> Iterator[Sandbox]:
        number = len(self.opened)
        with super().open(instance) as sandbox:
            sandbox.write("/testbed/number", str(number).encode())
            yield sandbox


@pytest.mark.parametrize(
    ("bad", "outcome_"), [((1,), "pass"), ((1, 3), "pass"), ((1, 3, 5), "fail")]
)
def test_a_test_must_fail_again_and_again(
    bad: tuple[int, ...], outcome_: str, tmp_path: Path
) -> None:
    """FakeSandbox 0 is the base, 1 the patch, 2 and 4 the base again, 3 and 5 the patch again."""
    coin = f"\n\ndef test_coin():\n    assert int(open('number').read()) not in {bad}\n"
    project = Numbered(
        tmp_path, {"calc.py": CALC, "test_calc.py": SUITE + coin, "pytest.ini": "[pytest]\n"}
    )
    said = judged(project, project.patch({"calc.py": CALC + "#\n"}), project.context())
    assert said.outcome == outcome_
    assert said.evidence["counts"]["flaky"] == (outcome_ == "pass")


def test_a_failure_that_there_is_no_time_to_see_twice_is_unknown(tmp_path: Path) -> None:
    slow = UNITTEST.replace("(calc.sub", "(__import__('time').sleep(2) or calc.sub")
    said = judge_by_unittest(tmp_path, {"calc.py": WRONG}, slow, seconds=10)
    assert said.evidence["counts"]["broken"] == 1
    assert (said.outcome, said.evidence["confirmed"]) == ("unknown", False)


@pytest.mark.parametrize("slow", ["calc_test.py", "test_calc_more.py"])
def test_a_slow_file_takes_no_time_from_the_others(slow: str, tmp_path: Path) -> None:
    """Whether it is the nearest or not."""
    stuck = UNITTEST.replace("import calc\n", "import calc, time\ntime.sleep(600)\n")
    files = {"calc.py": CALC, "test_calc.py": UNITTEST, "Makefile": MAKE, slow: stuck}
    project = Project(tmp_path, files)
    begun = time.time()
    patch = project.patch({"calc.py": CALC + "#\n"})
    said = judged(project, patch, project.context(), seconds=40)
    assert said.outcome == "pass"
    assert said.evidence["counts"]["still_pass"] == 2
    assert time.time() - begun < 300, "it waited for the file that hangs for 600 s"


def test_batches_of_other_candidates_are_taken_over_and_no_file_runs_twice(tmp_path: Path) -> None:
    suites = {f"tests/test_{name}.py": UNITTEST for name in ("calc", "more", "calc_b", "calc_c")}
    suites["tests/__init__.py"] = ""
    project = Project(tmp_path, {"calc.py": CALC, "more.py": "X = 1\n", "Makefile": MAKE, **suites})
    texts = [{"calc.py": CALC + "#\n"}, {"more.py": "X = 2\n"}]
    texts.append({"calc.py": CALC + "#\n", "more.py": "X = 2\n"})
    for changes in texts:
        said = judged(project, project.patch(dict(changes)), project.context())
        files = said.evidence["files"]
        assert len(files) == len(set(files))
        assert said.outcome == "pass", said.evidence
    assert len(files) == 4
    assert len(project.opened) == 5, "the third candidate needs no run at the base"


SERVER = """\
import subprocess, sys, os
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "MARK"],
                 start_new_session=True)
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(600)
"""


def test_a_server_that_a_suite_leaves_running_holds_nothing_up(tmp_path: Path) -> None:
    """The server holds the suite's output open, and is gone with its sandbox."""
    mark = f"swe-router-mark-{time.time_ns()}"
    wall = best_wall(unsafe=True)
    suite = SUITE + "\n\ndef test_server():\n" + _indented(SERVER.replace("MARK", mark))
    project = Project(
        tmp_path, {"calc.py": CALC, "test_calc.py": suite, "pytest.ini": "[pytest]\n"}
    )
    tree = tmp_path / "seed" / "testbed"
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tree, check=True, capture_output=True, text=True
    ).stdout.strip()
    sandboxes = LocalSandboxes(
        SandboxSettings(), start=lambda _: tree, run="t", lock=tmp_path / "l" / "lock", wall=wall
    )
    real = INSTANCE.model_copy(update={"base_commit": commit})
    context = VerificationContext(
        open_sandbox=sandboxes.open, apply=patches.apply_patch, clock=time.time
    )
    patch = project.patch({"calc.py": CALC + "#\n"})
    verdict = RepoTestsVerifier(VerifySettings(seconds=120)).verify(
        outcome(patch), (), real, context
    )
    assert verdict.outcome == "pass", verdict.evidence
    left = subprocess.run(["pgrep", "-f", mark], check=False, capture_output=True, text=True)
    assert left.stdout == ""
