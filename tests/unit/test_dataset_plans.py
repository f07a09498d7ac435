"""What each data set's grader carries out, and what it makes of the outputs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swe_router.datasets import GradingContext
from swe_router.errors import GradingError, UsageError
from swe_router.grading import isolated
from swe_router.grading.evaluation import BROKEN, FOLDER, PATCH, PATCH_REFUSED, EvaluationOutput
from swe_router.grading.grade import grade_patches, grade_predictions
from swe_router.grading.multi_swe_bench import MultiSwebenchGrader
from swe_router.grading.multi_swe_bench import _row as package_row
from swe_router.grading.own_issue import OwnIssueGrader
from swe_router.grading.predictions import Prediction
from swe_router.grading.swe_gym import SweGymGrader
from swe_router.grading.swe_rebench import SweRebenchGrader, without_time
from swe_router.grading.swe_smith import SweSmithGrader
from swe_router.grading.swebench_live import SwebenchLiveGrader
from swe_router.grading.swebench_pro import RESULT, SwebenchProGrader
from swe_router.records import Grade, Instance

ONE = Instance(id="o__r-1", repo="o/r", base_commit="c0", problem="p", workdir="/w", image="img")
LISTS = {"FAIL_TO_PASS": ["a.py::x"], "PASS_TO_PASS": ["a.py::y"]}
TEST_PATCH = (
    "diff --git a/tests/a b.py b/tests/a b.py\n[case testOne]\ndiff --git a/d.json b/d.json\n"
    "[case testTwo]\n"
)


def grader(kind, tmp_path, code="", rows=()) -> Any:
    return kind(GradingContext(
        label="rows", path=tmp_path, rows=lambda columns: rows, folder=tmp_path / "g", timeout=5.0,
        sandbox="docker", open=None, network=(), code=code,
    ))  # fmt: skip


def judged(made, key, printed, path=None, instance=ONE):
    plan = made.plan(instance, key)
    output = EvaluationOutput(0, "", {path or plan.outputs[0]: printed})
    found = made.judgement(instance, key, output)
    return found.outcome, found.reason


RESOLVED = ("resolved", "all tests that must pass did")
FAILED = ("unresolved", "tests failed that must pass")
UNREAD = ("unresolved", "the tests left no result that could be read")


def test_gym_puts_patch_and_tests_in_and_calls_the_project_s_command(tmp_path):
    made = grader(SweGymGrader, tmp_path)
    key = {"repo": "Iterative/DVC", "test_patch": TEST_PATCH, **LISTS}
    plan = made.plan(ONE, key)
    lines = plan.script.splitlines()
    assert lines[1] == f"cd /w || exit {BROKEN}"
    assert lines[2].endswith(f"-i {PATCH} || exit {PATCH_REFUSED}")
    assert "for file in 'tests/a b.py' d.json; do git checkout -q c0 --" in plan.script
    assert "( pytest -rA 'tests/a b.py'\n) > " in plan.script
    assert plan.files == {f"{FOLDER}/test.patch": TEST_PATCH.encode()}
    assert lines[-1] == "exit 0"
    mypy = made.plan(ONE, {**key, "repo": "python/mypy"})
    assert "( pytest -n0 -rA -k 'testOne or testTwo'\n) > " in mypy.script
    made.require_usable("i", key)
    for repo in ("o/r", None):
        with pytest.raises(GradingError, match="is no project of SWE-Gym"):
            made.require_usable("i", {**key, "repo": repo})
    assert judged(made, key, "PASSED a.py::x\nPASSED a.py::y") == RESOLVED
    assert judged(made, key, "PASSED a.py::x") == FAILED
    assert judged(made, key, "") == UNREAD


def test_rebench_runs_the_row_s_commands_and_compares_names_without_durations(tmp_path):
    made = grader(SweRebenchGrader, tmp_path)
    config = {"test_cmd": ["one", " ", "two"], "log_parser": "pytest"}
    key = {"install_config": config, "test_patch": "t", "FAIL_TO_PASS": ["a.py::x (3 ms)"],
           "PASS_TO_PASS": ["a.py::y in 2.5 sec"]}  # fmt: skip
    plan = made.plan(ONE, key)
    assert "( set -e\none\ntwo\n) > " in plan.script
    assert f"git reset -q --hard HEAD || exit {BROKEN}" in plan.script
    assert plan.script.count(f"|| exit {PATCH_REFUSED}") == 2
    assert [*made.plan(ONE, {**key, "test_patch": None}).files.values()] == [b""]
    assert judged(made, key, "PASSED a.py::x\nPASSED a.py::y") == RESOLVED
    assert judged(made, key, "PASSED a.py::x\nFAILED a.py::y") == FAILED
    for changes, fault in (
        ({"install_config": None}, "the row has no install_config$"),
        ({"install_config": {**config, "test_cmd": [" "]}}, "has no install_config.test_cmd"),
        ({"install_config": {**config, "log_parser": None}}, "has no install_config.log_parser"),
        ({"install_config": {**config, "log_parser": "own"}}, "its log parser 'own' is in the dat"),
    ):
        with pytest.raises(GradingError, match=fault):
            made.require_usable("i", {**key, **changes})
    own = {**key, "install_config": {**config, "log_parser": "own"}}
    empty = grader(SweRebenchGrader, tmp_path, code=str(tmp_path))
    with pytest.raises(GradingError, match="its log parser 'own'"):
        empty.require_usable("i", own)
    folder = tmp_path / "lib" / "agent"
    folder.mkdir(parents=True)
    (tmp_path / "helper.py").write_text("GOOD = 'PASSED'\n")
    (folder / "log_parsers.py").write_text(
        "import helper\ndef read_it(log):\n    return {n: helper.GOOD for n in log.split()}\n"
        "NAME_TO_PARSER = {'own': read_it}\n"
    )
    assert judged(empty, own, "a.py::x a.py::y") == RESOLVED
    by_name = {**key, "install_config": {**config, "log_parser": "read_it"}}
    assert judged(empty, by_name, "a.py::x") == FAILED
    names = {"a [ 12 ms ]": "a", "b (1.5 s)": "b", "c in 3 msec": "c", "d(x)": "d(x)", " e ": "e"}
    assert {name: without_time(name) for name in names} == names


def test_pro_takes_its_scripts_from_the_row_or_from_a_copy_of_its_repository(tmp_path):
    made = grader(SwebenchProGrader, tmp_path)
    key = {
        "fail_to_pass": ["x"], "pass_to_pass": ["y"], "selected_test_files_to_run": "['a b', 'c']",
        "before_repo_set_cmd": "git reset\ngit clean\nthe last\n", "run_script": "run",
        "parser": "parse",
    }  # fmt: skip
    plan = made.plan(ONE, key)
    lines = plan.script.splitlines()
    assert lines[5] == "the last"
    assert "run_script.sh 'a b,c' > " in lines[6]
    assert plan.files["/workspace/parser.py"] == b"parse"
    assert made.plan(ONE, {**key, "before_repo_set_cmd": None}).script.splitlines()[5] == ""

    def result(**found):
        rows = [{"name": name, "status": status} for name, status in found.items()]
        return json.dumps({"tests": rows})

    assert judged(made, key, result(x="PASSED", y="PASSED")) == RESOLVED
    assert judged(made, key, result(x="PASSED", y="FAILED")) == FAILED
    for text in ("{", "{}", '{"tests": [{}]}', '{"tests": 3}'):
        with pytest.raises(GradingError, match="parser wrote no test results"):
            judged(made, key, text)
    with pytest.raises(GradingError, match=r"the data set's parser wrote no result$"):
        made.judgement(ONE, key, EvaluationOutput(0, "", {}))
    bare = {**key, "run_script": "", "parser": None}
    with pytest.raises(GradingError, match=r"its run_script\.sh is in the data set's repository"):
        made.require_usable(ONE.id, bare)
    folder = tmp_path / "run_scripts" / ONE.id
    folder.mkdir(parents=True)
    (folder / "run_script.sh").write_text("from the copy")
    copied = grader(SwebenchProGrader, tmp_path, code=str(tmp_path))
    with pytest.raises(GradingError, match=r"its parser\.py is in the data set's repository"):
        copied.require_usable(ONE.id, bare)
    (folder / "parser.py").write_text("its parser")
    assert copied.plan(ONE, bare).files["/workspace/run_script.sh"] == b"from the copy"
    assert RESULT in plan.outputs
    text = "diff --git a/x b/x\n+1\n"
    binary = "diff --git a/y b/y\nGIT binary patch\nx\ndiff --git a/z b/z\nBinary files a differ\n"
    assert made.evaluated_patch(text + binary) == text


def test_live_prints_what_the_row_prints_or_what_the_tests_print(tmp_path):
    made = grader(SwebenchLiveGrader, tmp_path)
    key = {"test_cmds": ["t1", "t2"], "print_cmds": None, "rebuild_cmds": ["b1", "b2"],
           "test_patch": "p", "log_parser": "pytest", **LISTS}  # fmt: skip
    script = made.plan(ONE, key).script
    assert "( t1 ; t2\n) > " in script
    assert "\nb1 ; b2\n" in script
    printing = made.plan(ONE, {**key, "print_cmds": ["show", "it"]}).script
    assert "( t1 ; t2\n)\n( show ; it\n) > " in printing
    assert judged(made, key, "PASSED a.py::x") == RESOLVED, "y was not run"
    assert judged(made, key, "PASSED a.py::y") == FAILED
    own = {**key, "log_parser": "def parser(log):\n    return {'a.py::x': log.strip()}"}
    assert judged(made, own, "pass") == RESOLVED
    assert judged(made, {**own, "log_parser": None, "parser": own["log_parser"]}, "fail") == FAILED
    assert judged(made, {**key, "log_parser": None}, "PASSED a.py::x") == RESOLVED
    with pytest.raises(GradingError, match="the row has no test_cmds"):
        made.require_usable("i", {**key, "test_cmds": []})


def test_smith_makes_the_bug_first_and_takes_its_reverse_for_gold(tmp_path):
    made = grader(SweSmithGrader, tmp_path)
    bug = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-good\n+bad\n"
    key = {"patch": bug, "test_cmd": None, **LISTS}
    named = ONE.model_copy(update={"id": "o__r.12345678.kind__1"})
    script = made.plan(named, key).script
    assert f"git apply {FOLDER}/bug.patch || exit {BROKEN}" in script
    assert "git checkout -q HEAD -- a.py 2>/dev/null" in script
    assert "conda activate testbed" in script
    assert "--verbose" in script
    own = made.plan(named, {**key, "test_cmd": "make check"}).script
    assert "( make check" in own
    assert made.gold_patch(key).endswith("+good\n-bad\n")
    assert made.gold_patch({}) == ""
    assert judged(made, key, "a.py::x PASSED", instance=named) == RESOLVED
    assert judged(made, key, "a.py::x FAILED", instance=named) == FAILED
    with pytest.raises(GradingError, match="is a profile of the swesmith package"):
        made.require_usable(named.id, {**key, "FAIL_TO_PASS": ["TestGo"]})


def test_one_s_own_command_must_succeed_with_the_patch(tmp_path):
    made = grader(OwnIssueGrader, tmp_path)
    key = {"test_command": " make test \n"}
    plan = made.plan(ONE, key)
    assert plan.files == {f"{FOLDER}/test-command.sh": b"make test"}
    assert plan.script.count("bash ") == 2
    assert f"|| exit {BROKEN}" in plan.script.splitlines()[2]
    bare = made.plan(ONE.model_copy(update={"image": ""}), key).script
    assert bare.splitlines()[2] == ""
    for none in (None, "  "):
        with pytest.raises(GradingError, match="no test command was given"):
            made.plan(ONE, {"test_command": none})

    def after(before, code):
        outputs = dict(zip(plan.outputs, (before, code), strict=True))
        return made.judgement(ONE, key, EvaluationOutput(0, "", outputs))

    good = after("1\n", "0\n")
    assert (good.outcome, good.reason) == (
        "resolved", "the test command succeeds with the patch"
    )  # fmt: skip
    assert good.evidence == {"exit_before": "1", "exit_after": "0"}
    assert "does not show the fix" in after("0", "0").evidence["doubt"][0]
    bad = after("0", "2")
    assert (bad.outcome, bad.reason) == ("unresolved", "the test command ended with exit 2")
    assert "doubt" not in bad.evidence
    for code, shown in (("", "unknown"), ("127", "127"), ("126", "126")):
        with pytest.raises(GradingError, match=rf"could not be started \(exit {shown}\)"):
            after("0", code)
    assert made.gold_patch(key) == ""


class Answering(MultiSwebenchGrader):
    """The package's answers, written down."""

    answer: Any = None

    def _call_package(self, function, *arguments):
        return ["bash /run.sh", "/fix.patch"] if function == "commands" else self.answer


