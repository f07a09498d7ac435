"""Runners of other languages: recognised by the repository's files, read from made-up reports."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.verifiers.testing import languages, result_parsers
from swe_router.verifiers.testing.results import RESULT_SEVERITY
from swe_router.verifiers.testing.runners import RUNNERS, choose_runner, shown_command

GO = "\n".join(
    json.dumps(event)
    for event in (
        {"Action": "run", "Package": "example.com/m/a", "Test": "TestOne"},
        {"Action": "output", "Package": "example.com/m/a", "Output": "--- PASS: TestTwo\n"},
        {"Action": "pass", "Package": "example.com/m/a", "Test": "TestOne"},
        {"Action": "fail", "Package": "example.com/m/a", "Test": "TestTwo"},
        {"Action": "skip", "Package": "example.com/m/a", "Test": "TestThree"},
        {"Action": "fail", "Package": "example.com/m/a"},
        {"Action": "fail", "Package": "example.com/m/b"},
    )
)
CARGO = """\
     Running unittests src/lib.rs (target/debug/deps/x-0a1b)
running 2 tests
test tests::good ... ok
test tests::bad ... FAILED

failures:

---- tests::bad stdout ----
test tests::bad ... ok
test tests::invented ... ok

failures:
    tests::bad

test result: FAILED. 1 passed; 1 failed; 0 ignored
     Running tests/it.rs (target/debug/deps/it-0a1b)
test panics - should panic ... ok
test later ... ignored
   Doc-tests x
test src/lib.rs - one (line 3) ... ok
"""
JEST = {
    "testResults": [
        {
            "name": "/testbed/src/a.test.js",
            "status": "failed",
            "assertionResults": [
                {"fullName": "sum adds PASSED", "status": "passed"},
                {"fullName": "sum fails", "status": "failed"},
                {"fullName": "sum later", "status": "pending"},
            ],
        },
        {
            "name": "/testbed/b.test.js",
            "status": "failed",
            "assertionResults": [],
            "message": "SyntaxError",
        },
    ]
}
MOCHA = {
    "passes": [{"fullTitle": "sum adds", "file": "/testbed/test/a.js"}],
    "failures": [{"fullTitle": 'sum "before each" hook', "file": "/testbed/test/a.js"}],
    "pending": [{"fullTitle": "sum later", "file": "/testbed/test/a.js"}],
}
RSPEC = {
    "examples": [
        {"full_description": "Sum adds", "status": "passed", "file_path": "./spec/sum_spec.rb"},
        {"full_description": "Sum fails", "status": "failed", "file_path": "./spec/sum_spec.rb"},
        {"full_description": "Sum later", "status": "pending", "file_path": "./spec/sum_spec.rb"},
    ],
    "summary": {"errors_outside_of_examples_count": 1},
}
SUREFIRE = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="a.OneTest" tests="3">
  <testcase name="good" classname="a.OneTest" time="0.1">
    <system-out><![CDATA[<testcase name="invented" classname="a.OneTest"/>]]></system-out>
  </testcase>
  <testcase name="bad" classname="a.OneTest"><failure message="x">at a</failure></testcase>
  <testcase name="later" classname="a.OneTest"><skipped/></testcase>
</testsuite>
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="a.TwoTest"><testcase name="worse" classname="a.TwoTest"><error/></testcase>
</testsuite>
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="a.Torn"><testcase name="first" classname="a.Torn"/><testcase name="sec
"""
CTEST = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuite><testcase name="good" classname="good" status="run"/>
<testcase name="bad" classname="bad" status="fail"><failure message=""/></testcase>
<testcase name="off" classname="off" status="disabled"/></testsuite>
"""
PHPUNIT = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="SumTest" file="/testbed/tests/SumTest.php">
<testcase name="testAdds" class="SumTest" classname="SumTest" file="/testbed/tests/SumTest.php"/>
</testsuite></testsuites>
"""
MINITEST = (
    "SumTest#test_adds = 0.00 s = .\nSumTest#test_fails = 0.01 s = F\nSumTest#test_x = 1.20 s = S\n"
)
LINES = "PASS: one\nFAIL: two\nXFAIL: three\nok 1 - four\nnot ok 2 - five\nok 3 - six # SKIP no\n"


@pytest.mark.parametrize(
    ("read", "text", "results"),
    [
        (
            result_parsers.parse_go,
            GO,
            {
                "example.com/m/a/TestOne": "passed",
                "example.com/m/a/TestTwo": "failed",
                "example.com/m/a/TestThree": "skipped",
                "example.com/m/b": "error",
            },
        ),
        (
            result_parsers.parse_cargo,
            CARGO,
            {
                "src/lib.rs::tests::good": "passed",
                "src/lib.rs::tests::bad": "failed",
                "tests/it.rs::panics": "passed",
                "tests/it.rs::later": "skipped",
                "doc x::src/lib.rs - one (line 3)": "passed",
            },
        ),
        (
            result_parsers.parse_jest,
            json.dumps(JEST),
            {
                "src/a.test.js::sum adds PASSED": "passed",
                "src/a.test.js::sum fails": "failed",
                "src/a.test.js::sum later": "skipped",
                "b.test.js": "error",
            },
        ),
        (
            result_parsers.parse_mocha,
            json.dumps(MOCHA),
            {
                "test/a.js::sum adds": "passed",
                'test/a.js::sum "before each" hook': "failed",
                "test/a.js::sum later": "skipped",
            },
        ),
        (
            result_parsers.parse_rspec,
            json.dumps(RSPEC),
            {
                "spec/sum_spec.rb::Sum adds": "passed",
                "spec/sum_spec.rb::Sum fails": "failed",
                "spec/sum_spec.rb::Sum later": "skipped",
                "outside of examples": "error",
            },
        ),
        (
            result_parsers.parse_junit,
            SUREFIRE,
            {
                "a.OneTest::good": "passed",
                "a.OneTest::bad": "failed",
                "a.OneTest::later": "skipped",
                "a.TwoTest::worse": "failed",
                "a.Torn::first": "passed",
            },
        ),
        (result_parsers.parse_junit, CTEST, {"good": "passed", "bad": "failed", "off": "skipped"}),
        (result_parsers.parse_junit, PHPUNIT, {"SumTest::testAdds": "passed"}),
        (
            result_parsers.parse_minitest,
            MINITEST,
            {
                "SumTest#test_adds": "passed",
                "SumTest#test_fails": "failed",
                "SumTest#test_x": "skipped",
            },
        ),
        (
            result_parsers.parse_tap_lines,
            LINES,
            {
                "one": "passed",
                "two": "failed",
                "three": "skipped",
                "four": "passed",
                "five": "failed",
                "six": "skipped",
            },
        ),
    ],
)
def test_results_are_read_and_what_a_test_prints_is_not(
    read: Any, text: str, results: dict[str, str]
) -> None:
    assert read(text.encode()).relative_to("/testbed").result_by_test == results


