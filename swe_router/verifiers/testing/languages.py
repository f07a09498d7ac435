"""The table of test runners other than Python's: how each is recognised, called and read."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swe_router.verifiers.testing import result_parsers
from swe_router.verifiers.testing.results import Report

DETECTION_SCRIPT = r"""
has() { command -v "$1" >/dev/null 2>&1; }
[ -f go.mod ] && has go && echo go
[ -f Cargo.toml ] && has cargo && echo cargo
for T in vitest jest mocha; do
  [ -f package.json ] && [ -x node_modules/.bin/$T ] && echo $T
  grep -qs "\"test[^\"]*\": *\"[^\"]*$T" package.json && echo says-$T
done
[ -f pom.xml ] && has mvn && echo maven
[ -f pom.xml ] && [ -x mvnw ] && echo mvnw
{ [ -f build.gradle ] || [ -f build.gradle.kts ]; } && [ -x gradlew ] && echo gradle
{ [ -f phpunit.xml ] || [ -f phpunit.xml.dist ]; } && [ -x vendor/bin/phpunit ] && echo phpunit
{ [ -f .rspec ] || [ -d spec ]; } && has bundle && echo rspec
[ -d test ] && [ -f Gemfile ] && has ruby && echo minitest
[ -f CMakeLists.txt ] && has cmake && has ctest && echo ctest
grep -qs '^check:' Makefile && has make && echo make-check
grep -qs '^test:' Makefile && has make && echo make-test
"""
"""Shell lines that print a fact each, from the repository's own files and the tools there are."""


@dataclass(frozen=True)
class RunnerRow:
    """A runner; its command writes what ``parse_report`` reads to the file REPORT.

    ``REPORTER/begun`` is a file as old as the run.
    """

    name: str
    file_suffixes: tuple[str, ...]
    """Suffixes of the files that it tests."""
    make_command: Callable[[Sequence[str]], str]
    parse_report: Callable[[bytes], Report]
    is_test_file: Callable[[str], bool]
    """Whether it can be pointed at a file."""
    parser_checked_on: str
    """``run``: its results were read from real runs here; ``parsed``: from made-up samples of the
    documented format only."""


def choose_language_runner(facts: set[str], ending: str) -> str:
    """The first row for files of this suffix that the facts name; empty when there is none."""
    rows = [row.name for row in RUNNER_TABLE if ending in row.file_suffixes and row.name in facts]
    named = [name for name in rows if f"says-{name}" in facts]
    return (named or rows or [""])[0]


def _go_command(files: Sequence[str]) -> str:
    folders = sorted({posixpath.dirname(path) for path in files})
    packages = shlex.join(f"./{folder}" if folder else "." for folder in folders)
    return f"go test -json -count=1 {packages} >REPORT"


def _cargo_command(files: Sequence[str]) -> str:
    calls = []
    for path in files:
        crate, inside, _ = f"/{path}".partition("/src/")
        target = "--lib"
        if not inside:
            crate, _, rest = f"/{path}".rpartition("/tests/")
            target = f"--test {shlex.quote(rest.partition('/')[0].removesuffix('.rs'))}"
        where = shlex.quote(f".{crate}/Cargo.toml")
        calls.append(f"cargo test --offline --no-fail-fast --manifest-path {where} {target}")
    return "{ " + "; ".join(dict.fromkeys(calls)) + "; } >REPORT 2>&1"


def _jest_command(files: Sequence[str]) -> str:
    flags = "--ci --json --outputFile=REPORT --runTestsByPath"
    return f"node_modules/.bin/jest {flags} {shlex.join(files)}"


def _vitest_command(files: Sequence[str]) -> str:
    return f"node_modules/.bin/vitest run --reporter=json --outputFile=REPORT {shlex.join(files)}"


def _mocha_command(files: Sequence[str]) -> str:
    flags = "--exit --reporter json --reporter-option output=REPORT"
    return f"node_modules/.bin/mocha {flags} {shlex.join(files)}"


def _maven_command(files: Sequence[str]) -> str:
    return _maven_command_with("mvn", files)


def _maven_wrapper_command(files: Sequence[str]) -> str:
    return _maven_command_with("./mvnw", files)


def _maven_command_with(program: str, files: Sequence[str]) -> str:
    tests = ",".join(dict.fromkeys(posixpath.basename(path).split(".")[0] for path in files))
    modules = sorted({_maven_module_of(path) for path in files} - {""})
    chosen = f"-pl {shlex.quote(','.join(modules))} -am " if modules else ""
    calm = "-DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false -fae"
    run = f"{program} -o -q {chosen}{calm} -Dtest={shlex.quote(tests)} test"
    return f"{run}; {_collect_reports('*/surefire-reports/TEST-*.xml')}"


def _gradle_command(files: Sequence[str]) -> str:
    tasks = []
    for module in dict.fromkeys(_maven_module_of(path) for path in files):
        task = f":{module.replace('/', ':')}:test" if module else "test"
        names = dict.fromkeys(
            _java_class_of(path) for path in files if _maven_module_of(path) == module
        )
        tasks.append(" ".join([task, *(f"--tests {shlex.quote(name)}" for name in names)]))
    run = f"./gradlew --offline --continue {' '.join(tasks)}"
    return f"{run}; {_collect_reports('*/build/test-results/*/TEST-*.xml')}"


def _collect_reports(pattern: str) -> str:
    """Reports that this run wrote, one after the other: an old one may lie about."""
    return f"find . -path '{pattern}' -newer REPORTER/begun -exec cat {{}} + >REPORT"


