"""Records each test's result as a line of JSON, from inside the project's own interpreter.

This file is copied into the sandbox and never imported by swe-router itself there: it must run on
any Python from 3.6 and import nothing but the standard library. It is a pytest plugin (``-p``),
and a wrapper that runs a script or module with unittest's or sympy's reporter listened to:

    python recorder.py SCRIPT ARGS...        python recorder.py -m MODULE ARGS...

Results go to the file that SWE_ROUTER_REPORT names, one flushed line each, so that a suite that
hangs or dies leaves what it got to, and one that prints "PASSED" fools nobody. The last line,
``{"end": true}``, says that the run came to its end.
"""

import importlib
import json
import os
import runpy
import sys
import unittest
from typing import Any

_REPORT = os.environ.pop("SWE_ROUTER_REPORT", "")
_ROOT = os.getcwd()  # noqa: PTH109


def _write(entry: Any) -> None:
    if _REPORT:
        with open(_REPORT, "a", encoding="utf-8") as report:  # noqa: PTH123
            report.write(json.dumps(entry) + "\n")


def _note(test: str, file: str, outcome: str) -> None:
    _write({"id": test, "file": file, "outcome": outcome})


# pytest ------------------------------------------------------------------------------------


def pytest_runtest_logreport(report: Any) -> None:
    """A phase of a test: only the call phase passes it, any phase fails or skips it."""
    if report.when == "call" or report.outcome != "passed":
        _note(report.nodeid, report.nodeid.split("::")[0], report.outcome)


def pytest_collectreport(report: Any) -> None:
    """A file that could not be collected."""
    if report.failed:
        _note(report.nodeid, report.nodeid.split("::")[0], "error")


def pytest_sessionfinish(session: Any) -> None:
    """The run came to its end."""
    _write({"end": True})


# unittest and Django -----------------------------------------------------------------------


def _listen_to_unittest() -> None:
    def tell(method: str, outcome: str) -> None:
        inner = getattr(unittest.TestResult, method)

        def outer(self: Any, test: Any, *args: Any) -> Any:
            _note_unittest(test, outcome)
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
            _note_unittest(test, "failed")
        return inner(self, test, subtest, err)

    setattr(unittest.TestResult, "addSubTest", sub)  # noqa: B010


def _note_unittest(test: Any, outcome: str) -> None:
    kind = type(test)
    if kind.__name__ in ("_FailedTest", "_ErrorHolder"):
        _note(test.id(), "", "error")
        return
    file = getattr(sys.modules.get(kind.__module__), "__file__", "") or ""
    _note(test.id(), os.path.relpath(file, _ROOT) if file else "", outcome)


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
            _note(now["file"] + "::" + now["test"], now["file"], outcome)

        return act

    def broken(filename: Any, exc_info: Any) -> None:
        file = os.path.relpath(str(filename), _ROOT)
        _note(file, file, "error")

    def threw(exc_info: Any) -> None:
        if now["test"] in _functions(exc_info):
            _note(now["file"] + "::" + now["test"], now["file"], "failed")
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
        sys.path.insert(0, _ROOT)
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        sys.path[0] = os.path.dirname(os.path.abspath(argv[0]))  # noqa: PTH100, PTH120
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
