"""A report of the harness becomes a grade: resolved only where the log bears it out."""

from __future__ import annotations

import pytest

from swe_router.grading.evidence import (
    HarnessVerdict,
    doubts_of,
    follows_from_counts,
    grade_of_report,
)
from swe_router.grading.gold import Gold
from swe_router.records import Grade

START, END = "+ : '>>>>> Start Test Output'", "+ : '>>>>> End Test Output'"
EXIT = "+ echo '>>>>> Test Exit Code: {0}'\n>>>>> Test Exit Code: {0}"
PASSED = "PASSED t.py::a\nPASSED t.py::b\n"
SUMMARY = "\x1b[32m===== \x1b[1m2 passed\x1b[0m, 1 warning in 0.12s =====\n"


def gold(**changes) -> Gold:
    fields = {
        "instance_id": "a-1",
        "repo": "o/r",
        "version": "1",
        "base_commit": "c",
        "image": "i",
        "patch": "p",
        "test_patch": "t",
        "fail_to_pass": ("t.py::a",),
        "pass_to_pass": ("t.py::b",),
        "eval_script": ": '>>>>> Start Test Output'\ntest\n: '>>>>> End Test Output'",
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
    }
    return Gold(**{**fields, **changes})


def log(tests=PASSED + SUMMARY, code=0, before="", after=""):
    return f"{before}\n{START}\n{tests}{END}\n{EXIT.format(code)}\n{after}"


def report(**changes):
    return {"a-1": {"patch_successfully_applied": True, "resolved": True, **changes}}


def grade(tmp_path, said, text, **changes):
    (tmp_path / "log").write_text(text)
    return grade_of_report(HarnessVerdict(gold(**changes), "digest", tmp_path / "log"), said)


def test_a_sound_log_is_resolved_with_counts_and_the_place_of_the_log(tmp_path):
    status = {"FAIL_TO_PASS": {"success": ["t.py::a"], "failure": []}}
    made = grade(tmp_path, report(tests_status=status), log())
    assert (made.outcome, made.patch) == ("resolved", "digest")
    assert made.evidence["fail_to_pass"] == {"passed": 1, "failed": []}
    assert made.evidence["log"] == str(tmp_path / "log")


def test_output_that_overtook_the_traced_markers_is_still_evidence(tmp_path):
    made = grade(tmp_path, report(), log(tests="", before=PASSED + SUMMARY))
    assert made.outcome == "resolved"


def test_a_script_that_echoes_its_markers_shows_them_twice(tmp_path):
    script = "echo '>>>>> Start Test Output'\ntest\necho '>>>>> End Test Output'"
    text = log(before=">>>>> Start Test Output", after=">>>>> End Test Output")
    assert grade(tmp_path, report(), text, eval_script=script).outcome == "resolved"