def _maven_module_of(path: str) -> str:
    return f"/{path}".partition("/src/")[0].lstrip("/")


def _java_class_of(path: str) -> str:
    name = re.sub(r"\A.*/src/\w+/\w+/", "", f"/{path}").rpartition(".")[0]
    return name.replace("/", ".")


def _phpunit_command(files: Sequence[str]) -> str:
    runs = [
        f"vendor/bin/phpunit --log-junit REPORT-{number} {shlex.quote(path)}"
        for number, path in enumerate(files)
    ]
    return "; ".join([*runs, "cat REPORT-* >REPORT"])


def _rspec_command(files: Sequence[str]) -> str:
    return f"bundle exec rspec --format json --out REPORT {shlex.join(files)}"


def _minitest_command(files: Sequence[str]) -> str:
    load = 'ARGV.take_while { |f| f != "-v" }.each { |f| require File.expand_path(f) }'
    return f"ruby -Ilib -Itest -e {shlex.quote(load)} {shlex.join(files)} -v >REPORT 2>&1"


def _ctest_command(files: Sequence[str]) -> str:
    build = "cmake -S . -B build && cmake --build build"
    return f"{build} && ctest --test-dir build --output-junit REPORT"


def _make_check_command(files: Sequence[str]) -> str:
    return "make -k check >REPORT 2>&1"


def _make_test_command(files: Sequence[str]) -> str:
    return "make -k test >REPORT 2>&1"


def _path_matcher(pattern: str) -> Callable[[str], bool]:
    matches = re.compile(pattern).search
    return lambda path: matches(path) is not None


_JAVASCRIPT_SUFFIXES = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue")
_C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx")
_is_javascript_test = _path_matcher(
    r"[._](test|spec)\.[cm]?[jt]sx?\Z|(\A|/)(tests?|__tests__|spec)/.*\.[cm]?[jt]sx?\Z"
)
_is_java_test = _path_matcher(
    r"(\A|/)src/test/(.*/)?(Test\w*|\w*(Tests?|TestCase|IT))\.(java|kt)\Z"
)
_is_c_test = _path_matcher(r"(\A|/)(tests?|unittests?)/|(\A|[/_])tests?[_.]|_test\.")
RUNNER_TABLE: tuple[RunnerRow, ...] = (
    RunnerRow(
        "go",
        (".go",),
        _go_command,
        result_parsers.parse_go,
        _path_matcher(r"_test\.go\Z"),
        "parsed",
    ),
    RunnerRow(
        "cargo",
        (".rs",),
        _cargo_command,
        result_parsers.parse_cargo,
        _path_matcher(r"(\A|/)tests/(\w+|\w+/main)\.rs\Z|(\A|/)src/(.*/)?tests?\w*\.rs\Z"),
        "run",
    ),
    RunnerRow(
        "vitest",
        _JAVASCRIPT_SUFFIXES,
        _vitest_command,
        result_parsers.parse_jest,
        _is_javascript_test,
        "run",
    ),
    RunnerRow(
        "jest",
        _JAVASCRIPT_SUFFIXES,
        _jest_command,
        result_parsers.parse_jest,
        _is_javascript_test,
        "run",
    ),
    RunnerRow(
        "mocha",
        _JAVASCRIPT_SUFFIXES,
        _mocha_command,
        result_parsers.parse_mocha,
        _is_javascript_test,
        "run",
    ),
    RunnerRow(
        "mvnw",
        (".java", ".kt"),
        _maven_wrapper_command,
        result_parsers.parse_junit,
        _is_java_test,
        "parsed",
    ),
    RunnerRow(
        "maven",
        (".java", ".kt"),
        _maven_command,
        result_parsers.parse_junit,
        _is_java_test,
        "parsed",
    ),
    RunnerRow(
        "gradle",
        (".java", ".kt"),
        _gradle_command,
        result_parsers.parse_junit,
        _is_java_test,
        "parsed",
    ),
    RunnerRow(
        "phpunit",
        (".php",),
        _phpunit_command,
        result_parsers.parse_junit,
        _path_matcher(r"Test\.php\Z"),
        "parsed",
    ),
    RunnerRow(
        "rspec",
        (".rb",),
        _rspec_command,
        result_parsers.parse_rspec,
        _path_matcher(r"_spec\.rb\Z"),
        "parsed",
    ),
    RunnerRow(
        "minitest",
        (".rb",),
        _minitest_command,
        result_parsers.parse_minitest,
        _path_matcher(r"(\A|/)test/(.*/)?(test_\w+|\w+_test)\.rb\Z"),
        "parsed",
    ),
    RunnerRow("ctest", _C_SUFFIXES, _ctest_command, result_parsers.parse_junit, _is_c_test, "run"),
    RunnerRow(
        "make-check",
        _C_SUFFIXES,
        _make_check_command,
        result_parsers.parse_tap_lines,
        _is_c_test,
        "parsed",
    ),
    RunnerRow(
        "make-test",
        _C_SUFFIXES,
        _make_test_command,
        result_parsers.parse_tap_lines,
        _is_c_test,
        "run",
    ),
)
"""Seen to run: cargo 1.95, jest 30, vitest 4.1, mocha 12, ctest 3.25 and make, each on a suite of
a few tests. Add a runner here: its facts in ``DETECTION_SCRIPT``, its command, its reader in
``result_parsers``."""
