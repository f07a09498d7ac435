"""Detects a project's test runner from its files, and runs tests with signed results."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swe_router.errors import VerifierError
from swe_router.seams import Sandbox
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.testing import languages
from swe_router.verifiers.testing.results import Report, TestRun, parse_recorded_lines

RECORDER_FILE = Path(__file__).parents[1] / "in_sandbox" / "result_recorder.py"
MAX_REPORT_BYTES = 64_000_000
"""Bytes of results read of one run: about 400,000 tests."""
DETECTION_SCRIPT = """
P=$(command -v python || command -v python3) && echo "python $P"
[ -f tests/runtests.py ] && [ -d django ] && echo django
[ -f sympy/testing/runtests_pytest.py ] && echo sympy-by-pytest
[ -f bin/test ] && [ -d sympy ] && [ ! -f sympy/testing/runtests_pytest.py ] && echo sympy
HAS='from importlib.util import find_spec as f; f("pytest").name; f("_pytest").name'
[ -n "$P" ] && "$P" -c "$HAS" >/dev/null 2>&1 && echo has-pytest
[ -f pytest.ini ] || [ -f conftest.py ] || [ -f tests/conftest.py ] && echo says-pytest
says() { grep -qs -e "$1" tox.ini setup.cfg pyproject.toml setup.py Makefile noxfile.py; }
says pytest && echo says-pytest
says '-m unittest' && echo says-unittest
"""
MAX_TAIL_CHARS = 2000
"""Bytes kept of what a run prints; a test may print gigabytes."""
_QUIET_COMMAND = """
OUT={folder}/out; mkfifo $OUT 2>/dev/null || OUT=/dev/null
tail -c {tail} <$OUT >{folder}/tail & TAIL_PID=$!
{{ {command}
}} >$OUT 2>&1
CODE=$?
for nap in 0.01 0.01 0.03 0.05 0.1 0.1 0.1 0.1 0.1 0.2 0.2; do
  kill -0 $TAIL_PID 2>/dev/null || break; sleep $nap
done
cat {folder}/tail
exit $CODE
"""
"""Output goes through a pipe of its own: a server that a test left running may hold it open."""


@dataclass(frozen=True)
class Runner:
    """A way of running test files; ``make_command`` has REPORTER where the recorder goes."""

    name: str
    make_command: Callable[[Sequence[str]], str]
    is_test_file: Callable[[str], bool] = path_kinds.is_test_module
    """Whether it can be pointed at a file."""
    parse_report: Callable[[bytes], Report] | None = None
    """Reads the report of a foreign runner, which its command writes to REPORT; None: signed
    lines of the recorder."""
    parser_checked_on: str = "run"
    """``run``: its results were read from real runs; ``parsed``: from samples of its format."""


def _pytest_command(files: Sequence[str]) -> str:
    # Old pytest has no --no-header; maxfail=0 undoes an -x of the project's own settings.
    flags = "-q --tb=short --show-capture=no --maxfail=0 -o cache_dir=REPORTER/cache"
    return f"{_FIXED_HASHES} PYTHON REPORTER/recorder.py -m pytest {flags} {shlex.join(files)}"


def _django_command(files: Sequence[str]) -> str:
    labels = [path.removeprefix("tests/").removesuffix(".py").replace("/", ".") for path in files]
    flags = "--verbosity 0 --settings=test_sqlite --parallel 1"
    script = "REPORTER/recorder.py tests/runtests.py"
    return f"{_FIXED_HASHES} PYTHON {script} {flags} {shlex.join(labels)}"


def _sympy_command(files: Sequence[str]) -> str:
    calm = "PYTHONWARNINGS=ignore::UserWarning,ignore::SyntaxWarning"
    flags = "-C --no-subprocess --seed 1"
    return (
        f"{_FIXED_HASHES} {calm} PYTHON REPORTER/recorder.py bin/test {flags} {shlex.join(files)}"
    )


def _unittest_command(files: Sequence[str]) -> str:
    return f"{_FIXED_HASHES} PYTHON REPORTER/recorder.py -m unittest -q {shlex.join(files)}"


_FIXED_HASHES = "PYTHONHASHSEED=0"
"""Orders of sets, and test ids made from them, are the same before and after."""


def _runs_on_sqlite(path: str) -> bool:
    """Django's runner aborts as a whole when gis_tests are asked for on a plain database."""
    plain = path.startswith("tests/") and not path.startswith("tests/gis_tests/")
    return plain and path_kinds.is_test_module(path)


