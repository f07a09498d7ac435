"""Records for each test what failed, where, and whether project code was involved.

This file is copied into the sandbox and never imported by swe-router itself there: it must run on
any Python from 3.6 and import nothing but the standard library. It is a pytest plugin (``-p``),
and a program:

    python failure_recorder.py script FILE ARGS...   a script, as ``python FILE`` would run it
    python failure_recorder.py module FILE           test functions and unittest classes of it
    python failure_recorder.py runner SCRIPT ARGS... a project's own runner, built on unittest

SWE_ROUTER_TEST names the test file, SWE_ROUTER_ROOT the project. Project code is involved if the
test file calls it, directly or through other code; importing it does not count. A file
``setup.json`` next to this one holds the name of the report and a key; it is read and removed
before any project code is loaded. Each result is a flushed line ``MAC {"n": 0, ...}``. Lines are
numbered, which shows missing ones, and signed, which shows lines that a test wrote. The last,
``{"end": true}``, marks the end of the run. This does not stop code that reads the memory of this
very interpreter.
"""

import hashlib
import hmac
import importlib.util
import inspect
import json
import linecache
import os
import re
import runpy
import sys
import traceback
import unittest
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120


def _read_key() -> Any:
    path = os.path.join(_HERE, "setup.json")  # noqa: PTH118
    if not os.path.exists(path):  # noqa: PTH110
        return {"report": "", "key": ""}
    with open(path, encoding="ascii") as kept:  # noqa: PTH123
        setup = json.load(kept)
    os.remove(path)  # noqa: PTH107
    return setup


def _writer(setup: Any) -> Any:
    """A function that appends an entry to the report; what it needs is out of a test's reach."""
    report, key = setup["report"] and os.path.join(_HERE, setup["report"]), setup["key"].encode()  # noqa: PTH118
    mac, sha, dumps, getpid = hmac.new, hashlib.sha256, json.dumps, os.getpid
    opened, write, close = os.open, os.write, os.close
    flags, pid, count = os.O_WRONLY | os.O_APPEND | os.O_CREAT, getpid(), [0]

    def writes(entry: Any) -> None:
        if not report or getpid() != pid:
            return  # a child that was forked off says nothing
        text = dumps(dict(entry, n=count[0])).encode("utf-8", "replace")
        count[0] += 1
        target = opened(report, flags, 0o600)
        try:
            write(target, mac(key, text, sha).hexdigest()[:32].encode() + b" " + text + b"\n")
        finally:
            close(target)

    return writes


_write = _writer(_read_key())
_TEST = os.path.realpath(os.environ.pop("SWE_ROUTER_TEST", ""))
_ROOT = os.path.realpath(os.environ.pop("SWE_ROUTER_ROOT", os.curdir))
_OUTSIDE = re.compile(r"(^|/)(site-packages|dist-packages|\.venv|\.tox|\.git|node_modules)/")
_PRINTED_ERROR = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Warning|Exit))(?:: ?(.*))?$", re.M)
_MAX_COUNT = 2000
_known = {}  # type: Any
_watch = {"touched": False}


def _place(file: Any) -> Any:
    """``test``, ``project`` or ``other``: whose code a file is."""
    if file not in _known:
        path = os.path.realpath(file)
        # Generated code has no file: "<string>" is nobody's.
        inside = path.startswith(_ROOT + os.sep) and not file.startswith("<")
        if path == _TEST:
            _known[file] = "test"
        elif inside and not _OUTSIDE.search(path[len(_ROOT) :]):
            _known[file] = "project"
        else:
            _known[file] = "other"
    return _known[file]


# whether the project had a part ------------------------------------------------------------


def _profile(frame: Any, event: Any, arg: Any) -> None:
    if event == "c_call":
        if _place(frame.f_code.co_filename) == "test" and _compiled_here(arg):
            _seen()
        return
    if event != "call" or _place(frame.f_code.co_filename) != "project":
        return
    while frame is not None:
        place = _place(frame.f_code.co_filename)
        if place == "test":
            _seen()
            return
        if place == "project" and frame.f_code.co_name == "<module>":
            return  # it is only being imported
        frame = frame.f_back


def _compiled_here(function: Any) -> bool:
    owner = (
        getattr(function, "__module__", None)
        or type(getattr(function, "__self__", None)).__module__
    )
    module = sys.modules.get(str(owner))
    return bool(_place(getattr(module, "__file__", None) or "") == "project")


def _seen() -> None:
    _watch["touched"] = True
    sys.setprofile(None)


def _start() -> None:
    _watch["touched"] = False
    sys.setprofile(_profile)


# what failed -------------------------------------------------------------------------------


def _note(test: Any, outcome: Any, phase: Any, error: Any = None) -> None:
    sys.setprofile(None)
    entry = {"id": test, "outcome": outcome, "phase": phase, "touched": _watch["touched"]}
    if error is not None:
        entry.update(_error_facts(error))
    _write(entry)


def _error_facts(error: Any) -> Any:
    frames = list(traceback.extract_tb(error.__traceback__))
    places = [_place(frame.filename) for frame in frames]
    if "test" in places:
        start = places.index("test")
        frames, places = frames[start:], places[start:]
    line = ""
    for frame, place in zip(frames, places):  # noqa: B905  (Python 3.6)
        if place == "test":
            line = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
    where = places[-1] if places else "other"
    if isinstance(error, SyntaxError) and error.filename:
        where = _place(error.filename)
    try:
        message = str(error)
    except Exception:
        message = "?"
    names = [f.name for f, place in zip(frames, places) if place == "project"]  # noqa: B905
    return {
        "kind": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__][:8],
        "message": message[:_MAX_COUNT],
        "line": line[:300],
        "where": where,
        "project": "project" in places,
        "functions": names[-8:],
    }


