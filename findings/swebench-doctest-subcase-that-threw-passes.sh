#!/usr/bin/env bash
# swebench 5.0.2: the parser of doctest's XML (nlohmann/json) passes a subcase that threw.
#
# Input: what a binary of doctest 2.4.9 prints with `-s -r=xml` for a subcase whose one check holds
#        and that then throws; doctest itself says test_case_success="false", failures="1".
# Expected: FAILED.
# Seen: PASSED: only <Expression success=...> is read; <Exception> and the overall result are not.
source "$(dirname "$0")/common.bash"
packages swebench==5.0.2
seen <<'PY'
import swebench
from swebench.harness.log_parsers.c import parse_log_doctest

log = """<?xml version="1.0" encoding="UTF-8"?>
<doctest binary="./tests" version="2.4.9">
  <TestSuite>
    <TestCase name="parse" filename="parse.cpp" line="4">
      <SubCase name="throws" filename="parse.cpp" line="5">
        <Expression success="true" type="CHECK" filename="parse.cpp" line="5">
          <Original>1 == 1</Original>
          <Expanded>1 == 1</Expanded>
        </Expression>
        <Exception crash="false">exception thrown in subcase</Exception>
      </SubCase>
      <Exception crash="false">boom</Exception>
      <OverallResultsAsserts successes="1" failures="0" test_case_success="false"/>
    </TestCase>
  </TestSuite>
  <OverallResultsAsserts successes="1" failures="0"/>
  <OverallResultsTestCases successes="0" failures="1" skipped="0"/>
</doctest>
"""
found = parse_log_doctest(log, None)
print("swebench", swebench.__version__, found)
assert found == {"parse > throws": "PASSED"}, "changed: the exception is seen"
PY
