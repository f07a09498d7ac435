"""Reports of other runners, with each field absent, empty or of another kind."""

from __future__ import annotations

import json

import pytest

from swe_router.verifiers.testing import languages, result_parsers, runners
from swe_router.verifiers.testing.results import Report


def read(kind, value) -> Report:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return getattr(result_parsers, f"parse_{kind}")(data)


def test_go_tells_tests_packages_and_what_does_not_build():
    rows = [
        {"Action": "run", "Package": "p", "Test": "A"},
        {"Action": "pass", "Package": "p", "Test": "A"},
        {"Action": "skip", "Package": "p", "Test": "B"},
        {"Action": "fail", "Package": "p"},
        {"Action": "fail", "Package": "q"},
        {"Action": "pass", "Package": "r"},
    ]
    data = b"\n".join([json.dumps(row).encode() for row in rows] + [b"torn", b"[]", b"3"])
    found = read("go", data)
    assert found.result_by_test == {"p/A": "passed", "p/B": "skipped", "q": "error"}
    assert found.file_by_test == {"p/A": "p", "p/B": "p", "q": "q"}


def test_cargo_s_lines_belong_to_the_target_before_them():
    text = b"""     Running unittests src/lib.rs (x)
test a::b ... ok
test c - should panic ... FAILED
test d ... ignored
failures:
test printed ... ok
     Running tests/it.rs (y)
test e ... ok
   Doc-tests crate
test src/lib.rs - f (line 3) ... ok
"""
    assert read("cargo", text).result_by_test == {
        "src/lib.rs::a::b": "passed", "src/lib.rs::c": "failed", "src/lib.rs::d": "skipped",
        "tests/it.rs::e": "passed", "doc crate::src/lib.rs - f (line 3)": "passed",
    }  # fmt: skip


def test_jest_names_a_test_in_full_or_by_its_title_and_a_file_that_does_not_load():
    tests = [{"fullName": "a b", "title": "b", "status": "passed"},
             {"fullName": "", "title": "c", "status": "failed"}, {"title": "d", "status": "odd"},
             {"status": "pending"}, 3]  # fmt: skip
    files = [{"name": "/w/./x.js", "assertionResults": tests, "status": "failed"},
             {"name": "y.js", "assertionResults": [], "status": "failed", "message": "m" * 300},
             {"name": "z.js", "assertionResults": [], "status": "passed"}, "odd"]  # fmt: skip
    found = read("jest", {"testResults": files})
    assert found.result_by_test == {
        "/w/x.js::a b": "passed", "/w/x.js::c": "failed", "/w/x.js::": "skipped", "y.js": "error"
    }  # fmt: skip
    assert found.failure_messages == {"y.js": "m" * 200}
    assert read("jest", {"testResults": 3}).result_by_test == {}
    assert read("jest", [1]).result_by_test == read("jest", b"torn").result_by_test == {}


def test_mocha_lists_tests_by_what_became_of_them():
    whole = {
        "passes": [{"file": "a/../x.js", "fullTitle": "t"}, {"file": None, "fullTitle": "u"}],
        "failures": [{"fullTitle": "v"}, {"file": "x.js"}],
        "pending": [{"fullTitle": "w"}],
    }
    assert read("mocha", whole).result_by_test == {
        "x.js::t": "passed", "::u": "passed", "::v": "failed", "x.js::": "failed", "::w": "skipped"
    }  # fmt: skip


def test_rspec_counts_what_does_not_load_outside_of_its_examples():
    tests = [{"file_path": "./s.rb", "full_description": "t", "status": "passed"},
             {"status": "pending"}]  # fmt: skip
    found = read("rspec", {"examples": tests, "summary": {"errors_outside_of_examples_count": 1}})
    assert found.result_by_test == {
        "s.rb::t": "passed",
        "::": "skipped",
        "outside of examples": "error",
    }
    assert "outside of examples" not in read("rspec", {"summary": {}}).result_by_test
    assert read("rspec", {"summary": 3}).result_by_test == {}


def test_junit_is_read_from_several_documents_and_each_dialect():
    one = b"""<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="C" name="a" file="./t/x.php"/>
<testcase class="D" name="b"><failure>f</failure><skipped/></testcase>
<testcase name="c"><skipped/></testcase>
<testcase classname="E" name="E" status="fail"/>
<testcase name="d" status="notrun"/><testcase name="e" status="disabled"/>
<testcase classname="C" name="g"><error/></testcase>
<error/></testsuite></testsuites>"""
    two = b'<?xml version="1.0"?><testsuite><testcase name="h"/><testcase name="i">'
    found = read("junit", one + b"\n" + two)
    assert found.result_by_test == {
        "C::a": "passed", "D::b": "failed", "::c": "skipped", "E": "failed", "::d": "skipped",
        "::e": "skipped", "C::g": "failed", "::h": "passed",
    }  # fmt: skip
    assert (found.file_by_test["C::a"], found.file_by_test["D::b"]) == ("t/x.php", "D")
    assert read("junit", b'<!DOCTYPE x><testcase name="a"/>').result_by_test == {}
    late = b'<t><testcase name="a"><system-out>x</system-out><failure/></testcase></t>'
    assert read("junit", late).result_by_test == {"::a": "failed"}, "it failed after it had printed"


