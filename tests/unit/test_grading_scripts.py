"""Evaluations by a script in a fresh sandbox, rewards of tasks, and files of predictions."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any

import pytest

from swe_router.datasets import GradingContext
from swe_router.errors import GradingError, Lost, UsageError
from swe_router.grading import (
    evaluation,
    harbor,
)
from swe_router.grading.evaluation import (
    BROKEN,
    PATCH,
    PATCH_REFUSED,
    SCRIPT,
    EvaluationOutput,
    EvaluationPlan,
    PatchJudgement,
)
from swe_router.grading.predictions import Prediction, read_predictions, write_predictions
from swe_router.grading.script_run import ScriptedGrader
from swe_router.records import Instance, Result, patch_digest

ONE = Instance(id="o__r-1", repo="o/r", base_commit="c", problem="p", setup="hide it")


# Predictions.


def test_predictions_are_written_as_they_are_read(tmp_path):
    patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    made = [Prediction(instance_id="a", patch=patch, model="m"), Prediction(instance_id="b")]
    for name in ("preds.json", "preds.jsonl"):
        write_predictions(tmp_path / name, made)
        assert read_predictions(tmp_path / name) == made
    assert len((tmp_path / "preds.jsonl").read_text().splitlines()) == 2
    assert made[0].digest == patch_digest(patch)
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(UsageError, match="holds no predictions"):
        read_predictions(tmp_path / "none.json")
    row = json.dumps({"instance_id": "a", "model_patch": ""})
    (tmp_path / "twice.jsonl").write_text(f"{row}\n{row}\n")
    with pytest.raises(UsageError, match=r"'a' is predicted twice: .*:1 and .*:2"):
        read_predictions(tmp_path / "twice.jsonl")
    (tmp_path / "bare.jsonl").write_text(row)
    assert read_predictions(tmp_path / "bare.jsonl")[0].model == "unnamed"


# Harbor.


def test_a_verifier_of_a_task_gets_defaults_and_nothing_of_this_machine():
    lines = harbor._exports({"A": "${HOME:-x y}", "B": "plain", "C": "${D:-}z", "N": 3})
    assert lines == ["export A='x y'", "export B=plain", "export C=z", "export N=3"]
    with pytest.raises(GradingError, match="asks for HOME of this machine, which it is not given"):
        harbor._exports({"A": "${HOME}"})
    assert harbor._table({"a": {"b": {"c": 1}}}, "a", "b") == {"c": 1}
    assert harbor._table({"a": 3}, "a", "b") == {}


@pytest.mark.parametrize(
    ("text", "record", "reward"),
    [("1\n", "", (1.0, {})), ("0.5", '{"reward": 1}', (0.5, {})), ("", '{"x": 0.25}', (0.25, {})),
     ("", '{"reward": 0, "x": 2}', (0.0, {"metrics": {"x": 2.0}})),
     ("bad", '{"a": 1, "b": 2}', None), ("", '{"a": "1"}', None), ("", "[1]", None)],
)  # fmt: skip
def test_a_reward_is_a_number_in_one_of_two_files(text, record, reward):
    output = EvaluationOutput(0, "", dict(zip(harbor.REWARDS, (text, record), strict=True)))
    if reward is None:
        with pytest.raises(GradingError, match="wrote no reward"):
            harbor._reward(output)
    else:
        assert harbor._reward(output) == reward


# A script in a fresh sandbox.


class Box:
    """A sandbox that keeps what is written and gives what its script is to print."""

    workdir = "/w"

    def __init__(self, identity="image-1", log="printed", code=0, late=False, files=()):
        self.identity, self.code, self.late = identity, code, late
        self.files = {evaluation.LOG: log.encode(), **dict(files)}
        self.wrote: dict[str, bytes] = {}
        self.commands: list[tuple[str, float]] = []
        self.closed = 0

    def write(self, path, data):
        self.wrote[path] = data

    def run(self, command, *, timeout, cwd=""):
        self.commands.append((command, timeout))
        return Result(exit_code=self.code, output="", timed_out=self.late)

    def read(self, path, *, limit=0):
        if path not in self.files:
            raise FileNotFoundError(path)
        if isinstance(self.files[path], Exception):
            raise self.files[path]
        return self.files[path]

    def close(self):
        self.closed += 1
        if self.closed > 1:
            raise Lost("gone")


class Simple(ScriptedGrader):
    answers = ("tests",)
    outcome: Any = "resolved"

    def plan(self, instance, key):
        return EvaluationPlan("run it", {"/t": b"tests"}, ("/out", "/none"))

    def judgement(self, instance, key, output):
        self.output = output
        return PatchJudgement(self.outcome, "why", {"of": key["tests"]})

    def require_usable(self, instance_id, key):
        if key["tests"] == "bad":
            raise GradingError("no tests")


def simple(tmp_path, box, network=(), rows=None, **more):
    opened = []

    @contextmanager
    def open_box(instance, *, network):
        opened.append((instance, network))
        yield box

    made = rows or [{"instance_id": "o__r-1", "tests": "t"}]
    asked = []

    def read(columns):
        asked.append(tuple(columns))
        return made

    context = GradingContext(
        label="rows", path=tmp_path / "none", rows=read, folder=tmp_path / "graded", timeout=7.0,
        sandbox="docker", open=open_box, network=network, code="", **more,
    )  # fmt: skip
    grader = Simple(context)
    return grader, opened, asked


def test_an_evaluation_writes_its_files_runs_its_script_and_keeps_its_log(tmp_path):
    box = Box(files={"/out": b"read"})
    grader, opened, asked = simple(tmp_path, box)
    made = grader.grade(ONE, "the patch")
    folder = tmp_path / "graded" / ONE.id / patch_digest("the patch")[:16]
    assert (made.outcome, made.patch) == ("resolved", patch_digest("the patch"))
    assert made.evidence == {"reason": "why", "of": "t", "log": str(folder / "test_output.txt")}
    assert box.wrote == {PATCH: b"the patch", "/t": b"tests", SCRIPT: b"run it"}
    assert box.commands == [(f"bash {SCRIPT} > {evaluation.LOG} 2>&1", 7.0)]
    assert grader.output == EvaluationOutput(0, "printed", {"/out": "read"})
    assert (opened[0][0].setup, opened[0][1]) == ("", False)
    assert (folder / "patch.diff").read_text() == "the patch"
    assert (folder / "evaluate.sh").read_text() == "run it"
    assert (folder / "test_output.txt").read_text() == "printed"
    assert grader.grade(ONE, "the patch") == made
    assert len(box.commands) == 1, "this very patch was judged before"
    assert asked == [("instance_id", "tests")], "the answer key is read once"
    box.identity = "image-2"
    grader.grade(ONE, "the patch")
    assert len(box.commands) == 2, "another image"
    (folder / "report.json").write_text("{}")
    grader.grade(ONE, "the patch")
    assert len(box.commands) == 3
    assert grader._open == set()


def test_an_unresolved_verdict_says_that_the_network_was_off_and_an_ungraded_is_not_kept(tmp_path):
    box = Box()
    grader, opened, _ = simple(tmp_path, box)
    grader.outcome = "unresolved"
    assert grader.grade(ONE, "x").evidence["network"] == "off"
    online, opened, _ = simple(tmp_path / "net", Box(), network=("*",))
    online.outcome = "unresolved"
    assert "network" not in online.grade(ONE, "x").evidence
    assert opened[0][1] is True
    grader.outcome = "ungraded"
    assert "network" not in grader.grade(ONE, "y").evidence
    grader.grade(ONE, "y")
    assert len(box.commands) == 3


@pytest.mark.parametrize(
    ("box", "outcome", "reason"),
    [
        (Box(code=PATCH_REFUSED, log="hunk"), "unresolved", "the patch does not apply"),
        (Box(code=BROKEN, log="a\n last \n\n"), "ungraded",
         "the evaluation could not be prepared:  last"),
        (Box(code=BROKEN, log=""), "ungraded", "the evaluation could not be prepared: nothing"),
        (Box(late=True), "ungraded", "timed out after 7 s"),
        (Box(files={evaluation.LOG: FileNotFoundError("log")}), "ungraded",
         "the output cannot be read: log"),
        (Box(files={evaluation.LOG: ValueError("too long")}), "ungraded",
         "the output cannot be read: too long"),
        (Box(files={"/out": ValueError("too long")}), "ungraded",
         "the output cannot be read: too long"),
        (Box(code=1), "resolved", "why"),
    ],
)  # fmt: skip
def test_an_evaluation_that_does_not_come_to_its_end_says_why(tmp_path, box, outcome, reason):
    made = simple(tmp_path, box)[0].grade(ONE, "x")
    assert (made.outcome, made.evidence["reason"].rstrip()) == (outcome, reason)
    assert box.code != PATCH_REFUSED or made.evidence["output"] == "hunk"


def test_instances_without_a_row_or_without_tests_are_refused_before_a_run(tmp_path):
    rows = [{"instance_id": "o__r-1", "tests": "bad", "patch": "p"},
            {"instance_id": "b", "tests": "t", "patch": None}]  # fmt: skip
    grader, _, _ = simple(tmp_path, Box(), rows=rows)
    grader.check(["b"])
    with pytest.raises(UsageError, match="instance 'o__r-1' cannot be graded: no tests"):
        grader.check(["b", "o__r-1"])
    with pytest.raises(UsageError, match="cannot be graded: 'rows' has no row of c"):
        grader.check(["c"])
    assert grader.gold() == {"o__r-1": "p", "b": ""}
    needy = ONE.model_copy(update={"network": ("pypi.org",)})
    assert grader.grade(needy.model_copy(update={"id": "b"}), "x").outcome == "ungraded"
    assert grader.grade(ONE.model_copy(update={"id": "zz"}), "x").outcome == "ungraded"


def test_closing_a_grader_closes_the_sandboxes_in_use(tmp_path):
    box = Box()
    grader, _, _ = simple(tmp_path, box)
    with grader.opened(ONE):
        grader.close()
        grader.close()
    grader.close()
    assert box.closed == 2
