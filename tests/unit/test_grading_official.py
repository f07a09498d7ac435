"""The harness as a child process: verdicts, crashes, hangs, interrupts, by a harness of ours."""

from __future__ import annotations

import json
import re
import sys
import threading
import time

import pytest

from swe_router.errors import UsageError
from swe_router.grading import gold as answer_key
from swe_router.grading.backend import GradingPlace, GradingTask
from swe_router.grading.grade import grade_predictions, predicted
from swe_router.grading.graders import gold_predictions
from swe_router.grading.official import OfficialBackend
from swe_router.grading.predictions import Prediction
from swe_router.instances import splits
from tests.doubles.grading import grading

HARNESS = '''
import json, pathlib, sys, time
o = dict(zip(sys.argv[1::2], sys.argv[2::2]))
[row] = json.load(open(o["--dataset_name"]))
[pred] = json.load(open(o["--predictions_path"]))
folder = pathlib.Path("logs/run_evaluation", o["--run_id"], pred["model_name_or_path"])
folder = folder / row["instance_id"]
folder.mkdir(parents=True)
with open(o["--report_dir"] + "/../../../calls", "a") as f:
    f.write(o["--run_id"] + "\\n")
patch, log = pred["model_patch"], folder / "run_instance.log"
report = {"patch_successfully_applied": True, "resolved": "+good" in patch}
text = """+ : '>>>>> Start Test Output'
PASSED t.py::a
= 1 passed in 0.1s =
+ : '>>>>> End Test Output'
+ echo '>>>>> Test Exit Code: 0'
>>>>> Test Exit Code: 0
"""
if "+hang" in patch:
    pathlib.Path("hanging").touch()
    time.sleep(600)
if "+crash" in patch:
    raise RuntimeError("the harness fell over")
if "+missing" in patch:
    print("Error in evaluation for x: Image img:1 not found for x")
elif "+noapply" in patch:
    log.write_text(">>>>> Patch Apply Failed:\\nerror: x: does not match index")
elif "+slow" in patch:
    log.write_text("EvaluationError: Test timed out after 5 seconds.")
else:
    (folder / "test_output.txt").write_text(text)
    (folder / "report.json").write_text(json.dumps({row["instance_id"]: report}))
'''


def patch(word: str) -> str:
    return f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+{word}\n"


@pytest.fixture
def split(tmp_path):
    row = {
        "repo": "o/r",
        "version": "1",
        "base_commit": "c" * 40,
        "problem_statement": "It breaks.",
        "image": "img:1",
        "patch": patch("gold"),
        "test_patch": "",
        "FAIL_TO_PASS": ["t.py::a"],
        "PASS_TO_PASS": [],
        "eval_script": ": '>>>>> Start Test Output'\ntest\n: '>>>>> End Test Output'",
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
    }
    rows = [{**row, "instance_id": f"o__r-{number}"} for number in range(1, 8)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    return str(tmp_path / "rows.json")


@pytest.fixture
def official(tmp_path):
    (tmp_path / "harness.py").write_text(HARNESS)

    def make(**options):
        command = (sys.executable, "-S", str(tmp_path / "harness.py"))
        return OfficialBackend(tmp_path / "work", harness=command, **options)

    return make


def graded(official, split, *words, **options):
    predictions = [
        Prediction(instance_id=f"o__r-{number}", patch=word and patch(word))
        for number, word in enumerate(words, 1)
    ]
    grades = grade_predictions(predictions, *grading(split, official), **options)
    return [(grade.outcome, grade.evidence["reason"]) for grade in grades.values()]


def test_every_prediction_gets_a_verdict_with_its_reason(official, split):
    told = []
    seen = graded(
        official(),
        split,
        *("good", "bad", "", "crash", "missing", "noapply", "slow"),
        progress=told.append,
    )
    assert seen == [
        ("resolved", "all tests that must pass did"),
        ("unresolved", "tests failed that must pass"),
        ("unresolved", "empty patch"),
        ("ungraded", "RuntimeError: the harness fell over"),
        ("ungraded", "Error in evaluation for x: Image img:1 not found for x"),
        ("unresolved", "the patch does not apply"),
        ("ungraded", "EvaluationError: Test timed out after 5 seconds."),
    ]
    assert len(told) == 7


def test_a_verdict_is_found_again_for_the_same_patch_only(official, split, tmp_path):
    for words in (("good",), ("good",), ("bad",), ("crash",), ("crash",)):
        graded(official(), split, *words)
    calls = (tmp_path / "work" / "calls").read_text().split()
    assert len(calls) == 4
    assert len(set(calls)) == 3


def test_a_verdict_of_other_tests_is_not_taken(official, split, tmp_path):
    graded(official(), split, "good")
    rows = json.loads((tmp_path / "rows.json").read_text())
    rows[0]["FAIL_TO_PASS"] = ["t.py::a", "t.py::b"]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert graded(official(), split, "good")[0][0] == "ungraded"
    assert len((tmp_path / "work" / "calls").read_text().split()) == 2


def test_a_verdict_counts_only_in_the_image_or_sandbox_where_it_was_made(split, tmp_path):
    gold = answer_key.read_gold(split)["o__r-1"]
    task = GradingTask(
        splits.load_instances(split)[0], gold, Prediction(instance_id="o__r-1", patch=patch("x"))
    )
    places = [GradingPlace(tmp_path, task, where) for where in ("local", "sha256:1", "sha256:2")]
    assert len({place.run_id for place in places}) == 3
    assert all(re.fullmatch(r"[a-z0-9-]+", place.run_id) for place in places)


def test_a_harness_that_hangs_is_stopped_and_nothing_is_graded(official, split):
    for seconds in (0.5, 4.0, 30.0):  # a busy machine may need longer for the good one
        seen = graded(official(timeout=seconds, setup=seconds), split, "hang", "good")
        assert seen[0][0] == "ungraded"
        assert "gave no verdict in time" in seen[0][1]
        if seen[1][0] == "resolved":
            break
    assert seen[1][0] == "resolved"


def test_closing_ends_evaluations_that_run_and_starts_no_other(official, split, tmp_path):
    backend = official()
    seen = []
    thread = threading.Thread(
        target=lambda: seen.extend(graded(backend, split, "hang", "good", workers=1))
    )
    thread.start()
    deadline = time.monotonic() + 120
    while not (tmp_path / "work" / "hanging").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    backend.close()
    thread.join(timeout=120)
    assert not thread.is_alive()
    assert [outcome for outcome, _ in seen] == ["ungraded", "ungraded"]


def test_an_unknown_prediction_is_refused(split):
    with pytest.raises(UsageError, match="no instance 'o__r-11', which is predicted; did you"):
        predicted([Prediction(instance_id="o__r-11")], split)


def test_a_broken_backend_costs_one_verdict_and_not_the_others(split):
    class Backend:
        closed = False

        def grade(self, task):
            raise RuntimeError("no such luck")

        def close(self):
            self.closed = True

    backend = Backend()
    seen = graded(backend, split, "good", "")
    assert seen == [
        ("ungraded", "the evaluation broke: RuntimeError: no such luck"),
        ("unresolved", "empty patch"),
    ]
    assert backend.closed


def test_gold_is_a_set_of_predictions(split):
    assert {one.patch for one in gold_predictions(split)} == {patch("gold")}
