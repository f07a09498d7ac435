"""One test, one sandbox, one run: where the test is put, how it is started, what came of it."""

from __future__ import annotations

import hashlib
import json
import posixpath
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from swe_router.errors import VerifierError
from swe_router.seams import Sandbox
from swe_router.verifiers.testing.results import signed_entry

RunMode = Literal["pytest", "django", "module", "script"]
FAILURE_RECORDER = Path(__file__).parents[1] / "in_sandbox" / "failure_recorder.py"
MAX_REPORT_BYTES = 8_000_000
"""Bytes of results read of one run."""

_STATE_COMMAND = (
    "{ git rev-parse HEAD; git diff HEAD -- .; } | git hash-object --stdin;"
    " git ls-files -o -z --exclude='*.pyc' | xargs -0r stat -c '%n %s %Y' | git hash-object --stdin"
)
"""Two lines that tell the state of the files that git knows (a script may commit what it changed),
and which others there are, their sizes and times (it may build an extension anew)."""


@dataclass(frozen=True)
class Test:
    """A test as text, and how it is run."""

    __test__ = False

    text: str
    run_mode: RunMode
    folder: str = ""
    """Folder of the repository in which it is put; empty is the root."""
    file_stem: str = "test"
    """What its file name begins with; the rest is made up for each run."""
    arguments: tuple[str, ...] = ()
    """Of a script."""
    needed_files: Mapping[str, str] = field(default_factory=dict)
    """Files that it needs next to it: path -> text."""
    working_directory: str = ""
    """Folder in which the command is started; empty is the work folder."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Set for the command."""

    @property
    def digest(self) -> str:
        """SHA-256 hex of its text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def key(self) -> str:
        """SHA-256 hex of all that its results depend on, except the code under test."""
        given = [
            list(self.arguments),
            dict(self.needed_files),
            self.working_directory,
            dict(self.variables),
        ]
        whole = [self.text, self.run_mode, self.folder, *given]
        text = json.dumps(whole, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class TrialResult:
    """The failure recorder's entry of one test function; ``script`` for a whole script."""

    id: str
    outcome: str
    """passed | failed | skipped | error (its file does not load)."""
    phase: str
    """load | setup | call."""
    touched: bool = False
    """It called code of the project."""
    kind: str = ""
    """Class of the exception."""
    bases: tuple[str, ...] = ()
    message: str = ""
    line: str = ""
    """The line of the test that failed."""
    where: str = ""
    """Whose code the exception left first: test | project | other."""
    project: bool = False
    """Code of the project lies on the traceback, below the test."""
    functions: tuple[str, ...] = ()
    """Innermost functions of the project on the traceback."""


@dataclass(frozen=True)
class TestTrial:
    """What one run of a test gave."""

    test_results: Mapping[str, TrialResult] = field(default_factory=dict)
    ended: bool = False
    """The run came to its own end."""
    timed_out: bool = False
    exit_code: int = 0
    output: str = ""
    output_is_cut: bool = False
    """Part of the output was left out."""
    seconds: float = 0.0
    timeout_seconds: float = 0.0
    meddles: bool = False
    """It left files of the repository otherwise than it found them."""
    tampered: bool = False
    """Someone else wrote to the report, or took lines away: nothing of it is to be trusted."""
    soils_sandbox: bool = False
    """Whether its sandbox is no longer fresh: it wrote files, or did not come to its end."""
    sandbox_state: tuple[str, ...] = ()
    """Of the sandbox when it was over, as ``run`` takes it."""