def test_printed_lines_are_read_in_their_own_form_alone():
    text = (
        b"T#test_a = 0.01 s = .\nT#test b = 1.50 s = F\nT#c = 0.1 s = E\nT#d = 0.1 s = S\nT#e = .\n"
    )
    assert read("minitest", text).result_by_test == {
        "T#test_a": "passed", "T#test b": "failed", "T#c": "failed", "T#d": "skipped"
    }  # fmt: skip
    text = (
        b"PASS: a \nFAIL: b\nXPASS: c\nXFAIL: d\nSKIP: e\nERROR: f\nok 1 - g\nnot ok 2 - h\n"
        b"ok 3 i # SKIP why\nnot ok 4 - j # TODO x\nok\n1..4\nokay k\n"
    )
    assert read("tap_lines", text).result_by_test == {
        "a": "passed", "b": "failed", "c": "failed", "d": "skipped", "e": "skipped", "f": "error",
        "g": "passed", "h": "failed", "i": "skipped", "j": "skipped",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "files", "command"),
    [
        ("go", ["b/x_test.go", "a/y_test.go", "b/z_test.go", "r_test.go"],
         "go test -json -count=1 . ./a ./b >REPORT"),
        ("cargo", ["src/tests.rs", "tests/it/main.rs", "c/tests/x.rs", "src/tests/u.rs"],
         "{ cargo test --offline --no-fail-fast --manifest-path ./Cargo.toml --lib; cargo test"
         " --offline --no-fail-fast --manifest-path ./Cargo.toml --test it; cargo test --offline"
         " --no-fail-fast --manifest-path ./c/Cargo.toml --test x; } >REPORT 2>&1"),
        ("maven", ["m/src/test/java/p/ATest.java", "m/src/test/java/p/BTest.java"],
         "mvn -o -q -pl m -am -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false -fae"
         " -Dtest=ATest,BTest test; find . -path '*/surefire-reports/TEST-*.xml' -newer"
         " REPORTER/begun -exec cat {} + >REPORT"),
        ("mvnw", ["src/test/java/p/ATest.java"],
         "./mvnw -o -q -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false -fae"
         " -Dtest=ATest test; find . -path '*/surefire-reports/TEST-*.xml' -newer"
         " REPORTER/begun -exec cat {} + >REPORT"),
        ("gradle", ["a/b/src/test/java/p/ATest.java", "src/test/kotlin/q/BTest.kt",
                    "a/b/src/test/java/p/CTest.java"],
         "./gradlew --offline --continue :a:b:test --tests p.ATest --tests p.CTest test --tests"
         " q.BTest; find . -path '*/build/test-results/*/TEST-*.xml' -newer REPORTER/begun -exec"
         " cat {} + >REPORT"),
        ("phpunit", ["a b/XTest.php", "YTest.php"],
         "vendor/bin/phpunit --log-junit REPORT-0 'a b/XTest.php'; vendor/bin/phpunit --log-junit"
         " REPORT-1 YTest.php; cat REPORT-* >REPORT"),
    ],
)  # fmt: skip
def test_a_runner_is_called_with_its_files_in_their_order(name, files, command):
    row = next(one for one in languages.RUNNER_TABLE if one.name == name)
    assert row.make_command(files) == command
    assert all(row.is_test_file(file) for file in files)


# The runner of a project.


@pytest.mark.parametrize(
    ("facts", "endings", "hint", "runner"),
    [
        ({"django", "sympy", "has-pytest"}, (), "", "django"),
        ({"sympy", "has-pytest"}, (), "pytest", "sympy"),
        ({"sympy-by-pytest", "has-pytest"}, (), "", "pytest"),
        ({"sympy-by-pytest"}, (), "", ""),
        ({"has-pytest"}, (), "", "pytest"),
        ({"has-pytest", "says-unittest"}, (), "", "unittest"),
        ({"has-pytest", "says-unittest", "says-pytest"}, (), "", "pytest"),
        ({"says-pytest"}, (), "", ""),
        (set(), (), "", "unittest"),
        (set(), (), "sympy", "sympy"),
        (set(), (), "odd", "unittest"),
        ({"says-unittest"}, (), "pytest", "unittest"),
        ({"go"}, (".go",), "", "go"),
        ({"go"}, (".py", ".go"), "", "unittest"),
        ({"go"}, (".md", ".go"), "", "go"),
        ({"jest", "vitest"}, (".ts",), "", "vitest"),
        ({"jest", "vitest", "says-jest"}, (".ts",), "", "jest"),
        ({"says-jest"}, (".ts",), "", "unittest"),
    ],
)
def test_a_runner_is_the_one_that_the_project_names(facts, endings, hint, runner):
    assert runners.choose_runner(facts, endings, lambda: hint) == runner


@pytest.mark.parametrize("name", ["maven", "mvnw", "gradle"])
def test_tests_of_a_project_without_modules_are_found(name):
    """``src/test`` at the top of the repository was not taken for a folder of tests."""
    row = next(one for one in languages.RUNNER_TABLE if one.name == name)
    for path in ("src/test/java/p/ATest.java", "src/test/java/TestA.kt", "m/src/test/AIT.java"):
        assert row.is_test_file(path), path
    for path in ("src/test/java/p/Helper.java", "src/main/java/ATest.java", "src/tests/ATest.java"):
        assert not row.is_test_file(path), path
