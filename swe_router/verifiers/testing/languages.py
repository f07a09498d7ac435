"""The table of test runners other than Python's: how each is recognised, called and read."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swe_router.verifiers.testing import result_parsers
from swe_router.verifiers.testing.results import Report

LOOK = r"""
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
    """A runner; its command writes what ``read`` reads to the file REPORT.

    ``REPORTER/begun`` is a file as old as the run.
    """

    name: str
    endings: tuple[str, ...]
    """Suffixes of the files that it tests."""
    command: Callable[[Sequence[str]], str]
    read: Callable[[bytes], Report]
    runs: Callable[[str], bool]
    """Whether it can be pointed at a file."""
    seen: str
    """``run``: its results were read from real runs here; ``parsed``: from made-up samples of the
    documented format only."""


def choose_language_runner(facts: set[str], ending: str) -> str:
    """The first row for files of this suffix that the facts name; empty when there is none."""
    rows = [row.name for row in RUNNER_TABLE if ending in row.endings and row.name in facts]
    named = [name for name in rows if f"says-{name}" in facts]
    return (named or rows or [""])[0]


def _go(files: Sequence[str]) -> str:
    folders = sorted({posixpath.dirname(path) for path in files})
    packages = shlex.join(f"./{folder}" if folder else "." for folder in folders)
    return f"go test -json -count=1 {packages} >REPORT"


def _cargo(files: Sequence[str]) -> str:
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


def _jest(files: Sequence[str]) -> str:
    flags = "--ci --json --outputFile=REPORT --runTestsByPath"
    return f"node_modules/.bin/jest {flags} {shlex.join(files)}"


def _vitest(files: Sequence[str]) -> str:
    return f"node_modules/.bin/vitest run --reporter=json --outputFile=REPORT {shlex.join(files)}"


def _mocha(files: Sequence[str]) -> str:
    flags = "--exit --reporter json --reporter-option output=REPORT"
    return f"node_modules/.bin/mocha {flags} {shlex.join(files)}"


def _maven(files: Sequence[str]) -> str:
    return _with_maven("mvn", files)


def _mvnw(files: Sequence[str]) -> str:
    return _with_maven("./mvnw", files)


def _with_maven(program: str, files: Sequence[str]) -> str:
    tests = ",".join(dict.fromkeys(posixpath.basename(path).split(".")[0] for path in files))
    modules = sorted({_module(path) for path in files} - {""})
    chosen = f"-pl {shlex.quote(','.join(modules))} -am " if modules else ""
    calm = "-DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false -fae"
    run = f"{program} -o -q {chosen}{calm} -Dtest={shlex.quote(tests)} test"
    return f"{run}; {_collect_reports('*/surefire-reports/TEST-*.xml')}"


def _gradle(files: Sequence[str]) -> str:
    tasks = []
    for module in dict.fromkeys(_module(path) for path in files):
        task = f":{module.replace('/', ':')}:test" if module else "test"
        names = dict.fromkeys(_class(path) for path in files if _module(path) == module)
        tasks.append(" ".join([task, *(f"--tests {shlex.quote(name)}" for name in names)]))
    run = f"./gradlew --offline --continue {' '.join(tasks)}"
    return f"{run}; {_collect_reports('*/build/test-results/*/TEST-*.xml')}"


def _collect_reports(pattern: str) -> str:
    """Reports that this run wrote, one after the other: an old one may lie about."""
    return f"find . -path '{pattern}' -newer REPORTER/begun -exec cat {{}} + >REPORT"


def _module(path: str) -> str:
    return f"/{path}".partition("/src/")[0].lstrip("/")


def _class(path: str) -> str:
    name = re.sub(r"\A.*/src/\w+/\w+/", "", f"/{path}").rpartition(".")[0]
    return name.replace("/", ".")


def _phpunit(files: Sequence[str]) -> str:
    runs = [
        f"vendor/bin/phpunit --log-junit REPORT-{number} {shlex.quote(path)}"
        for number, path in enumerate(files)
    ]
    return "; ".join([*runs, "cat REPORT-* >REPORT"])


