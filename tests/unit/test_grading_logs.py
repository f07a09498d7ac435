"""What a log and a report are worth: closing lines, records of single tests, doubts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from swe_router.grading import (
    evidence,
    hidden,
    official,
    own_record,
    runner,
)
from swe_router.grading.evidence import END, START, HarnessVerdict, grade_of_report
from swe_router.records import Grade
from tests.doubles.gold import gold

# What a runner says of itself.


def test_a_closing_line_says_how_many_tests_ran_and_did_not_fail():
    count = own_record.count_closing_lines
    assert count("=== 3 failed, 2 passed, 1 skipped in 0.12s ===") == [3]
    assert count("4 passed, 1 warning in 3 s\n2 xfailed, 1 xpassed in 1.5s") == [4, 3]
    assert count("Ran 7 tests in 0.1s\nRan 1 test in 2s")[-2:] == [7, 1]
    assert count("tests finished: 5 passed, 2 skipped, 1 expected to fail, in 3 s")[-1] == 8
    assert count("Results (1.50s):\n       3 passed\n       1 failed\n") == [3]
    assert count("nothing") == []
    assert own_record.has_test_list("==== short test summary info ====")
    assert own_record.has_test_list("a.py . [100%]")
    assert not own_record.has_test_list("[ 99%]")


def test_a_record_holds_each_test_with_the_line_that_says_so():
    log = """PASSED a.py::x[1 2]