def run_test(
    sandbox: Sandbox,
    test: Test,
    python: str,
    timeout_seconds: float,
    before_run: tuple[str, ...] = (),
) -> TestTrial:
    """Run a test in a sandbox, at most ``timeout_seconds``, under a name that no patch can know.

    ``before_run``: the state in which the last run left the sandbox, where nothing was done to it
    since. Raises ``VerifierError`` when the report cannot be read, ``SandboxError`` when the
    sandbox broke.
    """
    folder = f"/tmp/swe-router-{secrets.token_hex(8)}"  # noqa: S108  (of the sandbox)
    report, key = f"{folder}/{secrets.token_hex(8)}", secrets.token_hex(16)
    name = f"{test.file_stem}_{secrets.token_hex(6)}"
    path = posixpath.join(test.folder, f"{name}.py")
    before_run = before_run or tuple(sandbox.run(_STATE_COMMAND, timeout=60).output.splitlines())
    sandbox.write(f"{folder}/failure_recorder.py", FAILURE_RECORDER.read_bytes())
    setup = {"report": posixpath.basename(report), "key": key}
    sandbox.write(f"{folder}/setup.json", json.dumps(setup).encode())
    for other, text in test.needed_files.items():
        sandbox.write(other, text.encode("utf-8", "surrogateescape"))
    sandbox.write(path, test.text.encode("utf-8", "surrogateescape"))
    command = _run_command(test, path, folder, shlex.quote(python), sandbox.workdir)
    result = sandbox.run(f"{_environment_lines(test, path)}{command}", timeout=timeout_seconds)
    try:
        lines = sandbox.read(report, limit=MAX_REPORT_BYTES)
    except FileNotFoundError:
        lines = b""
    except ValueError:
        raise VerifierError(f"the test report is over {MAX_REPORT_BYTES} bytes") from None
    finally:
        gone = f"rm -rf -- {shlex.join([folder, path, *test.needed_files])} >/dev/null 2>&1"
        state = tuple(sandbox.run(f"{gone}\n{_STATE_COMMAND}", timeout=120).output.splitlines())
    seen, ended, tampered = parse_report(lines, key)
    return TestTrial(
        test_results=seen,
        ended=ended,
        timed_out=result.timed_out,
        exit_code=result.exit_code,
        output=result.output.replace(name, test.file_stem),
        output_is_cut=result.dropped > 0,
        seconds=result.seconds,
        timeout_seconds=timeout_seconds,
        tampered=tampered,
        meddles=state[:1] != before_run[:1],
        soils_sandbox=state != before_run or result.timed_out,
        sandbox_state=state,
    )


def parse_report(lines: bytes, key: str) -> tuple[dict[str, TrialResult], bool, bool]:
    """Results, whether the run ended, and whether the report was tampered with.

    A torn last line is left. A test that is reported twice (subtests, a failed teardown) keeps its
    first failure.
    """
    seen: dict[str, TrialResult] = {}
    ended, foreign, numbers = False, False, set[int]()
    for line in lines.splitlines(keepends=True):
        entry = signed_entry(line, key)
        if entry is None:
            foreign = foreign or line.endswith(b"\n")
            continue
        numbers.add(entry["n"])
        ended = ended or entry.get("end") is True
        if isinstance(entry.get("id"), str):
            one = _result_of_entry(entry)
            if seen.get(one.id, one).outcome not in ("failed", "error"):
                seen[one.id] = one
            seen.setdefault(one.id, one)
    missing = max(numbers, default=-1) + 1 != len(numbers)
    return seen, ended, foreign or missing


def _result_of_entry(entry: Mapping[str, Any]) -> TrialResult:
    def text(key: str) -> str:
        return str(entry.get(key, ""))

    return TrialResult(
        id=text("id"),
        outcome=text("outcome"),
        phase=text("phase"),
        touched=entry.get("touched") is True,
        kind=text("kind"),
        bases=tuple(map(str, entry.get("bases", ()))),
        message=text("message"),
        line=text("line"),
        where=text("where"),
        project=entry.get("project") is True,
        functions=tuple(map(str, entry.get("functions", ()))),
    )


def _environment_lines(test: Test, path: str) -> str:
    """The lines before the command: environment of the failure recorder and of the script."""
    file = path if path.startswith("/") else f"$PWD/{path}"
    own = "".join(
        f" {name}={shlex.quote(value)}"
        for name, value in test.variables.items()
        if name.isidentifier()
    )
    where = f"cd {shlex.quote(test.working_directory)} && " if test.working_directory else ""
    return f'export SWE_ROUTER_ROOT="$PWD" SWE_ROUTER_TEST="{file}"{own}; {where}'


def _run_command(test: Test, path: str, folder: str, python: str, workdir: str) -> str:
    file = posixpath.join(workdir, path) if test.working_directory else path
    file = shlex.quote(file)
    if test.run_mode == "pytest":
        found = f"PYTHONPATH={folder}${{PYTHONPATH:+:$PYTHONPATH}}"
        flags = "-q --tb=short -p no:cacheprovider -p failure_recorder"
        return f"{found} {python} -m pytest {flags} {file}"
    if test.run_mode == "django":
        label = path.removeprefix("tests/").removesuffix(".py").replace("/", ".")
        flags = "--verbosity 0 --settings=test_sqlite --parallel 1"
        script = f"{folder}/failure_recorder.py runner tests/runtests.py"
        return f"{python} {script} {flags} {shlex.quote(label)}"
    rest = _shell_words(test.arguments)
    return f"{python} {folder}/failure_recorder.py {test.run_mode} {file}{rest}"


def _shell_words(words: Sequence[str]) -> str:
    return "".join(f" {shlex.quote(word)}" for word in words)
