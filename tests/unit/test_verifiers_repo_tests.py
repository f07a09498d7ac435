"""Real runs of small suites: what breaks a patch, and what does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from swe_router import patch_files
from swe_router.codegraph.graph import build_graph
from swe_router.patch_files import PatchSummary
from swe_router.verifiers.evidence_records import RepoTestsEvidence
from swe_router.verifiers.testing import runners
from swe_router.verifiers.testing.batches import Batch, timeout_seconds
from swe_router.verifiers.testing.comparison import (
    BROKEN_RESULTS,
    compare_runs,
    evidence_of,
    outcome_of,
    with_flaky_tests,
)
from swe_router.verifiers.testing.nearby_tests import (
    changed_definitions,
    name_similarity,
    nearest_tests,
)
from swe_router.verifiers.testing.results import Report, TestRun, parse_recorded_lines
from swe_router.verifiers.testing.runners import (
    RUNNERS,
    choose_runner,
    detect_runners,
    parse_unsigned_lines,
    run_tests,
    shown_command,
)
from tests.doubles.project import INSTANCE, Project

REPORTER = """\
class PyTestReporter:
    def entering_filename(self, filename, n): pass
    def entering_test(self, f): pass
    def import_error(self, filename, exc_info): pass
    def test_pass(self, char="."): pass
    def test_fail(self, exc_info): pass
    def test_exception(self, exc_info): pass
    def test_skip(self, v=None): pass
    def test_xfail(self): pass
    def test_xpass(self, v): pass
"""
BIN_TEST = """\
import os, sys
from sympy.testing.runtests import PyTestReporter
def good(): pass
def bad(): raise ValueError
def threw(f):
    try:
        f()
    except Exception:
        r.test_exception(sys.exc_info())