def test_multi_runs_the_image_s_own_script_and_reads_its_package_s_report(tmp_path):
    made = grader(Answering, tmp_path)
    assert made.identifier({"instance_id": "own"}) == "own"
    row = {"org": "o", "repo": "r", "number": 3}
    assert made.identifier(row) == made.identifier({**row, "instance_id": ""}) == "o__r-3"
    script = made.plan(ONE, {}).script
    assert f"cp {PATCH} /fix.patch\n( bash /run.sh\n) > " in script
    counts = {"p2p_tests": 2, "f2p_tests": 1, "s2p_tests": 0, "n2p_tests": 1}
    failed = {"p2p_tests": ["x"], "f2p_tests": [], "s2p_tests": [], "n2p_tests": []}
    report = {"resolved": True, "error": "", "failed": failed, "listed": counts, "read": 4}

    def verdict(**changes):
        made.answer = {**report, **changes}
        return made.judgement(ONE, {}, EvaluationOutput(0, "", {}))

    good = verdict()
    assert (good.outcome, good.reason) == RESOLVED
    assert good.evidence == {
        "pass_to_pass": {"passed": 1, "failed": ["x"]}, "fail_to_pass": {"passed": 1, "failed": []},
        "n2p_tests": {"passed": 1, "failed": []},
    }  # fmt: skip
    bad = verdict(resolved=False)
    assert (bad.outcome, bad.reason) == ("unresolved", "tests failed")
    assert verdict(resolved=False, error="first\nsecond").reason == "first"
    assert (verdict(read=0).outcome, verdict(read=0).reason) == UNREAD
    assert made.gold_patch({"fix_patch": "p"}) == "p"
    assert made.gold_patch({"fix_patch": None}) == ""
    cleaned = package_row({"a": 1, "b": None, "p2p_tests": {"x": {}, "y": None}})
    assert cleaned == {"a": 1, "p2p_tests": {"x": {}}, "f2p_tests": {}, "s2p_tests": {},
                       "n2p_tests": {}, "fixed_tests": {}}  # fmt: skip