FORGED = {
    "the real lines never came": (log(PASSED), "closing line"),
    "an early end marker": (log(PASSED + SUMMARY + END + "\n"), "marker more often"),
    "a second start marker": (log(before=START), "marker more often"),
    "a second exit status": (log(after=">>>>> Test Exit Code: 0"), "more than one exit status"),
    "another exit status": (log(before=">>>>> Test Exit Code: 1"), "more than one exit status"),
    "no exit status": (log().partition("+ echo")[0], "exit status of the tests is missing"),
    "fewer tests than credited": (log(PASSED + "== 1 passed in 0.1s ==\n"), "only 1 were run"),
    "none passed": (log(PASSED + "== 2 failed in 0.1s ==\n"), "only 0 were run"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_log_that_a_patch_could_have_printed_is_not_resolved(tmp_path, name):
    text, said = FORGED[name]
    made = grade(tmp_path, report(), text)
    assert made.outcome == "ungraded"
    assert said in made.evidence["reason"]


def test_a_row_without_tests_keeps_the_official_word_with_a_doubt_beside_it(tmp_path):
    for lists in ({"fail_to_pass": ()}, {"fail_to_pass": (), "pass_to_pass": ()}):
        made = grade(tmp_path, report(), log(), **lists)
        assert made.outcome == "resolved"
        assert "names no test that must start to pass" in made.evidence["doubt"][0]
        assert follows_from_counts(made)
    assert "doubt" not in grade(tmp_path, report(), log(), pass_to_pass=()).evidence


QUIET = """..                                                                [100%]
=========================== short test summary info ============================
PASSED t.py::a
PASSED t.py::b
"""


def test_no_closing_line_is_no_doubt_where_every_credited_test_has_a_line_of_its_own(tmp_path):
    assert grade(tmp_path, report(), log(QUIET)).outcome == "resolved"
    assert grade(tmp_path, report(), log(QUIET, code=1)).outcome == "ungraded"
    assert grade(tmp_path, report(), log(QUIET.replace("PASSED t.py::b\n", ""))).outcome == (
        "ungraded"
    )


def test_what_several_commands_of_a_script_ran_is_added_up(tmp_path):
    two = "PASSED t.py::a\n1 passed in 0.1s\nPASSED t.py::b\n1 passed, 2 warnings in 0.1s\n"
    assert grade(tmp_path, report(), log(two)).outcome == "resolved"
    more = {"pass_to_pass": ("t.py::b", "t.py::c")}
    assert grade(tmp_path, report(), log(two), **more).outcome == "ungraded"


DJANGO = """test_a (t.C.test_a) ... {}
ok, now it breaks
FAIL
test_b (t.C.test_b) ... ok

======================================================================
FAIL: test_a (t.C.test_a)
----------------------------------------------------------------------
Traceback (most recent call last):
AssertionError: 1 != 2

----------------------------------------------------------------------
Ran 2 tests in 0.001s

FAILED (failures=1)
""".format("")
SUBTEST = DJANGO.replace("FAIL: test_a (t.C.test_a)", "FAIL: test_a (t.C.test_a) [m] (i=1)")
DOCSTRING = DJANGO.replace("FAIL: test_a (t.C.test_a)", "FAIL: test_x (t.C.test_x)\nSays what")
UNITTEST = {"fail_to_pass": ("test_a (t.C.test_a)",), "pass_to_pass": ("test_b (t.C.test_b)",),
            "log_parser": "parse_log_django"}  # fmt: skip
PYTEST_9 = """=========================== short test summary info ============================
PASSED t.py::a
PASSED t.py::b
FAILED t.py::z - AssertionError: assert 0
SUBFAILED[msg] (i=1) t.py::a - AssertionError: 1 == 1
2 failed, 2 passed, 2 subtests passed in 0.10s
"""
SUBTESTS = PYTEST_9.replace("SUBFAILED[msg] (i=1) t.py::a", "SUBFAIL t.py::a [msg] (i=1)")
SYMPY = """sympy/core/tests/test_x.py[2]
test_a ok
test_b ok                                                                   [OK]
================== tests finished: 2 passed, in 0.10 seconds ===================
"""
TWICE = SYMPY.replace("test_a ok", "test_b F\ntest_a ok").replace("2 passed", "2 passed, 1 failed")
BARE = {"fail_to_pass": ("test_a",), "pass_to_pass": ("test_b",), "log_parser": "parse_log_sympy"}
WON = {"FAIL_TO_PASS": {"success": [0]}, "PASS_TO_PASS": {"success": [1]}}
LOST = {"FAIL_TO_PASS": {"success": [0]}, "PASS_TO_PASS": {"failure": [1]}}
DOUBTED = {
    "a Django test that fails and prints ok": (DJANGO, UNITTEST, WON, "test_a (t.C.test_a) counts"),
    "a Django subTest that fails": (SUBTEST, UNITTEST, WON, "(i=1)"),
    "a Django test known by its docstring": (
        DOCSTRING, UNITTEST | {"fail_to_pass": ("Says what",)}, WON, "FAIL: test_x"),
    "a subtest of pytest 9": (PYTEST_9, {}, WON, "SUBFAILED[msg] (i=1) t.py::a"),
    "a subtest of pytest-subtests": (SUBTESTS, {}, WON, "SUBFAIL t.py::a"),
    "sympy's last test of a file": (SYMPY, BARE, LOST, "counts as failed; the runner says: test_b"),
    "sympy's name in two files": (TWICE, BARE, WON, "test_b counts as passed; the runner says"),
    "a failure of a test with a blank in its name": (
        "PASSED t.py::a[x y]\nFAILED t.py::a[x z] - boom\n2 passed, 1 failed in 1s\n",
        {"fail_to_pass": ("t.py::a[x",)}, WON, "FAILED t.py::a[x z]"),
    "a teardown that broke": (
        "ERROR t.py::a - x\nPASSED t.py::a\n2 passed, 1 error in 1s\n", {}, WON, "ERROR t.py::a"),
    "an absent test where absence is let through": (
        "PASSED t.py::a\n2 passed in 1s\n", {"eval_type": "fail_only"}, WON, "nothing of it"),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTED)
def test_where_the_runner_says_other_than_the_verdict_the_verdict_stands_with_a_doubt(
    tmp_path, name
):
    text, changes, lists, said = DOUBTED[name]
    names = [gold(**changes).fail_to_pass[0], gold(**changes).pass_to_pass[0]]
    status = {key: {word: [names[n] for n in numbers] for word, numbers in one.items()}
              for key, one in lists.items()}  # fmt: skip
    won = lists is WON
    made = grade(tmp_path, report(resolved=won, tests_status=status), log(text), **changes)
    assert made.outcome == ("resolved" if won else "unresolved")
    assert said in made.evidence["doubt"][0]
    assert follows_from_counts(made)


@pytest.mark.parametrize(
    ("parser", "closing"),
    [
        ("parse_log_pytest", "=== 2 passed in 0.12 seconds ===\n"),
        ("parse_log_pytest_v2", "2 passed in 62.10s (0:01:02)\n"),
        ("parse_log_sphinx", "= 1 failed, 1 passed, 1 skipped, 7 warnings in 1.5s =\n"),
        ("parse_log_pytest", "== 2 passed, 3 subtests passed in 0.03s ==\n"),
        ("parse_log_pytest", "2 passed, 1 pytest-warnings in 0.12 seconds\n"),
        ("parse_log_pytest", "1 rerun, 2 passed, 1 snapshot updated, 1 error in 3.0s\n"),
        ("parse_log_pytest", "Results (0.12s):\n       2 passed\n         - 1 warning\n"),
        ("parse_log_pytest", "Ran 1 test in 0.1s\n\nOK\nRan 1 test in 0.1s\n\nOK\n"),
        ("parse_log_django", "Ran 12 tests in 0.010s\n\nOK\nRan 0 tests in 0.0s\n\nOK\n"),
        ("parse_log_sympy", "=== tests finished: 1 failed, 3 passed, in 1.07 seconds ===\n"),
        ("parse_log_sympy", "=== 30 passed in 1.07s ===\n"),
        ("parse_log_django", "Ran 12 tests in 0.010s\n\nOK\n"),
        ("parse_log_sympy", "=== tests finished: 30 passed, in 1.07 seconds ===\n"),
        ("parse_log_gotest", ""),
    ],
)
def test_closing_lines_of_the_runners_are_known(parser, closing):
    assert doubts_of(gold(log_parser=parser), log("x\n" + closing)) == []


@pytest.mark.parametrize("parser", ["parse_log_django", "parse_log_sympy"])
def test_a_runner_that_ran_nothing_is_no_evidence(parser):
    text = "Ran 0 tests in 0.000s\ntests finished: 0 passed, in 0 seconds\n"
    assert doubts_of(gold(log_parser=parser), log(text)) != []


@pytest.mark.parametrize(
    ("said", "text", "outcome", "reason"),
    [
        (report(resolved=False), log(), "unresolved", "tests failed that must pass"),
        (
            report(resolved=False, patch_successfully_applied=False),
            log(),
            "unresolved",
            "no result that could be read",
        ),
        (
            report(resolved=False, patch_successfully_applied=False),
            "bash: conda: command not found",
            "ungraded",
            "never started; the script last printed: bash: conda: command not found",
        ),
        (
            report(resolved=False, infra_failure=True, infra_failure_reason="out_of_memory"),
            log(),
            "ungraded",
            "out_of_memory",
        ),
        (
            report(resolved=False, patch_successfully_applied=False),
            log("bash: pytest: command not found\n", code=127),
            "ungraded",
            "could not be started",
        ),
        ({}, log(), "ungraded", "without this instance"),
        ([], log(), "ungraded", "without this instance"),
        (report(resolved="yes"), log(), "unresolved", "tests failed"),
    ],
)
def test_everything_else_is_unresolved_or_blamed_on_the_environment(
    tmp_path, said, text, outcome, reason
):
    made = grade(tmp_path, said, text)
    assert made.outcome == outcome
    assert reason in made.evidence["reason"]


@pytest.mark.parametrize(
    ("evidence", "sound"),
    [
        ({"exit_after": "0"}, True),
        ({"exit_after": "1"}, False),
        ({"reward": 1.0}, True),
        ({"reward": 0.5}, False),
        ({"fail_to_pass": {"passed": 1, "failed": []}}, True),
        ({"fail_to_pass": {"passed": 1, "failed": ["t"]}}, False),
        ({}, True),
    ],
)
def test_a_kept_verdict_of_another_data_set_is_held_against_what_is_kept_with_it(evidence, sound):
    made = Grade(instance_id="i", outcome="resolved", evidence=evidence)
    assert follows_from_counts(made, "own-issue") == sound
    lost = made.model_copy(update={"outcome": "unresolved"})
    assert follows_from_counts(lost, "own-issue"), (
        "a rule of its own may refuse what its tests pass"
    )
