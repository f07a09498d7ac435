"""Records each test's result as a signed line of JSON, from inside the project's own interpreter.

This file is copied into the sandbox and never imported by swe-router itself there: it must run on
any Python from 3.6 and import nothing but the standard library. It runs a script, a module or
pytest with the results of pytest, unittest or sympy's reporter listened to:

    python recorder.py SCRIPT ARGS...        python recorder.py -m MODULE ARGS...

A file ``key`` next to it holds the name of the report and a key; it is read and removed before
any project code is loaded. Each line of the report is ``MAC {"n": 0, "id": ..., "outcome":
...}``. Lines are numbered, which shows missing ones, and signed, which shows lines that a test
wrote. A report that was removed or changed is written anew at the next result. Lines are flushed
one by one, so a suite that hangs or dies leaves its results so far. The last one, ``{"end":
true}``, marks the end of the run. This does not stop code that reads the recorder's own memory:
it runs in the same interpreter.
"""

import hashlib
import hmac
import importlib
import json
import os
import runpy
import sys
import time
import unittest
from typing import Any

_ROOT = os.getcwd()  # noqa: PTH109
_MAX_WHY = 200
"""Characters kept of why a test failed."""


def _writer() -> Any:
    """A function that appends an entry to the report; what it needs is out of a test's reach."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    path = os.path.join(folder, "key")  # noqa: PTH118
    if not os.path.exists(path):  # noqa: PTH110
        return lambda entry: None
    with open(path, encoding="ascii") as kept:  # noqa: PTH123
        setup = json.load(kept)
    os.remove(path)  # noqa: PTH107
    report, key = os.path.join(folder, setup["report"]), setup["key"].encode()  # noqa: PTH118
    # Tests replace such functions, and may leave them replaced.
    mac, sha, dumps, getpid, clock = hmac.new, hashlib.sha256, json.dumps, os.getpid, time.time
    opened, write, close, fstat, makedirs = os.open, os.write, os.close, os.fstat, os.makedirs
    add, anew = os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_WRONLY | os.O_TRUNC | os.O_CREAT
    pid, begun = getpid(), clock()
    lines = []  # type: Any

    def put(flags: int, data: bytes, size: int) -> bool:
        """Write to the report if it is as long as what was written to it."""
        target = opened(report, flags, 0o600)
        try:
            if flags == add and fstat(target).st_size != size:
                return False
            while data:
                data = data[write(target, data) :]
            return True
        finally:
            close(target)

    def record(entry: Any) -> None:
        if getpid() != pid:
            return  # a forked child that runs on through the tests
        numbered = dict(entry, n=len(lines), at=round(clock() - begun, 3))
        text = dumps(numbered)
        line = (mac(key, text.encode(), sha).hexdigest()[:32] + " " + text + "\n").encode()
        before = lines[-1][1] if lines else 0
        lines.append((line, before + len(line)))
        try:
            if not put(add, line, before):
                put(anew, b"".join(line for line, _ in lines), 0)
        except OSError:
            # A test removed the folder, say: the whole report once more, if it can be.
            try:
                makedirs(folder, exist_ok=True)
                put(anew, b"".join(line for line, _ in lines), 0)
            except OSError:
                pass

    return record


_write = _writer()


def _note(test: str, file: str, outcome: str, why: Any = "") -> None:
    entry = {"id": test, "file": file, "outcome": outcome}
    if why:
        entry["why"] = str(why)[-_MAX_WHY:]
    _write(entry)


# pytest ------------------------------------------------------------------------------------


class Listener:
    """A pytest plugin."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A phase of a test: only the call phase passes it, any phase fails or skips it."""
        if report.when == "call" or report.outcome != "passed":
            file = report.nodeid.split("::")[0]
            _note(report.nodeid, file, report.outcome, _crash(report))

    def pytest_collectreport(self, report: Any) -> None:
        """A file that could not be collected."""
        if report.failed:
            _note(report.nodeid, report.nodeid.split("::")[0], "error", _crash(report))

    def pytest_sessionfinish(self, session: Any) -> None:
        """The run came to its end."""
        _write({"end": True})


def _crash(report: Any) -> str:
    if report.outcome != "failed":
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", None) or report.longrepr or "").strip()


def _run_pytest(arguments: Any) -> None:
    # Imported before the project's folder can name a module like it.
    pytest = importlib.import_module("pytest")
    sys.path[0] = _ROOT
    sys.argv = ["pytest", *arguments]
    raise SystemExit(int(pytest.main(list(arguments), plugins=[Listener()])))