RUNNERS: Mapping[str, Runner] = {
    "django": Runner("django", _django_command, _runs_on_sqlite),
    "sympy": Runner("sympy", _sympy_command),
    "pytest": Runner("pytest", _pytest_command),
    "unittest": Runner("unittest", _unittest_command),
} | {
    row.name: Runner(
        row.name, row.make_command, row.is_test_file, row.parse_report, row.parser_checked_on
    )
    for row in languages.RUNNER_TABLE
}


_DECISIVE_FACTS = frozenset(("django", "sympy", "sympy-by-pytest", "says-pytest", "says-unittest"))
"""Facts of the repository that name its runner; they override any hint."""


def detect_runners(sandbox: Sandbox, timeout: float) -> tuple[set[str], str]:
    """Facts about test runners from the repository and the sandbox, and the path of Python."""
    printed = sandbox.run(
        f"{DETECTION_SCRIPT}{languages.DETECTION_SCRIPT}:", timeout=timeout
    ).output.splitlines()
    facts = {line.strip() for line in printed}
    python = next((line.split(" ", 1)[1] for line in printed if line.startswith("python ")), "")
    return facts, python


def choose_runner(
    facts: set[str], endings: Sequence[str] = (), hint: Callable[[], str] = str
) -> str:
    """The runner that the project's files name, else the one of ``hint``."""
    for ending in endings:
        if ending in (".py", ".pyi"):
            break
        found = languages.choose_language_runner(facts, ending)
        if found:
            return found
    if not facts & _DECISIVE_FACTS and hint() in RUNNERS:
        return hint()
    return _python_path(facts)


def _python_path(facts: set[str]) -> str:
    for own in ("django", "sympy"):
        if own in facts:
            return own
    if "sympy-by-pytest" in facts:
        # From 1.13 on sympy's own command starts pytest, out of the recorder's sight, and wants a
        # plugin for its seed: the recorder's own pytest runs the same files.
        return "pytest" if "has-pytest" in facts else ""
    only_unittest = "says-unittest" in facts and "says-pytest" not in facts
    if "has-pytest" in facts and not only_unittest:
        return "pytest"
    return "" if "says-pytest" in facts else "unittest"


def shown_command(runner: str, files: Sequence[str]) -> str:
    """The command for a reader, without paths of one sandbox."""
    return RUNNERS[runner].make_command(files).replace("PYTHON ", "python ", 1)


def run_tests(
    sandbox: Sandbox, runner: str, python: str, files: Sequence[str], timeout_seconds: float
) -> TestRun:
    """Run test files in a sandbox for at most ``timeout_seconds`` seconds.

    Raises ``VerifierError`` when the report cannot be read, ``SandboxError`` when the sandbox
    broke.
    """
    folder = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the sandbox)
    name, key = secrets.token_hex(8), secrets.token_hex(16)
    report = f"{folder}/{name}"
    if RUNNERS[runner].parse_report is None:
        sandbox.write(f"{folder}/recorder.py", RECORDER_FILE.read_bytes())
        sandbox.write(f"{folder}/key", json.dumps({"report": name, "key": key}).encode())
    else:
        sandbox.write(f"{folder}/begun", b"")
    command = RUNNERS[runner].make_command(files)
    command = command.replace("REPORTER", folder).replace("REPORT", report)
    command = command.replace("PYTHON ", f"{shlex.quote(python)} ", 1)
    result = sandbox.run(
        _QUIET_COMMAND.format(folder=folder, tail=MAX_TAIL_CHARS, command=command),
        timeout=timeout_seconds,
    )
    try:
        lines = sandbox.read(report, limit=MAX_REPORT_BYTES)
    except OSError:  # not there, or made into something else by a test
        lines = b""
    except ValueError:
        raise VerifierError(f"the test report is over {MAX_REPORT_BYTES} bytes") from None
    finally:
        sandbox.run(f"rm -rf {folder}", timeout=60)
    read = RUNNERS[runner].parse_report
    found = (
        parse_recorded_lines(lines, key)
        if read is None
        else read(lines).relative_to(sandbox.workdir)
    )
    gave = TestRun(
        result_by_test=found.result_by_test,
        file_by_test=found.file_by_test,
        ended=found.ended if read is None else not result.timed_out,
        timed_out=result.timed_out,
        seconds=result.seconds,
        timeout_seconds=timeout_seconds,
        failure_messages=found.failure_messages,
        tampered=found.tampering_signs,
    )
    return gave if found.result_by_test else replace(gave, output_tail=result.output[-500:])


def parse_unsigned_lines(lines: bytes) -> tuple[dict[str, str], dict[str, str], bool]:
    """Results, files and whether the run ended, from unsigned lines of the recorder."""
    report = parse_recorded_lines(lines)
    return report.result_by_test, report.file_by_test, report.ended
