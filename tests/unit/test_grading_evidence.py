"""A report of the harness becomes a grade: resolved only where the log bears it out."""

from __future__ import annotations

import pytest

from swe_router.grading.evidence import Judged, doubts_of, from_report
from swe_router.grading.gold import Gold

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
    return from_report(Judged(gold(**changes), "digest", tmp_path / "log"), said)


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


def test_a_row_without_tests_can_never_be_resolved(tmp_path):
    made = grade(tmp_path, report(), log(), fail_to_pass=(), pass_to_pass=())
    assert made.outcome == "ungraded"
    assert "no test that must pass" in made.evidence["reason"]


@pytest.mark.parametrize(
    ("parser", "closing"),
    [
        ("parse_log_pytest", "=== 2 passed in 0.12 seconds ===\n"),
        ("parse_log_pytest_v2", "2 passed in 62.10s (0:01:02)\n"),
        ("parse_log_sphinx", "= 1 failed, 1 passed, 1 skipped, 7 warnings in 1.5s =\n"),
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
            "never started; the script said last: bash: conda: command not found",
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
