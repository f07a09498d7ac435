"""How a project's tests are run, read from its own files, with results nobody can print."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swe_router.errors import VerifierError
from swe_router.seams import Sandbox

RECORDER = Path(__file__).with_name("recorder.py")
REPORT_LIMIT = 64_000_000
"""Bytes of results read of one run: about 500,000 tests."""
LOOK = """
P=$(command -v python || command -v python3) || exit 0
echo "python $P"
[ -f tests/runtests.py ] && [ -d django ] && echo django
[ -f bin/test ] && [ -d sympy ] && echo sympy
"$P" -c 'import pytest' >/dev/null 2>&1 && echo has-pytest
[ -f pytest.ini ] || [ -f conftest.py ] || [ -f tests/conftest.py ] && echo says-pytest
says() { grep -qs -e "$1" tox.ini setup.cfg pyproject.toml setup.py Makefile noxfile.py; }
says pytest && echo says-pytest
says '-m unittest' && echo says-unittest
:
"""
_WORST = {"error": 4, "failed": 3, "passed": 2, "skipped": 1}


@dataclass(frozen=True)
class Runner:
    """A way of running test files; ``command`` has REPORTER where the recorder goes."""

    name: str
    command: Callable[[Sequence[str]], str]
    runs: Callable[[str], bool] = lambda path: True
    """Whether it can be pointed at a file."""


@dataclass(frozen=True)
class TestRun:
    """What one run of tests gave."""

    __test__ = False

    results: Mapping[str, str] = field(default_factory=dict)
    """Test id -> passed | failed | skipped | error, the worst where it was reported twice."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Test id -> its file, where that is known."""
    ended: bool = False
    """The run came to its own end."""
    timed_out: bool = False
    seconds: float = 0.0
    limit: float = 0.0
    """Seconds that it was given."""
    tail: str = ""
    """End of the output, kept when there are no results."""


def _pytest(files: Sequence[str]) -> str:
    path = "PYTHONPATH=REPORTER${PYTHONPATH:+:$PYTHONPATH}"
    flags = "-q --tb=no -p no:cacheprovider -p recorder"
    return f"{path} PYTHON -m pytest {flags} {shlex.join(files)}"


def _django(files: Sequence[str]) -> str:
    labels = [path.removeprefix("tests/").removesuffix(".py").replace("/", ".") for path in files]
    flags = "--verbosity 0 --settings=test_sqlite --parallel 1"
    return f"PYTHON REPORTER/recorder.py tests/runtests.py {flags} {shlex.join(labels)}"


def _sympy(files: Sequence[str]) -> str:
    return f"PYTHON REPORTER/recorder.py bin/test -C --no-subprocess {shlex.join(files)}"


def _unittest(files: Sequence[str]) -> str:
    return f"PYTHON REPORTER/recorder.py -m unittest -q {shlex.join(files)}"


def _on_sqlite(path: str) -> bool:
    """Django's runner aborts as a whole when gis_tests are asked for on a plain database."""
    return path.startswith("tests/") and not path.startswith("tests/gis_tests/")


RUNNERS: Mapping[str, Runner] = {
    "django": Runner("django", _django, _on_sqlite),
    "sympy": Runner("sympy", _sympy),
    "pytest": Runner("pytest", _pytest),
    "unittest": Runner("unittest", _unittest),
}


def detect(box: Sandbox, timeout: float) -> tuple[str, str]:
    """Name of the runner and path of Python inside; empty names when there is none."""
    said = box.run(LOOK, timeout=timeout).output.splitlines()
    facts = {line.strip() for line in said}
    python = next((line.split(" ", 1)[1] for line in said if line.startswith("python ")), "")
    return (choose(facts) if python else ""), python


def choose(facts: set[str]) -> str:
    """The runner that the project's own files ask for."""
    for own in ("django", "sympy"):
        if own in facts:
            return own
    only_unittest = "says-unittest" in facts and "says-pytest" not in facts
    if "has-pytest" in facts and not only_unittest:
        return "pytest"
    return "" if "says-pytest" in facts else "unittest"


def shown(runner: str, files: Sequence[str]) -> str:
    """The command for a reader, without paths of one box."""
    return RUNNERS[runner].command(files).replace("PYTHON ", "python ", 1)


def run(box: Sandbox, runner: str, python: str, files: Sequence[str], limit: float) -> TestRun:
    """Run test files in a box for at most ``limit`` seconds.

    Raises ``VerifierError`` when the report cannot be read, ``SandboxError`` when the box broke.
    """
    folder = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the box)
    report = f"{folder}/{secrets.token_hex(8)}.jsonl"
    box.write(f"{folder}/recorder.py", RECORDER.read_bytes())
    command = RUNNERS[runner].command(files)
    command = command.replace("REPORTER", folder, 1)
    command = command.replace("PYTHON ", f"{shlex.quote(python)} ", 1)
    result = box.run(f"export SWE_ROUTER_REPORT={report}; {command}", timeout=limit)
    try:
        lines = box.read(report, limit=REPORT_LIMIT)
    except FileNotFoundError:
        lines = b""
    except ValueError:
        raise VerifierError(f"the test report is over {REPORT_LIMIT} bytes") from None
    finally:
        box.run(f"rm -rf {folder}", timeout=60)
    results, where, ended = parse(lines)
    return TestRun(
        results=results,
        files=where,
        ended=ended,
        timed_out=result.timed_out,
        seconds=result.seconds,
        limit=limit,
        tail="" if results else result.output[-500:],
    )


def parse(lines: bytes) -> tuple[dict[str, str], dict[str, str], bool]:
    """Results, files and whether the run ended, from the recorder's lines; torn lines are left."""
    results: dict[str, str] = {}
    files: dict[str, str] = {}
    ended = False
    for line in lines.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        ended = ended or entry.get("end") is True
        test, outcome = entry.get("id"), entry.get("outcome")
        if isinstance(test, str) and outcome in _WORST:
            files[test] = str(entry.get("file", ""))
            if _WORST[outcome] > _WORST.get(results.get(test, ""), 0):
                results[test] = outcome
    return results, files, ended