# unittest and Django -----------------------------------------------------------------------


def _listen_to_unittest() -> None:
    def tell(method: str, outcome: str) -> None:
        inner = getattr(unittest.TestResult, method)

        def outer(self: Any, test: Any, *args: Any) -> Any:
            _note_unittest(test, outcome, args)
            return inner(self, test, *args)

        setattr(unittest.TestResult, method, outer)

    tell("addSuccess", "passed")
    tell("addError", "failed")
    tell("addFailure", "failed")
    tell("addSkip", "skipped")
    tell("addExpectedFailure", "skipped")
    tell("addUnexpectedSuccess", "failed")
    inner = unittest.TestResult.addSubTest

    def sub(self: Any, test: Any, subtest: Any, err: Any) -> Any:
        if err is not None:
            _note_unittest(test, "failed", (err,))
        return inner(self, test, subtest, err)

    setattr(unittest.TestResult, "addSubTest", sub)  # noqa: B010


def _note_unittest(test: Any, outcome: str, args: Any) -> None:
    kind = type(test)
    why = _error_text(args[0]) if outcome == "failed" and args else ""
    if kind.__name__ in ("_FailedTest", "_ErrorHolder"):
        _note(test.id(), "", "error", why)
        return
    file = getattr(sys.modules.get(kind.__module__), "__file__", "") or ""
    _note(test.id(), os.path.relpath(file, _ROOT) if file else "", outcome, why)


def _error_text(exc_info: Any) -> str:
    try:
        return str(exc_info[0].__name__ + ": " + str(exc_info[1]))
    except Exception:
        return ""  # an exception that cannot be shown is still a failure


# sympy -------------------------------------------------------------------------------------


def _listen_to_sympy() -> None:
    sys.path.insert(0, _ROOT)
    try:
        home = importlib.import_module("sympy.testing.runtests")
    except ImportError:
        home = importlib.import_module("sympy.utilities.runtests")
    reporter = home.PyTestReporter
    now = {"file": "", "test": ""}

    def before(method: str, act: Any) -> None:
        inner = getattr(reporter, method)

        def outer(self: Any, *args: Any, **kwargs: Any) -> Any:
            act(*args, **kwargs)
            return inner(self, *args, **kwargs)

        setattr(reporter, method, outer)

    def entering_file(filename: Any, n: Any) -> None:
        now["file"] = os.path.relpath(str(filename), _ROOT)

    def entering_test(function: Any) -> None:
        now["test"] = function.__name__

    def tell(outcome: str) -> Any:
        def act(*args: Any, **kwargs: Any) -> None:
            why = _error_text(args[0]) if outcome == "failed" and args else ""
            _note(now["file"] + "::" + now["test"], now["file"], outcome, why)

        return act

    def broken(filename: Any, exc_info: Any) -> None:
        file = os.path.relpath(str(filename), _ROOT)
        _note(file, file, "error", _error_text(exc_info))

    def threw(exc_info: Any) -> None:
        if now["test"] in _functions(exc_info):
            _note(now["file"] + "::" + now["test"], now["file"], "failed", _error_text(exc_info))
        else:
            _note("load:" + str(exc_info[1]), "", "error")

    before("entering_filename", entering_file)
    before("entering_test", entering_test)
    before("import_error", broken)
    before("test_exception", threw)
    outcomes = {"test_pass": "passed", "test_fail": "failed", "test_skip": "skipped"}
    outcomes.update({"test_xfail": "skipped", "test_xpass": "skipped"})
    for method, outcome in outcomes.items():
        before(method, tell(outcome))


def _functions(exc_info: Any) -> Any:
    """Names of the functions on a traceback: a file that fails to load has no test on it."""
    names = set()
    trace = exc_info[2]
    while trace is not None:
        names.add(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return names


def main(argv: Any) -> None:
    """Run a script or module with its test results listened to."""
    if argv[:2] == ["-m", "pytest"]:
        _run_pytest(argv[2:])
    if argv[0].endswith("bin/test"):
        _listen_to_sympy()
    else:
        _listen_to_unittest()
    try:
        _run(argv)
    except SystemExit:
        _write({"end": True})
        raise
    _write({"end": True})


def _run(argv: Any) -> None:
    if argv[0] == "-m":
        sys.argv = argv[1:]
        sys.path[0] = _ROOT
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        sys.path[0] = os.path.dirname(os.path.abspath(argv[0]))  # noqa: PTH100, PTH120
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
