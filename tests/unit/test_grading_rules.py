"""The rules of grading, each by itself: what a log, a report and a row are worth."""

from __future__ import annotations

import pytest

from swe_router.errors import GradingError, UsageError
from swe_router.grading import (
    evaluation,
    statuses,
)
from swe_router.grading.evaluation import (
    BROKEN,
    judge_lists,
)
from swe_router.grading.gold import COLUMNS, gold_of_rows
from swe_router.grading.reversing import reverse_patch
from tests.doubles.gold import ROW, gold

# Rows.


def test_a_row_becomes_an_answer_key_and_a_row_of_the_harness_again():
    made = gold()
    assert (made.fail_to_pass, made.pass_to_pass, made.hints) == (("a::x",), ("a::y",), "")
    row = made.row()
    assert (row["FAIL_TO_PASS"], row["PASS_TO_PASS"]) == ('["a::x"]', '["a::y"]')
    assert "image_assets" not in row
    assets = gold_of_rows([{**ROW, "image_assets": {"p": ["x"]}}])["o__r-1"]
    assert assets.row()["image_assets"] == '{"p": ["x"]}'
    assert gold_of_rows([{**ROW, "image_assets": "text"}])["o__r-1"].image_assets == "text"
    assert gold_of_rows([ROW], only=["other"]) == {}
    assert list(gold_of_rows([ROW], only=["o__r-1"])) == ["o__r-1"]
    assert set(row) < set(COLUMNS)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"FAIL_TO_PASS": "[1"}, "FAIL_TO_PASS is not a list of test names"),
        ({"FAIL_TO_PASS": '{"a": 1}'}, "FAIL_TO_PASS is not a list of test names"),
        ({"PASS_TO_PASS": ["a", 1]}, "PASS_TO_PASS is not a list of test names"),
        ({"PASS_TO_PASS": None}, "PASS_TO_PASS is not a list of test names"),
        ({"eval_script": " "}, "has no eval_script: it cannot be graded"),
        ({"log_parser": None}, "has no log_parser: it cannot be graded"),
    ],
)
def test_a_row_that_cannot_be_graded_says_why(changes, fault):
    with pytest.raises(UsageError, match=fault):
        gold_of_rows([{**ROW, **changes}])


@pytest.mark.parametrize(
    ("value", "names"),
    [(["a"], ["a"]), (("a", "b"), ["a", "b"]), ('["a"]', ["a"]), ("['a', 'b']", ["a", "b"]),
     ("[]", []), ("a", None), ([1], None), ({"a": 1}, None), (None, None), ("1", None)],
)  # fmt: skip
def test_names_of_tests_are_a_list_or_one_written_as_text(value, names):
    if names is None:
        with pytest.raises(GradingError, match=r"^F2P is not a list of test names$"):
            evaluation.names_of_tests({"F2P": value}, "F2P")
    else:
        assert evaluation.names_of_tests({"F2P": value}, "F2P") == names
    assert evaluation.shell_lines({"a": "x"}, "a") == ["x"]
    assert evaluation.shell_lines({"a": ["x", 1]}, "a") == ["x", "1"]
    assert evaluation.shell_lines({"a": None}, "a") == evaluation.shell_lines({}, "a") == []
    assert evaluation.setup_lines("/a b")[1] == f"cd '/a b' || exit {BROKEN}"


def test_every_test_of_both_lists_must_have_passed():
    def judged(found, must=("a",), stay=("b",), **more):
        made = judge_lists(must, stay, found, **more)
        return made.outcome, made.reason

    resolved = ("resolved", "all tests that must pass did")
    failed = ("unresolved", "tests failed that must pass")
    assert judged({"a": "passed", "b": "passed"}) == resolved
    assert judged({"a": "passed", "b": "skipped"}) == resolved
    assert judged({"a": "passed", "b": "failed"}) == failed
    assert judged({"a": "passed"}) == failed
    assert judged({"a": "passed"}, absent=True) == resolved
    assert judged({"a": "passed", "b": "failed"}, absent=True) == failed
    assert judged({"a": "skipped", "b": "passed"}) == failed
    assert judged({"b": "passed"}, absent=True) == failed
    assert judged({}) == ("unresolved", "the tests left no result that could be read")
    assert judged({"c": "passed"}, (), ()) == (
        "ungraded", "the row lists no test that must pass"
    )  # fmt: skip
    assert judged({"a": "passed"}, ("a",), ()) == resolved
    assert judged({"b": "passed"}, (), ("b",)) == resolved
    made = judge_lists(["a", "c"], ["b", "d"], {"a": "passed", "b": "failed", "d": "passed"})
    assert made.evidence == {
        "fail_to_pass": {"passed": 1, "failed": ["c"]},
        "pass_to_pass": {"passed": 1, "failed": ["b"]},
    }


