#!/usr/bin/env bash
# swebench 5.0.2: the parser of minitest logs (jekyll) counts a skipped test as passed.
#
# Input: three lines as `ruby test.rb -v` of minitest 5.17 prints them, of tests that were defined by
#        sentences (shoulda): a pass, a failure, a skip.
# Expected: PASSED, FAILED, and SKIPPED or nothing for the skip: a skipped FAIL_TO_PASS test is no
#           resolution, as `test_failed` in the same package says.
# Seen: the skip is PASSED: the pattern takes the last ".", "F" or "E" of the line for the result,
#       which is the point in "0.00 s" where the result is "S".
source "$(dirname "$0")/common.bash"
packages swebench==5.0.2
seen <<'PY'
import swebench
from swebench.harness.grading import test_passed
from swebench.harness.log_parsers.ruby import parse_log_minitest

log = """\
TestBar#test_: Bar should be fine.  = 0.00 s = .
TestBar#test_: Bar should be quick.  = 0.01 s = F
TestBar#test_: Bar should be skipped.  = 0.00 s = S
"""
found = parse_log_minitest(log, None)
print("swebench", swebench.__version__, found)
assert found["TestBar#test_: Bar should be fine"] == "PASSED"
assert found["TestBar#test_: Bar should be quick"] == "FAILED"
assert found["TestBar#test_: Bar should be skipped"] == "PASSED", "changed: a skip is distinguished"
assert test_passed("TestBar#test_: Bar should be skipped", found)
PY