FAILED a.py::y - assert 1
a.py::z XFAIL (why) [ 50%]
a.py::w FAILED [100%]
SUBFAIL a.py::TestA::s - oops
test_ok (m.C) ... ok
======================================================================
FAIL: test_bad (m.C)
Its own words
----------------------------------------------------------------------
test_sym ok
test_f F
"""
    record = own_record.read_own_record(log)
    assert record.passed == {
        "a.py::x[1 2]": "PASSED a.py::x[1 2]", "a.py::x[1": "PASSED a.py::x[1 2]",
        "a.py::z": "a.py::z XFAIL (why) [ 50%]", "test_ok (m.C)": "test_ok (m.C) ... ok",
        "test_sym": "test_sym ok",
    }  # fmt: skip
    assert record.failed == {
        "a.py::y": "FAILED a.py::y - assert 1", "a.py::w": "a.py::w FAILED [100%]",
        "a.py::TestA::s": "SUBFAIL a.py::TestA::s - oops",
        "test_bad (m.C)": "FAIL: test_bad (m.C)", "Its own words": "FAIL: test_bad (m.C)",
        "test_f": "test_f F",
    }  # fmt: skip


def doubts(log, success=(), failure=(), **changes):
    found = {"FAIL_TO_PASS": {"success": list(success), "failure": list(failure)}}
    return own_record.find_doubts(gold(**changes), log, found)


def test_a_record_that_contradicts_the_verdict_is_a_doubt():
    log = "PASSED a.py::x\nFAILED a.py::y\n"
    assert doubts(log, ["a.py::x"], ["a.py::y"]) == []
    assert doubts(log, ["a.py::y"]) == ["a.py::y counts as passed; the runner says: FAILED a.py::y"]
    assert doubts(log, (), ["a.py::x"]) == [
        "a.py::x counts as failed; the runner says: PASSED a.py::x"
    ]
    assert doubts(f"{log}FAILED a.py::x\n", (), ["a.py::x"]) == []
    assert doubts(log, ["a.py::z"]) == []
    silent = ["a.py::z counts as passed; the runner says nothing of it"]
    assert doubts(log, ["a.py::z"], eval_type="fail_only") == silent
    assert doubts("FAILED a.py::y", ["a.py::z"], eval_type="fail_only") == []
    assert doubts(log, (), ["a.py::z"], eval_type="fail_only") == []
    none = doubts(log, fail_to_pass=(), pass_to_pass=())
    assert none[0].endswith("no test that must stay passing: any patch would be resolved")
    some = doubts(log, fail_to_pass=())
    assert some[0].endswith("start to pass: a patch that changes nothing would be resolved")
    many = "".join(f"FAILED a.py::t{n}\n" for n in range(22))
    told = doubts(many, [f"a.py::t{n}" for n in range(22)])
    assert (len(told), told[-1]) == (21, "and 2 more")
    assert len(doubts(many, [f"a.py::t{n}" for n in range(20)])) == 20


# The harness's report.

GOOD = f"{START}\n>>>>> Test Exit Code: 0\n=== 2 passed in 1s ===\n{END}\n"


def graded(tmp_path, report, log=GOOD, **changes) -> Grade:
    file = tmp_path / "log"
    if log is not None:
        file.write_text(log)
    return grade_of_report(HarnessVerdict(gold(**changes), "d", file), report)


def report(**fields):
    tests = {"FAIL_TO_PASS": {"success": ["a::x"], "failure": []},
             "PASS_TO_PASS": {"success": ["a::y"], "failure": ["a::z"]}}  # fmt: skip
    made = {"patch_successfully_applied": True, "resolved": True, "tests_status": tests}
    return {"o__r-1": {**made, **fields}}


def test_a_grade_follows_the_report_where_the_log_bears_it_out(tmp_path):
    made = graded(tmp_path, report())
    assert (made.outcome, made.evidence["reason"]) == ("resolved", "all tests that must pass did")
    assert made.evidence["fail_to_pass"] == {"passed": 1, "failed": []}
    assert made.evidence["pass_to_pass"] == {"passed": 1, "failed": ["a::z"]}
    assert (made.evidence["log"], made.patch) == (str(tmp_path / "log"), "d")
    assert "doubt" not in made.evidence
    failed = graded(tmp_path, report(resolved=False))
    assert (failed.outcome, failed.evidence["reason"]) == (
        "unresolved", "tests failed that must pass"
    )  # fmt: skip
    for odd in (None, [], {}, {"other": {}}, {"o__r-1": 3}):
        assert graded(tmp_path, odd).evidence["reason"] == (
            "the harness wrote a report without this instance"
        )
    infra = graded(tmp_path, report(infra_failure=True, infra_failure_reason="no disk"))
    assert (infra.outcome, infra.evidence["reason"]) == (
        "ungraded", "the environment failed: no disk"
    )  # fmt: skip
    doubted = graded(tmp_path, report(), GOOD + "FAILED a::x\n")
    assert doubted.evidence["doubt"] == ["a::x counts as passed; the runner says: FAILED a::x"]
    unread = report(patch_successfully_applied=False, resolved=False)
    assert "doubt" not in graded(tmp_path, unread, GOOD + "FAILED a::x\n").evidence
    assert graded(tmp_path, report(tests_status=None)).evidence["fail_to_pass"]["passed"] == 0


@pytest.mark.parametrize(
    ("log", "outcome", "reason"),
    [
        ("bash: no\n\n  x  \n \n", "ungraded",
         "the tests were never started; the script last printed: x"),
        ("", "ungraded", "the tests were never started; the script last printed: nothing"),
        (f"{START}\n>>>>> Test Exit Code: 127\n", "ungraded",
         "the test command could not be started"),
        (f"{START}\n>>>>> Test Exit Code: 1\n", "unresolved",
         "the tests left no result that could be read"),
    ],
)  # fmt: skip
def test_tests_of_which_nothing_was_read_were_not_started_or_left_nothing(
    tmp_path, log, outcome, reason
):
    made = graded(tmp_path, report(patch_successfully_applied=False, resolved=False), log)
    assert (made.outcome, made.evidence["reason"]) == (outcome, reason)


CLOSED = "2 passed in 1s"


@pytest.mark.parametrize(
    ("log", "changes", "found"),
    [
        (f"{START} {END} >>>>> Test Exit Code: 0\n{CLOSED}", {}, None),
        (f"{START} {START} {END} >>>>> Test Exit Code: 0\n{CLOSED}", {}, "marker more often"),
        (f"{START} {END}\n{CLOSED}", {}, "the exit status of the tests is missing"),
        (f"{START} >>>>> Test Exit Code: 0 >>>>> Test Exit Code: 0 {END}\n{CLOSED}", {}, None),
        (f">>>>> Test Exit Code: 0 >>>>> Test Exit Code: 1\n{CLOSED}", {}, "more than one exit"),
        (">>>>> Test Exit Code: 0\n" * 3 + CLOSED, {}, "more than one exit"),
        (">>>>> Test Exit Code: 0", {}, "did not write its closing line"),
        (">>>>> Test Exit Code: 0", {"log_parser": "parse_log_jest"}, None),
        (">>>>> Test Exit Code: 0\nRan 1 test in 1s", {"log_parser": "parse_log_django"}, None),
        (">>>>> Test Exit Code: 0\nRan 0 tests in 1s", {"log_parser": "parse_log_django"},
         "the test runner ran no test"),
        (">>>>> Test Exit Code: 0\n1 passed in 1s", {},
         "2 tests are reported as passed, but only 1 were run"),
        (">>>>> Test Exit Code: 0\n1 passed in 1s", {"pass_to_pass": ("b::y",)}, None),
        (">>>>> Test Exit Code: 0\na::x PASSED\na::y PASSED [100%]", {}, None),
        (">>>>> Test Exit Code: 1\na::x PASSED\na::y PASSED [100%]", {}, "closing line"),
        (">>>>> Test Exit Code: 0\na::x PASSED [100%]", {}, "closing line"),
    ],
)  # fmt: skip
def test_a_log_that_reads_as_resolved_is_evidence_or_says_why_not(log, changes, found):
    doubts = evidence.doubts_of(gold(**changes), log)
    assert len(doubts) == (found is not None), doubts
    assert found is None or found in doubts[0]


def test_a_marker_that_is_echoed_shows_twice():
    script = f"set -x\necho '{START}'\n: '{END}'"
    assert [evidence._shown(script, mark) for mark in (START, END)] == [2, 1]
    log = f"{START} {START} {END} >>>>> Test Exit Code: 0\n{CLOSED}"
    assert evidence.doubts_of(gold(eval_script=script), log) == []


def kept(outcome, dataset="swe-bench", **shown):
    return evidence.follows_from_counts(
        Grade(instance_id="i", outcome=outcome, evidence=shown), dataset
    )


def count(passed, failed=()):
    return {"passed": passed, "failed": list(failed)}


def test_a_kept_verdict_follows_from_the_counts_that_are_kept_with_it():
    good = {"fail_to_pass": count(1), "pass_to_pass": count(0)}
    bad = {"fail_to_pass": count(1), "pass_to_pass": count(1, ["x"])}
    bare = {"fail_to_pass": count(0), "pass_to_pass": count(0)}
    name = evidence.DATASET
    assert kept("resolved", name, **good)
    assert not kept("unresolved", name, **good)
    assert kept("unresolved", name, **bad)
    assert not kept("resolved", name, **bad)
    assert not kept("resolved", name)
    assert kept("unresolved", name)
    assert kept("ungraded", name, **good)
    assert not kept("resolved", name, **bare)
    assert kept("resolved", name, **bare, doubt=["x"])
    assert kept("unresolved", name, **bare)
    other = "another"
    assert kept("resolved", other, **good)
    assert not kept("resolved", other, **bad)
    assert not kept("resolved", other, reward=0.5)
    assert kept("resolved", other, reward=1)
    assert not kept("resolved", other, exit_after="1")
    assert kept("resolved", other, exit_after="0")
    assert kept("unresolved", other, **good)


# What leaves the room of an evaluation script, and what tests are hidden.


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("pytest -rA tests/test_a.py", "pytest -rA"),
        ("A=1 PYTHONWARNINGS=ignore::UserWarning,ignore::SyntaxWarning bin/test -C x",
         "sympy-test PYTHONWARNINGS=ignore::UserWarning,ignore::SyntaxWarning -C"),
        ("python3.9 -m pytest -x a", "python -m pytest -x"),
        ("python -m secret a", ""),
        ("python setup.py test", ""),
        ("tox -epy39 -- pytest x -v", "tox pytest -epy39 -v"),
        ("./tests/runtests.py --verbosity 2 forms", "django-runtests --verbosity 2"),
        ("echo pytest", ""),
        ("'open", ""),
        ("", ""),
        ("A=1", ""),
        ("./mvnw test -Dtest=Secret", "mvnw test"),
    ],
)  # fmt: skip
def test_of_a_test_command_only_known_words_are_told(line, command):
    made = gold(eval_script=f": '{START}'\n{line}\n{line}\n: '{END}'\npytest -v")
    assert runner.runner_command_of(made) == command


def test_hidden_tests_are_those_that_the_test_patch_adds_and_the_row_lists():
    patch = (
        "+def test_x(self):\n-def test_m():\n+def test_m():\n+async def test_y():\n+func TestG(t)\n"
    )
    listed = ("t.py::C::test_x[1]", "test_m", "test_y (m.C)", "a.go::TestG", "test_z")
    found = hidden.new_tests(gold(test_patch=patch, fail_to_pass=listed))
    assert found == {"test_x", "test_y", "TestG"}


# The harness in Docker, without its report.


def without_report(tmp_path, run_log, harness_log, fault=""):
    (tmp_path / "run_instance.log").write_text(run_log)
    (tmp_path / "harness.log").write_text(harness_log)
    place: Any = SimpleNamespace(
        folder=tmp_path, judged=HarnessVerdict(gold(), "d", tmp_path / "none")
    )
    made = official._without_report(place, tmp_path / "harness.log", fault)
    return made.outcome, made.evidence["reason"], made


def test_without_a_report_the_patch_or_nobody_is_at_fault(tmp_path):
    refused = f"x\n{evidence.NOT_APPLIED}\nhunk 1"
    outcome, reason, made = without_report(tmp_path, refused, "")
    assert (outcome, reason, made.evidence["output"]) == (
        "unresolved", "the patch does not apply", "hunk 1"
    )  # fmt: skip
    assert without_report(tmp_path, refused, "No space left on device")[0] == "ungraded"
    told = [
        without_report(tmp_path, "one\n", text, "late; ")[:2]
        for text in (
            "ValueError: x\nlast",
            "it timed out\nlast",
            "image not found\nlast",
            "last\n \n",
            "",
        )
    ]
    reasons = ("ValueError: x", "it timed out", "image not found", "last", "one")
    assert told == [("ungraded", f"late; {one}") for one in reasons]
    empty = without_report(tmp_path, "", " ")
    assert empty[1] == "the harness printed nothing"
    assert empty[2].evidence["harness_log"] == str(tmp_path / "harness.log")
    assert len(without_report(tmp_path, "", "Error" * 200)[1]) == 400