def test_lines_of_runners_are_read_as_three_words():
    log = "a.py::x PASSED [ 3%]\nb.py::y XPASS\n c.py::z PASSED\n\x1b[32md.py::w SKIPPED\x1b[0m\n"
    assert statuses.parse_statuses("pytest-verbose", log) == {
        "a.py::x": "passed", "b.py::y": "failed", "d.py::w": "skipped"
    }  # fmt: skip
    assert statuses.parse_statuses("pytest-summary", "PASSED a::x\nXFAIL b\nERROR c - e") == {
        "a::x": "passed", "b": "passed", "c": "failed"
    }  # fmt: skip
    assert statuses.parse_statuses("unittest-verbose", "t (m.C) ... ok\nu (m.C) ... FAIL") == {
        "t (m.C)": "passed", "u (m.C)": "failed"
    }  # fmt: skip
    assert statuses.parse_statuses("pytest", "PASSED a.py::x") == {"a.py::x": "passed"}
    assert statuses.common_statuses({"a": "Success", "b": "odd", 3: "PENDING"}) == {
        "a": "passed", "b": "failed", "3": "skipped"
    }  # fmt: skip
    for name in ("pytest", "parse_log_pytest", "pytest-verbose"):
        assert statuses.is_known_parser(name)
    assert not statuses.is_known_parser("none")
    with pytest.raises(GradingError, match="log parser 'none' is not known here"):
        statuses.parse_statuses("none", "")


def test_a_parser_that_a_data_set_brings_is_called_in_a_process_of_its_own():
    code = "def parse(log):\n    print('noise')\n    return {'a': 'PASS'} if log else 3"
    assert statuses.statuses_of_code(code, "parse", "x") == {"a": "passed"}
    with pytest.raises(GradingError, match="log parser gave int, not statuses"):
        statuses.statuses_of_code(code, "parse", "")
    with pytest.raises(GradingError, match=r"parse\(\) of the data set failed: KeyError"):
        statuses.statuses_of_code("def parse(log):\n    return {}[1]", "parse", "")
    with pytest.raises(GradingError, match=r"f\(\) of the data set failed: exit 3|failed: "):
        statuses.statuses_of_code("import os\ndef f(log):\n    os._exit(3)", "f", "")


# Patches turned around.

FORWARD = """diff --git a/a.py b/b.py
old mode 100644
new mode 100755
similarity index 90%
rename from a.py
rename to b.py
index 1111111..2222222 100755
--- a/a.py
+++ b/b.py
@@ -1,2 +1,3 @@ def f():
 one
-two
+2
+--- 3
@@ -9 +10 @@
-x
+y
\\ No newline at end of file
diff --git a/new.py b/new.py
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/new.py
@@ -0,0 +1 @@
+n
"""
BACK = """diff --git a/b.py b/a.py
old mode 100755
new mode 100644
similarity index 90%
rename from b.py
rename to a.py
index 2222222..1111111 100755
--- a/b.py
+++ b/a.py
@@ -1,3 +1,2 @@ def f():
 one
+two
-2
---- 3
@@ -10 +9 @@
+x
-y
\\ No newline at end of file
diff --git a/new.py b/new.py
deleted file mode 100644
index 3333333..0000000
--- a/new.py
+++ /dev/null
@@ -1 +0,0 @@
-n
"""


def test_a_patch_is_turned_around_and_back():
    assert reverse_patch(FORWARD) == BACK
    assert reverse_patch(BACK) == FORWARD
    assert reverse_patch("") == ""
    quoted = 'diff --git "a/\\303.py" b/x.py\n--- "a/\\303.py"\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n'
    turned = reverse_patch(quoted)
    assert turned.startswith('diff --git a/x.py "b/\\303.py"\n--- a/x.py\n+++ "b/\\303.py"\n')
    blank = "--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n\n+-- a\n b\n"
    assert reverse_patch(blank) == "--- a/x\n+++ b/x\n@@ -1,3 +1,2 @@\n\n--- a\n b\n"