def test_a_test_is_traced_to_its_file() -> None:
    found = result_parsers.parse_junit(PHPUNIT.encode()).relative_to("/testbed")
    assert found.file_by_test == {"SumTest::testAdds": "tests/SumTest.php"}
    assert set(
        result_parsers.parse_jest(json.dumps(JEST).encode())
        .relative_to("/testbed")
        .file_by_test.values()
    ) == {
        "src/a.test.js",
        "b.test.js",
    }


def test_entities_are_not_expanded() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaaa">]><t><testcase name="&a;"/></t>'
    assert result_parsers.parse_junit(bomb).result_by_test == {}


READERS = sorted(
    {row.parse_report for row in languages.RUNNER_TABLE}, key=lambda read: read.__name__
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "testResults",
                    "assertionResults",
                    "passes",
                    "examples",
                    "summary",
                    "status",
                    "Test",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_report_however_broken_raises_or_gives_an_unknown_word(data: bytes) -> None:
    for read in READERS:
        assert set(read(data).result_by_test.values()) <= set(RESULT_SEVERITY)


@pytest.mark.parametrize(
    ("facts", "endings", "runner"),
    [
        ({"go"}, [".go"], "go"),
        ({"cargo", "has-pytest"}, [".rs", ".toml"], "cargo"),
        ({"jest", "mocha", "says-mocha"}, [".ts"], "mocha"),
        ({"jest", "vitest"}, [".tsx"], "vitest"),
        ({"maven", "mvnw"}, [".java"], "mvnw"),
        ({"ctest", "make-test"}, [".h", ".c"], "ctest"),
        ({"jest", "django"}, [".py", ".js"], "django"),
        ({"jest", "has-pytest", "says-pytest"}, [".rst", ".py"], "pytest"),
        ({"has-pytest", "says-pytest"}, [".js"], "pytest"),
    ],
)
def test_a_repository_of_two_languages_is_asked_for_the_changed_ones_runner(
    facts: set[str], endings: list[str], runner: str
) -> None:
    assert choose_runner(facts, endings) == runner


def test_a_hint_counts_only_where_the_repository_does_not_tell() -> None:
    assert choose_runner({"has-pytest"}, [".py"], lambda: "unittest") == "unittest"
    assert choose_runner({"has-pytest", "says-pytest"}, [".py"], lambda: "unittest") == "pytest"
    assert choose_runner({"django"}, [".py"], lambda: "pytest") == "django"
    assert choose_runner({"has-pytest"}, [".py"], lambda: "no-such-runner") == "pytest"


@pytest.mark.parametrize(
    ("runner", "files", "part"),
    [
        ("go", ["a/b_test.go", "a/c_test.go", "d_test.go"], "-count=1 . ./a >REPORT"),
        ("cargo", ["crates/x/tests/it.rs"], "--manifest-path ./crates/x/Cargo.toml --test it"),
        ("cargo", ["tests/many/main.rs"], "--manifest-path ./Cargo.toml --test many"),
        ("cargo", ["src/tests.rs"], "--manifest-path ./Cargo.toml --lib"),
        ("maven", ["core/src/test/java/a/OneTest.java"], "-pl core -am"),
        ("gradle", ["core/src/test/java/a/OneTest.java"], ":core:test --tests a.OneTest"),
        ("phpunit", ["tests/SumTest.php"], "--log-junit REPORT-0 tests/SumTest.php"),
    ],
)
def test_a_runner_is_pointed_at_the_files(runner: str, files: list[str], part: str) -> None:
    assert all(RUNNERS[runner].is_test_file(path) for path in files)
    assert part in shown_command(runner, files)


@pytest.mark.parametrize(
    ("runner", "path"),
    [
        ("go", "a/b.go"),
        ("cargo", "tests/common/mod.rs"),
        ("jest", "src/index.js"),
        ("maven", "src/main/java/a/One.java"),
        ("rspec", "spec/spec_helper.rb"),
        ("minitest", "test/fixtures/data.rb"),
    ],
)
def test_what_is_no_test_is_not_run_as_one(runner: str, path: str) -> None:
    assert not RUNNERS[runner].is_test_file(path)


def test_every_row_says_whether_it_was_run_or_only_read() -> None:
    assert {row.parser_checked_on for row in languages.RUNNER_TABLE} == {"run", "parsed"}
    assert len({row.name for row in languages.RUNNER_TABLE}) == len(languages.RUNNER_TABLE)
    for row in languages.RUNNER_TABLE:
        assert "REPORT" in row.make_command(["tests/x_test.go"])
