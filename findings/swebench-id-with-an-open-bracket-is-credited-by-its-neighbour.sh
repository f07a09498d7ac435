#!/usr/bin/env bash
# swebench 5.0.2: a test whose parameter is an open bracket passes when it is gone.
#
# Input: pytest ids of a test that is parametrized by "[" and "[]" (a parser's tests are); the test
#        of "[" is expected and is no longer in the log, that of "[]" passed.
# Expected: not passed: an absent FAIL_TO_PASS test is a failure everywhere else.
# Seen: passed. An id with more "[" than "]" is taken for one that was cut, and then any id that
#       begins with it stands in for it. The id here is whole: pytest itself prints it so.
source "$(dirname "$0")/common.bash"
packages swebench==5.0.2 pytest==9.0.1
cat >test_read.py <<'PY'
import pytest

@pytest.mark.parametrize("text", ["[", "[]"])
def test_read(text):
    assert text
PY
./venv/bin/python -m pytest -q --collect-only test_read.py >ids.txt
seen <<'PY'
from pathlib import Path

import swebench
from swebench.harness.grading import test_passed

ids = [line for line in Path("ids.txt").read_text().splitlines() if "::" in line]
print("swebench", swebench.__version__, ids)
assert ids == ["test_read.py::test_read[[]", "test_read.py::test_read[[]]"]
status = {ids[1]: "PASSED"}
assert test_passed(ids[0], status), "changed: an id that is whole is matched exactly"
assert not test_passed("test_read.py::test_gone", status), "an absent test is not passed"
PY