def _rspec(files: Sequence[str]) -> str:
    return f"bundle exec rspec --format json --out REPORT {shlex.join(files)}"


def _minitest(files: Sequence[str]) -> str:
    load = 'ARGV.take_while { |f| f != "-v" }.each { |f| require File.expand_path(f) }'
    return f"ruby -Ilib -Itest -e {shlex.quote(load)} {shlex.join(files)} -v >REPORT 2>&1"


def _ctest(files: Sequence[str]) -> str:
    build = "cmake -S . -B build && cmake --build build"
    return f"{build} && ctest --test-dir build --output-junit REPORT"


def _make_check(files: Sequence[str]) -> str:
    return "make -k check >REPORT 2>&1"


def _make_test(files: Sequence[str]) -> str:
    return "make -k test >REPORT 2>&1"


def _path_matcher(pattern: str) -> Callable[[str], bool]:
    matches = re.compile(pattern).search
    return lambda path: matches(path) is not None


_SCRIPT = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue")
_C = (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx")
_SCRIPT_TEST = _path_matcher(
    r"[._](test|spec)\.[cm]?[jt]sx?\Z|(\A|/)(tests?|__tests__|spec)/.*\.[cm]?[jt]sx?\Z"
)
_JAVA_TEST = _path_matcher(r"(\A|/)src/test/(.*/)?(Test\w*|\w*(Tests?|TestCase|IT))\.(java|kt)\Z")
_C_TEST = _path_matcher(r"(\A|/)(tests?|unittests?)/|(\A|[/_])tests?[_.]|_test\.")
RUNNER_TABLE: tuple[RunnerRow, ...] = (
    RunnerRow(
        "go", (".go",), _go, result_parsers.parse_go, _path_matcher(r"_test\.go\Z"), "parsed"
    ),
    RunnerRow(
        "cargo",
        (".rs",),
        _cargo,
        result_parsers.parse_cargo,
        _path_matcher(r"(\A|/)tests/(\w+|\w+/main)\.rs\Z|(\A|/)src/(.*/)?tests?\w*\.rs\Z"),
        "run",
    ),
    RunnerRow("vitest", _SCRIPT, _vitest, result_parsers.parse_jest, _SCRIPT_TEST, "run"),
    RunnerRow("jest", _SCRIPT, _jest, result_parsers.parse_jest, _SCRIPT_TEST, "run"),
    RunnerRow("mocha", _SCRIPT, _mocha, result_parsers.parse_mocha, _SCRIPT_TEST, "run"),
    RunnerRow("mvnw", (".java", ".kt"), _mvnw, result_parsers.parse_junit, _JAVA_TEST, "parsed"),
    RunnerRow("maven", (".java", ".kt"), _maven, result_parsers.parse_junit, _JAVA_TEST, "parsed"),
    RunnerRow(
        "gradle", (".java", ".kt"), _gradle, result_parsers.parse_junit, _JAVA_TEST, "parsed"
    ),
    RunnerRow(
        "phpunit",
        (".php",),
        _phpunit,
        result_parsers.parse_junit,
        _path_matcher(r"Test\.php\Z"),
        "parsed",
    ),
    RunnerRow(
        "rspec",
        (".rb",),
        _rspec,
        result_parsers.parse_rspec,
        _path_matcher(r"_spec\.rb\Z"),
        "parsed",
    ),
    RunnerRow(
        "minitest",
        (".rb",),
        _minitest,
        result_parsers.parse_minitest,
        _path_matcher(r"(\A|/)test/(.*/)?(test_\w+|\w+_test)\.rb\Z"),
        "parsed",
    ),
    RunnerRow("ctest", _C, _ctest, result_parsers.parse_junit, _C_TEST, "run"),
    RunnerRow("make-check", _C, _make_check, result_parsers.parse_tap_lines, _C_TEST, "parsed"),
    RunnerRow("make-test", _C, _make_test, result_parsers.parse_tap_lines, _C_TEST, "run"),
)
"""Seen to run: cargo 1.95, jest 30, vitest 4.1, mocha 12, ctest 3.25 and make, each on a suite of
a few tests. Add a runner here: its facts in ``LOOK``, its command, its reader in ``reports``."""