def _load_error(text: Any) -> Any:
    """An error that only its printed form is left of: it happened while the file was loaded."""
    found = _PRINTED_ERROR.findall(text)
    kind, message = found[-1] if found else ("ImportError", text[-_MAX_COUNT:])
    return {"kind": kind, "bases": [kind], "message": message[:_MAX_COUNT], "line": "",
            "where": "test", "project": False, "functions": []}  # fmt: skip


# pytest ------------------------------------------------------------------------------------


def pytest_runtest_call(item: Any) -> None:
    """The test itself begins."""
    _start()


def pytest_runtest_makereport(item: Any, call: Any) -> None:
    """A phase of a test is over: only the call phase passes it, any phase fails or skips it."""
    name = item.nodeid.split("::", 1)[-1]
    if call.excinfo is None:
        if call.when == "call":
            xfail = hasattr(item, "get_closest_marker") and item.get_closest_marker("xfail")
            _note(name, "skipped" if xfail else "passed", "call")
        return
    error = call.excinfo.value
    if type(error).__name__ in ("Skipped", "XFailed"):
        _note(name, "skipped", call.when)
    elif call.when != "teardown":
        _note(name, "failed", call.when, error)


def pytest_exception_interact(node: Any, call: Any, report: Any) -> None:
    """A file that could not be collected."""
    if report.__class__.__name__ == "CollectReport":
        error = call.excinfo.value
        cause = error.__cause__ or error
        _note("load", "error", "load", cause)


def pytest_sessionfinish(session: Any) -> None:
    """The run came to its end."""
    _write({"end": True})


# unittest and Django -----------------------------------------------------------------------


def _listen_to_unittest() -> None:
    def tell(method: str, act: Any) -> None:
        inner = getattr(unittest.TestResult, method)

        def outer(self: Any, test: Any, *args: Any) -> Any:
            act(test, *args)
            return inner(self, test, *args)

        setattr(unittest.TestResult, method, outer)

    tell("startTest", lambda test: _start())
    tell("addSuccess", lambda test: _unittest(test, "passed"))
    tell("addError", lambda test, error: _unittest(test, "failed", error))
    tell("addFailure", lambda test, error: _unittest(test, "failed", error))
    tell("addSkip", lambda test, why: _unittest(test, "skipped"))
    tell("addExpectedFailure", lambda test, error: _unittest(test, "skipped"))
    tell("addUnexpectedSuccess", lambda test: _unittest(test, "failed"))
    inner = unittest.TestResult.addSubTest

    def sub(self: Any, test: Any, subtest: Any, error: Any) -> Any:
        if error is not None:
            _unittest(test, "failed", error)
        return inner(self, test, subtest, error)

    setattr(unittest.TestResult, "addSubTest", sub)  # noqa: B010


def _unittest(test: Any, outcome: Any, error: Any = None) -> None:
    kind = type(test)
    if kind.__name__ in ("_FailedTest", "_ErrorHolder"):
        sys.setprofile(None)
        text = str(error[1]) if error else ""
        if kind.__name__ == "_ErrorHolder" and error:
            _note(test.id(), "error", "setup", error[1])
        else:
            _write(dict(_load_error(text), id="load", outcome="error", phase="load", touched=False))
        return
    name = ".".join(str(test.id()).split(".")[-2:])
    _note(name, outcome, "call", error[1] if error else None)


# a file by itself --------------------------------------------------------------------------


def _module(path: str) -> None:
    sys.path.insert(0, _ROOT)
    name = os.path.basename(path)[:-3]  # noqa: PTH119
    spec = importlib.util.spec_from_file_location(name, path)  # type: Any
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        _note("load", "error", "load", error)
        traceback.print_exc()
        return
    for key, value in sorted(vars(module).items()):
        if key.startswith("test") and inspect.isroutine(value):
            _function(key, value)
    _listen_to_unittest()
    suite = unittest.TestLoader().loadTestsFromModule(module)
    unittest.TextTestRunner(verbosity=0).run(suite)


def _function(name: str, function: Any) -> None:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        _note(name, "failed", "setup", error)
        return
    _start()
    try:
        function()
    except BaseException as error:
        kind = type(error).__name__
        skipped = kind in ("Skipped", "SkipTest", "XFail", "XPass")
        _note(name, "skipped" if skipped else "failed", "call", None if skipped else error)
        if not skipped:
            traceback.print_exc()
        return
    _note(name, "passed", "call")


def _script(path: str) -> int:
    sys.path[0] = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120
    _start()
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as error:
        code = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        if not isinstance(error.code, (int, type(None))):
            sys.stderr.write(str(error.code) + "\n")
        _note("script", "failed" if code else "passed", "call", error if code else None)
        return code
    except BaseException as error:
        _note("script", "failed", "call", error)
        trace = error.__traceback__
        while trace is not None and _place(trace.tb_frame.f_code.co_filename) != "test":
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)
        return 1
    _note("script", "passed", "call")
    return 0


def main(argv: Any) -> int:
    """Run a file in one of the three ways."""
    way, rest = argv[0], argv[1:]
    sys.argv = rest
    code = 0
    try:
        if way == "script":
            code = _script(rest[0])
        elif way == "module":
            _module(rest[0])
        else:
            _listen_to_unittest()
            sys.path[0] = os.path.dirname(os.path.abspath(rest[0]))  # noqa: PTH100, PTH120
            runpy.run_path(rest[0], run_name="__main__")
    except SystemExit:
        _write({"end": True})
        raise
    _write({"end": True})
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
