"""What keeps a patch from a verdict is named, and takes no other verdict with it."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from swe_router import assets
from swe_router.datasets import GradingContext
from swe_router.errors import GradingError, Lost, SandboxError, UsageError
from swe_router.grading import isolated, official, runner
from swe_router.grading.evaluation import judge_lists
from swe_router.grading.grade import predicted
from swe_router.grading.graders import gold_patches_of
from swe_router.grading.hidden import search_hidden_tests
from swe_router.grading.predictions import Prediction
from swe_router.grading.statuses import parse_statuses, statuses_of_code
from swe_router.grading.swebench import SweBenchGrader
from swe_router.instances import sources, splits
from swe_router.records import Result
from tests.doubles.rooted_sandbox import NOOP, Image, grader_of, rows_at

DATA = Path(__file__).parents[1] / "data" / "datasets"


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path / "images")


def grader_with(name: str, image: Image, tmp_path: Path, **columns: object):
    """The grader of the data set's own sample with other columns, and the row's instance."""
    sample = rows_at(tmp_path / "rows", DATA / f"{name}.jsonl")
    row = json.loads(sample.read_text().splitlines()[0])
    sample.write_text(json.dumps({**row, **columns}) + "\n")
    grader, instances = grader_of(sample, image, tmp_path / "graded", dataset=name)
    return grader, instances[row["instance_id"]]


@pytest.mark.parametrize(
    ("name", "columns", "reason"),
    [
        ("swe-bench-live", {"test_cmds": []}, "the row has no test_cmds"),
        ("swe-rebench", {"install_config": None}, "the row has no install_config"),
        (
            "swe-rebench",
            {"install_config": {"log_parser": "parse_log_pytest"}},
            "the row has no install_config.test_cmd",
        ),
        (
            "swe-rebench",
            {"install_config": {"test_cmd": "pytest"}},
            "the row has no install_config.log_parser",
        ),
        (
            "swe-gym",
            {"FAIL_TO_PASS": [], "PASS_TO_PASS": []},
            "the row lists no test that must pass",
        ),
    ],
)
def test_a_row_that_lacks_what_its_evaluation_needs_is_ungraded(
    name, columns, reason, image, tmp_path
):
    grader, instance = grader_with(name, image, tmp_path, **columns)
    grade = grader.grade(instance, NOOP)
    assert (grade.outcome, grade.evidence["reason"]) == ("ungraded", reason)


def test_an_instance_of_another_file_is_ungraded_and_opens_no_sandbox(image, tmp_path):
    grader, instance = grader_with("swe-gym", image, tmp_path)
    grade = grader.grade(instance.model_copy(update={"id": "other__one-1"}), NOOP)
    assert grade.outcome == "ungraded"
    assert "has no row of other__one-1" in grade.evidence["reason"]
    assert image.opened == []


def test_a_grader_that_was_made_to_read_does_not_evaluate(image, tmp_path):
    grader, instance = grader_with("swe-gym", image, tmp_path)
    origin = sources.locate_split(str(tmp_path / "rows" / "swe-gym.jsonl"), "swe-gym")
    reading = type(grader)(
        GradingContext(label="x", rows=origin.any_rows, folder=tmp_path / "graded")
    )
    grade = reading.grade(instance, NOOP)
    assert grade.evidence["reason"] == "this grader was made to read, not to evaluate"


def failing(image: Image, **otherwise):
    """An image whose sandbox does one thing otherwise."""

    @contextmanager
    def opened(instance, *, network=False):
        with image(instance, network=network) as sandbox:
            for name, act in otherwise.items():
                setattr(sandbox, name, act)
            yield sandbox

    return opened


def raises(error):
    def act(*arguments, **more):
        raise error

    return act


@pytest.mark.parametrize(
    ("otherwise", "reason"),
    [
        (
            {"run": lambda *a, **k: Result(exit_code=-1, output="", timed_out=True)},
            "the output cannot be read",
        ),
        ({"read": raises(ValueError("it is larger than it may be"))}, "the output cannot be read"),
        ({"run": raises(Lost("the container was killed"))}, "the container was killed"),
    ],
)
def test_a_sandbox_that_fails_gives_no_verdict(otherwise, reason, image, tmp_path):
    grader, instance = grader_with("swe-gym", failing(image, **otherwise), tmp_path)
    grade = grader.grade(instance, NOOP)
    assert grade.outcome == "ungraded"
    assert reason in grade.evidence["reason"]
    assert not list((tmp_path / "graded").rglob("report.json")), "only a verdict is kept"


def test_an_evaluation_that_runs_out_of_time_is_ungraded_and_leaves_its_log(image, tmp_path):
    late = Result(exit_code=-1, output="", timed_out=True)
    opens = failing(image, run=lambda *a, **k: late, read=lambda path, limit=0: b"it began\n")
    grader, instance = grader_with("swe-gym", opens, tmp_path)
    grade = grader.grade(instance, NOOP)
    assert grade.outcome == "ungraded"
    assert grade.evidence["reason"].startswith("timed out after ")
    assert Path(grade.evidence["log"]).read_text() == "it began\n"


def test_closing_a_grader_closes_what_it_has_open_and_outlives_a_broken_sandbox(image, tmp_path):
    grader, instance = grader_with("swe-gym", image, tmp_path)
    with grader.opened(instance) as sandbox:
        grader.close()
        assert sandbox.closed
        sandbox.close = raises(SandboxError("gone already"))
        grader.close()
    grader.close()


@pytest.mark.parametrize(
    ("task", "change", "reason"),
    [
        ("fix-sum", lambda task: (task / "tests/test.sh").unlink(), "has no test.sh"),
        ("fix-sum", lambda task: shutil.rmtree(task / "tests"), "has no test.sh"),
    ],
)
def test_a_harbor_task_without_tests_is_named_before_a_run(task, change, reason, image, tmp_path):
    folder = tmp_path / "task"
    shutil.copytree(DATA / "harbor" / task, folder)
    change(folder)
    grader, _ = grader_of(folder, image, tmp_path / "graded")
    with pytest.raises(UsageError, match=rf"instance 'task' cannot be graded: .*{reason}"):
        grader.check(["task"])
    with pytest.raises(UsageError, match="has no task other"):
        grader.check(["other"])


def test_a_harbor_solution_as_a_patch_file_is_taken_as_it_is(image, tmp_path):
    folder = tmp_path / "task"
    shutil.copytree(DATA / "harbor" / "fix-sum", folder)
    shutil.rmtree(folder / "solution")
    (folder / "solution").mkdir()
    (folder / "solution/gold.patch").write_text(NOOP)
    grader, _ = grader_of(folder, image, tmp_path / "graded")
    assert grader.gold() == {"task": NOOP}
    assert image.opened == []


def test_a_harbor_solution_that_fails_says_so(image, tmp_path):
    folder = tmp_path / "task"
    shutil.copytree(DATA / "harbor" / "fix-sum", folder)
    (folder / "solution/solve.sh").write_text("echo no tool here; exit 3\n")
    grader, _ = grader_of(folder, image, tmp_path / "graded")
    with pytest.raises(SandboxError, match=r"(?s)the solution of task failed: .*no tool here"):
        grader.gold()


def test_python_of_a_data_set_that_gives_no_statuses_is_a_grading_error():
    with pytest.raises(GradingError, match="log parser gave list, not statuses"):
        statuses_of_code("def parse(log): return [log]", "parse", "text")
    with pytest.raises(GradingError, match="wrote no JSON"):
        isolated.call_isolated("import sys\ndef f(): sys.__stdout__.write('x')\n", "f")
    with pytest.raises(GradingError, match="log parser 'of nobody' is not known here"):
        parse_statuses("of nobody", "text")
    assert statuses_of_code("def parse(log): return {'a': 'PASSED'}", "parse", "") == {
        "a": "passed"
    }


def test_no_status_at_all_is_no_evidence_and_no_list_is_no_question():
    assert judge_lists(["a"], [], {}).outcome == "unresolved"
    assert judge_lists([], [], {"a": "passed"}).outcome == "ungraded"


def swe_bench(tmp_path: Path) -> tuple[str, SweBenchGrader]:
    split = str(DATA / "swe-bench.jsonl")
    origin = sources.locate_split(split, "swe-bench")
    return split, SweBenchGrader(
        GradingContext(label=split, rows=origin.any_rows, folder=tmp_path, sandbox="local")
    )


def test_swe_bench_names_the_instance_it_lacks_and_the_sandbox_it_was_not_given(tmp_path):
    split, grader = swe_bench(tmp_path)
    name = next(iter(grader.gold()))
    assert grader.hidden_tests("other__one-1") == frozenset()
    with pytest.raises(UsageError, match="has no instance 'other__one-1'"):
        grader.runner("other__one-1")
    instance = predicted([Prediction(instance_id=name)], split)[name]
    with pytest.raises(UsageError, match="no sandbox to grade in was given"):
        grader.grade(instance, NOOP)


def test_a_split_whose_hidden_tests_nobody_knows_is_named():
    with pytest.raises(UsageError, match="does not know which tests are hidden"):
        search_hidden_tests(str(DATA / "swe-gym.jsonl"), {}, dataset_reader="swe-gym")


def test_a_grader_without_patches_asks_for_a_file():
    class Reads:
        answers = ()

        def grade(self, instance, patch):
            raise AssertionError

        def close(self):
            raise AssertionError

    with pytest.raises(UsageError, match="holds no patches: --predictions FILE"):
        gold_patches_of(Reads(), "ours")


def test_the_runner_of_an_instance_is_a_hint_and_no_answer_is_no_error(tmp_path):
    split = str(assets.assets_root() / "eval" / "suites" / "demo" / "instances.jsonl")
    name = next(iter(splits.load_instances("demo"))).id
    assert runner.runner_hint(split, name) == "pytest"
    assert runner.runner_hint(split, "other__one-1") == ""
    assert runner.runner_hint(str(tmp_path / "gone.jsonl"), name) == ""
    assert runner.runner_hint(str(DATA / "swe-gym.jsonl"), "ours__calc-1") == ""


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (None, "needs the docker command, which is not on the PATH"),
        ("echo Cannot connect >&2; exit 1", "no Docker engine can be reached: Cannot connect"),
        ("exit 7", "no Docker engine can be reached: docker version ended with exit 7"),
        ("echo 26.1", ""),
    ],
)
def test_an_engine_that_cannot_grade_is_named_before_a_run(program, reason, tmp_path, monkeypatch):
    if program is not None:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert reason in official.engine_fault()
    backend = official.OfficialBackend(tmp_path / "work")
    if reason:
        with pytest.raises(UsageError, match=r"cannot grade: .*start Docker"):
            backend.check()
    else:
        backend.check()