r = PyTestReporter()
threw(lambda: int("a file that does not load"))
r.entering_filename(os.path.abspath("sympy/a.py"), 2)
r.entering_test(good)
r.test_pass()
r.entering_test(bad)
threw(bad)
r.import_error(os.path.abspath("sympy/b.py"), None)
"""


RAN = TestRun(result_by_test={"a": "passed", "b": "passed", "c": "failed"}, ended=True, seconds=10)


def test_what_becomes_of_a_test() -> None:
    def came(after: TestRun) -> list[str]:
        return list(compare_runs(RAN, after).values())

    assert came(TestRun(result_by_test={"a": "passed", "b": "skipped"}, ended=True)) == [
        "passed",
        "gone",
    ]
    assert came(TestRun(result_by_test={"a": "passed"}, ended=False)) == ["passed", "died"]
    slow = TestRun(result_by_test={"a": "passed"}, timed_out=True, timeout_seconds=49)
    assert came(slow) == ["passed", "unfinished"]
    stuck = TestRun(result_by_test={"a": "passed"}, timed_out=True, timeout_seconds=51)
    assert came(stuck) == ["passed", "hung"]
    assert came(TestRun(ended=True)) == ["error", "error"]
    broken = TestRun(result_by_test={"x": "error"}, file_by_test={"x": ""}, ended=True)
    assert came(broken) == ["error", "error"]


def test_a_run_breaks_off_in_one_test_and_the_others_were_only_not_reached() -> None:
    before = TestRun(result_by_test=dict.fromkeys("abcd", "passed"), ended=True, seconds=10)
    ran = {"a": "passed"}
    died = compare_runs(before, TestRun(result_by_test=ran))
    assert list(died.values()) == ["passed", "died", "unfinished", "unfinished"]
    hung = compare_runs(before, TestRun(result_by_test=ran, timed_out=True, timeout_seconds=51))
    assert list(hung.values()) == ["passed", "hung", "unfinished", "unfinished"]


@pytest.mark.parametrize(
    "after", [TestRun(timeout_seconds=999, timed_out=True), TestRun(output_tail="killed")]
)
def test_a_run_that_was_cut_short_before_as_well_blames_no_patch(after: TestRun) -> None:
    before = replace(RAN, ended=False, timed_out=True)
    now = compare_runs(before, after)
    assert now == {"a": "cut", "b": "cut"}
    evidence = evidence_of(now, before)
    assert (evidence["counts"]["cut"], evidence["counts"]["broken"]) == (2, 0)
    assert outcome_of(RepoTestsEvidence.model_validate(evidence)) == "unknown", (
        "nothing was seen to pass"
    )


def test_a_test_run_is_given_the_time_that_its_start_state_took_and_more() -> None:
    def given(seconds: float, ended: bool) -> float:
        return timeout_seconds(Batch(("t.py",), replace(RAN, seconds=seconds, ended=ended)))

    assert given(100, ended=False) == 150, "a run that was cut gets half as much again"
    assert given(1, ended=False) == 4
    assert given(100, ended=True) == 600, "five times is hung, and a fifth over"
    assert given(1, ended=True) == 60
    limit = given(100, ended=True)
    slow = TestRun(result_by_test={"a": "passed"}, timed_out=True, timeout_seconds=limit)
    assert compare_runs(replace(RAN, seconds=100), slow)["b"] == "hung"


def test_a_flaky_test_is_not_held_against_the_patch() -> None:
    now = {"a": "failed", "b": "failed"}
    second = TestRun(result_by_test={"a": "failed", "b": "passed"}, ended=True)
    assert with_flaky_tests(now, RAN, second) == {"a": "failed", "b": "flaky"}
    base_fails_too = TestRun(result_by_test={"a": "failed", "b": "passed"}, ended=True)
    assert with_flaky_tests(now, base_fails_too, second) == {"a": "flaky", "b": "flaky"}


def test_flipped_evidence_is_found_out() -> None:
    evidence = evidence_of({"a": "passed", "b": "failed"}, RAN)
    assert outcome_of(RepoTestsEvidence.model_validate(evidence)) == "fail"
    evidence["tests"]["b"] = ["passed", "passed"]
    assert outcome_of(RepoTestsEvidence.model_validate(evidence)) == "contradictory"


def test_every_broken_test_is_listed_however_many_there_are() -> None:
    now = {f"t{n}": BROKEN_RESULTS[n % 4] for n in range(500)} | {
        f"p{n}": "passed" for n in range(500)
    }
    evidence = evidence_of(now, RAN)
    assert len(evidence["tests"]) == 500
    assert outcome_of(RepoTestsEvidence.model_validate(evidence)) == "fail"


def test_a_torn_or_foreign_report_line_is_left_out() -> None:
    lines = b'{"id":"a","outcome":"passed","file":"f"}\n{"id":"a","outcome":"failed"}\n[1]\n{"i'
    results, _, ended = parse_unsigned_lines(lines)
    assert results == {"a": "failed"}
    assert not ended


def test_the_runner_follows_the_repository() -> None:
    assert choose_runner({"django", "has-pytest", "says-pytest"}) == "django"
    assert choose_runner({"sympy", "has-pytest"}) == "sympy"
    assert choose_runner({"sympy-by-pytest", "has-pytest"}, hint=lambda: "sympy") == "pytest"
    assert choose_runner({"sympy-by-pytest"}) == "", (
        "its own command would start a pytest that is not there"
    )
    assert choose_runner({"has-pytest"}) == "pytest"
    assert choose_runner({"has-pytest", "says-unittest"}) == "unittest"
    assert choose_runner({"says-pytest"}) == ""
    assert "runtests.py" in shown_command("django", ["tests/admin/test_x.py"])
    assert shown_command("django", ["tests/admin/test_x.py"]).endswith(" admin.test_x")
    assert not RUNNERS["django"].is_test_file("django/test/test_x.py")
    assert not RUNNERS["django"].is_test_file("tests/gis_tests/test_x.py"), (
        "it would abort the whole run"
    )


def changed(path: str, *lines: int) -> PatchSummary:
    return PatchSummary(path, path, False, (), (), lines)


def test_the_graph_orders_and_names_stand_in_for_it() -> None:
    known = ["tests/test_calc.py", "tests/test_other.py"]

    class Bare:
        def tests_reaching(self, paths: list[str]) -> list[str]:
            return ["tests/helper.py", "tests/test_other.py", "tests/gone/test_x.py"]

    calc = [changed("calc.py")]
    assert nearest_tests(calc, known, Bare(), 5) == (["tests/test_other.py"], "graph")
    assert nearest_tests(calc, known, None, 5) == (["tests/test_calc.py"], "name")
    assert name_similarity("a/models/query.py", "tests/queries/test_query.py") > name_similarity(
        "a/models/query.py", "tests/models/test_other.py"
    )


def test_a_file_that_uses_what_changed_is_nearer_than_one_that_only_imports(
    tmp_path: Path,
) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/shop/__init__.py": "",
        "pkg/shop/core.py": "def price():\n    return 1\n\n\ndef name():\n    return 'n'\n",
        "tests/test_a.py": "from pkg.shop.core import name\n\n\ndef test():\n    name()\n",
        "tests/test_b.py": "from pkg.shop.core import price\n\n\ndef test():\n    price()\n",
        "tests/shops/tests.py": "def test():\n    import_by_name('pkg.shop')\n",
        "tests/test_c.py": "def test():\n    pass\n",
    }
    project = Project(tmp_path, files)
    seed = project.home / "seed" / "testbed"
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=seed, check=True, capture_output=True, text=True
    ).stdout.strip()
    graph = build_graph(seed, head)
    known = [path for path in files if "test" in path]
    change = patch_files.patch_summaries(
        project.patch({"pkg/shop/core.py": files["pkg/shop/core.py"].replace("1", "2")})
    )
    assert change is not None
    assert change[0].base_lines == (2, 2)
    assert changed_definitions(change, graph) == {"price"}
    near = nearest_tests(change, known, graph, 5)[0]
    assert near == ["tests/test_b.py", "tests/test_a.py", "tests/shops/tests.py"]
    other = nearest_tests([changed("pkg/shop/core.py", 6)], known, graph, 5)[0]
    assert other[0] == "tests/test_a.py"


def listened(folder: Path, command: list[str]) -> Report:
    """What the recorder wrote of a command."""
    home = folder / "recorder"
    home.mkdir(exist_ok=True)
    shutil.copy(
        Path(__file__).parents[2] / "swe_router/verifiers/in_sandbox/result_recorder.py", home
    )
    (home / "key").write_text('{"report": "r", "key": "k"}')
    (home / "r").unlink(missing_ok=True)
    words = [sys.executable, str(home / "result_recorder.py"), *command]
    subprocess.run(words, cwd=folder, capture_output=True, check=False)
    assert not (home / "key").exists()
    return parse_recorded_lines((home / "r").read_bytes() if (home / "r").exists() else b"", "k")


def test_a_suite_that_raises_before_its_first_test_did_not_end(tmp_path: Path) -> None:
    for script, ended in (("raise RuntimeError", False), ("raise SystemExit(1)", True)):
        (tmp_path / "t.py").write_text(script)
        assert listened(tmp_path, ["t.py"]).ended is ended


def test_sympys_own_reporter_is_listened_to(tmp_path: Path) -> None:
    """A stand-in with the methods of sympy's ``PyTestReporter``, called as sympy calls them."""
    files = {
        "sympy/__init__.py": "",
        "sympy/testing/__init__.py": "",
        "sympy/testing/runtests.py": REPORTER,
        "bin/test": BIN_TEST,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = listened(tmp_path, ["bin/test", "-C"])
    unloaded = [test for test in found.result_by_test if test.startswith("load:")]
    assert [found.result_by_test.pop(test) for test in unloaded] == ["error"]
    assert found.result_by_test == {
        "sympy/a.py::good": "passed",
        "sympy/a.py::bad": "failed",
        "sympy/b.py": "error",
    }
    assert found.file_by_test["sympy/a.py::good"] == "sympy/a.py"
    assert found.failure_messages["sympy/a.py::bad"] == "ValueError: "
    assert found.ended


def test_sympy_from_1_13_on_is_run_by_the_recorder_s_own_pytest(tmp_path: Path) -> None:
    """Its ``bin/test`` starts pytest, out of sight of the recorder, with a plugin for its seed."""
    files = {
        "sympy/__init__.py": "",
        "sympy/testing/__init__.py": "",
        "sympy/testing/runtests_pytest.py": "",
        "sympy/a/tests/test_a.py": "def test_good(): pass\ndef test_bad(): assert 0\n",
        "bin/test": "raise SystemExit('pytest-randomly is not installed')\n",
    }
    with Project(tmp_path, files).open(INSTANCE) as sandbox:
        facts, python = detect_runners(sandbox, 60)
        runner = choose_runner(facts)
        found = run_tests(sandbox, runner, python, ["sympy/a/tests/test_a.py"], 60)
    assert found.result_by_test == {
        "sympy/a/tests/test_a.py::test_good": "passed",
        "sympy/a/tests/test_a.py::test_bad": "failed",
    }
    assert found.ended


def test_the_recorder_needs_nothing_but_an_old_python() -> None:
    text = (
        Path(__file__).parents[2] / "swe_router/verifiers/in_sandbox/result_recorder.py"
    ).read_text()
    assert "from __future__" not in text
    assert "swe_router." not in text


def test_a_run_is_over_when_its_output_is(tmp_path) -> None:
    """The reader of the output ends with it: no tenth of a second is slept for it each time."""
    naps = tmp_path / "naps"
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("sleep")
    (programs / "sleep").write_text(f'#!/bin/sh\necho "$1" >> {naps}\nexec {real} "$1"\n')
    (programs / "sleep").chmod(0o755)
    folder = tmp_path / "run"
    folder.mkdir()
    script = runners._QUIET_COMMAND.format(folder=folder, tail=100, command="echo said")
    path = f"{programs}:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "said\n"
    first = naps.read_text().split()[:1] if naps.exists() else []
    assert [float(nap) <= 0.01 for nap in first] == [True] * len(first)
