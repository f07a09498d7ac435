#!/usr/bin/env bash
# swebench 5.0.2: Go tests of one name in two packages share one status; the later package wins.
#
# Input: `go test -v ./...` over two packages that both have a TestParse: the first fails, the second
#        passes. (Such names are common: TestNew, TestParse, TestString.)
# Expected: two entries, distinguished by the "FAIL pkg" / "ok pkg" line that ends each package.
# Seen: one entry, PASSED: a failure is hidden by a test of another package.
source "$(dirname "$0")/common.bash"
packages swebench==5.0.2
seen <<'PY'
import swebench
from swebench.harness.log_parsers.go import parse_log_gotest

log = """\
=== RUN   TestParse
    a_test.go:6: got 1, want 2
--- FAIL: TestParse (0.00s)
FAIL
FAIL\texample.org/m/a\t0.002s
=== RUN   TestParse
--- PASS: TestParse (0.00s)
PASS
ok  \texample.org/m/b\t0.002s
FAIL
"""
found = parse_log_gotest(log, None)
print("swebench", swebench.__version__, found)
assert found == {"TestParse": "PASSED"}, "changed: packages are distinguished"
PY