def test_text_of_a_data_set_is_called_without_this_environment(tmp_path):
    code = "import os, sys\ndef f(*a):\n    "
    code += "return [sorted(os.environ), os.listdir('.'), a, sys.path[0]]"
    names, files, arguments, path = isolated.call_isolated(code, "f", 1, "ä", path=str(tmp_path))
    assert set(names) <= {"HOME", "PYTHONIOENCODING", "LC_CTYPE"}
    assert (files, arguments, path) == ([], [1, "ä"], str(tmp_path))
    assert "" not in isolated.call_isolated(code, "f")[3:4]
    with pytest.raises(GradingError, match=r"f\(\) of the data set failed: ZeroDivisionError"):
        isolated.call_isolated("def f():\n    return 1 / 0", "f")
    with pytest.raises(GradingError, match=r"f\(\) of the data set wrote no JSON"):
        isolated.call_isolated("import os\ndef f():\n    os._exit(0)", "f")


class Judge:
    answers = ()

    def __init__(self):
        self.closed = 0
        self.checked: list[tuple[str, ...]] = []

    def grade(self, instance, patch):
        if patch == "+break":
            raise ValueError("odd")
        if patch == "+usage":
            raise UsageError("not so")
        return Grade(instance_id=instance.id, outcome="resolved", patch="p", run="other")

    def check(self, instances):
        self.checked.append(tuple(instances))

    def close(self):
        self.closed += 1


def test_every_patch_has_a_verdict_in_the_order_given():
    one, two, three = (
        Prediction(instance_id="o__r-1", patch=text) for text in ("+a", " \n", "+break")
    )
    judge, told = Judge(), []
    found = grade_patches([one, two, three], {"o__r-1": ONE}, judge, run="r", progress=told.append)
    assert list(found) == [("o__r-1", item.digest) for item in (one, two, three)]
    assert [grade.outcome for grade in found.values()] == ["resolved", "unresolved", "ungraded"]
    assert {grade.run for grade in found.values()} == {"r"}
    reasons = [grade.evidence.get("reason") for grade in found.values()]
    assert reasons == [None, "empty patch", "the evaluation broke: ValueError: odd"]
    assert (judge.closed, judge.checked) == (1, [("o__r-1",)])
    assert len(told) == 3
    assert told[0].evidence["reason"] == "empty patch"
    by_id = grade_predictions([one], {"o__r-1": ONE}, Judge(), workers=0)
    assert by_id["o__r-1"].outcome == "resolved"
    broken = Judge()
    with pytest.raises(UsageError, match="not so"):
        grade_patches([one.model_copy(update={"patch": "+usage"})], {"o__r-1": ONE}, broken)
    assert broken.closed == 1
