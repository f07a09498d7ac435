"""The recorder that runs in a sandbox: what it tells of each test, in each of its three ways."""

from __future__ import annotations

import functools
import hashlib
import hmac
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import swe_router

RECORDER = Path(swe_router.__file__).parent / "verifiers/in_sandbox/failure_recorder.py"
KEY = "a key"
SHOP = """\
def price(name):
    if name == "gone":
        raise LookupError("no such thing")
    return 3
"""
MODULE = """\
import unittest
from shop import price

def test_right():
    assert price("tea") == 3

def test_wrong():
    assert price("tea") == 4

def test_breaks_in_the_project():
    price("gone")

def test_without_the_project():
    assert 1 == 2

def test_wants_a_fixture(tmp_path):
    pass

def test_skips():
    raise unittest.SkipTest("not here")

class Case(unittest.TestCase):
    def test_good(self):
        self.assertEqual(price("tea"), 3)

    def test_bad(self):
        self.assertEqual(price("tea"), 5)

    def test_error(self):
        price("gone")

    def test_sub(self):
        with self.subTest("one"):
            self.assertEqual(1, 2)

    @unittest.skip("no")
    def test_skipped(self):
        pass

    @unittest.expectedFailure
    def test_known(self):
        self.fail("known")

    @unittest.expectedFailure
    def test_unexpected(self):
        pass
"""


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (root / "shop.py").write_text(SHOP)
    return root


def recorded(project: Path, way: str, text: str, *words: str):
    """(exit code, what was printed, entries by id, whether the run ended) of one file."""
    home = project.parent / "recorder"
    home.mkdir(exist_ok=True)
    shutil.copy(RECORDER, home / "failure_recorder.py")
    (home / "report").unlink(missing_ok=True)
    (home / "setup.json").write_text(json.dumps({"report": "report", "key": KEY}))
    file = project / "try_it.py"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, str(home / "failure_recorder.py"), way, str(file), *words],
        cwd=project, capture_output=True, text=True, check=False,
        env={**os.environ, "SWE_ROUTER_TEST": str(file), "SWE_ROUTER_ROOT": str(project)},
    )  # fmt: skip
    assert not (home / "setup.json").exists(), "the key is out of the project's reach"
    entries = []
    for number, line in enumerate((home / "report").read_bytes().splitlines()):
        mac, _, text_ = line.partition(b" ")
        assert mac.decode() == hmac.new(KEY.encode(), text_, hashlib.sha256).hexdigest()[:32]
        entries.append(json.loads(text_))
        assert entries[-1]["n"] == number, "a line that was taken away is missed"
    ended = bool(entries) and entries[-1].get("end") is True
    return done.returncode, done.stdout + done.stderr, {e["id"]: e for e in entries[:-1]}, ended


def test_every_test_of_a_file_says_what_became_of_it_and_whose_part_it_was(project):
    _, said, found, ended = recorded(project, "module", MODULE)
    assert ended
    outcomes = {name: entry["outcome"] for name, entry in found.items()}
    assert outcomes == {
        "test_right": "passed", "test_wrong": "failed", "test_breaks_in_the_project": "failed",
        "test_without_the_project": "failed", "test_wants_a_fixture": "failed",
        "test_skips": "skipped", "Case.test_good": "passed", "Case.test_bad": "failed",
        "Case.test_error": "failed", "Case.test_sub": "failed", "Case.test_skipped": "skipped",
        "Case.test_known": "skipped", "Case.test_unexpected": "failed",
    }  # fmt: skip
    assert found["test_wants_a_fixture"]["phase"] == "setup"
    broke = found["test_breaks_in_the_project"]
    assert (broke["kind"], broke["message"]) == ("LookupError", "no such thing")
    assert (broke["where"], broke["functions"]) == ("project", ["price"])
    assert broke["line"] == 'price("gone")'
    assert found["test_wrong"]["where"] == "test"
    assert found["test_wrong"]["touched"]
    assert not found["test_without_the_project"]["touched"], "the project had no part in it"
    assert "no such thing" in said


@pytest.mark.parametrize(
    ("text", "kind", "where"),
    [("import nothing_of_that_name\n", "ModuleNotFoundError", "test"),
     ("def broken(:\n", "SyntaxError", "test"),
     ("import shop\nshop.price('gone')\n", "LookupError", "project")],
)  # fmt: skip
def test_a_file_that_does_not_load_is_an_error_and_no_failure(project, text, kind, where):
    _, _, found, ended = recorded(project, "module", text)
    assert ended
    assert (found["load"]["outcome"], found["load"]["kind"]) == ("error", kind)
    assert found["load"]["where"] == where


@pytest.mark.parametrize(
    ("text", "code", "outcome", "printed"),
    [("from shop import price\nprint(price('tea'))\n", 0, "passed", "3"),
     ("import sys\nsys.exit(3)\n", 3, "failed", ""),
     ("import sys\nsys.exit('it is wrong')\n", 1, "failed", "it is wrong"),
     ("raise SystemExit\n", 0, "passed", ""),
     ("from shop import price\nprice('gone')\n", 1, "failed", "LookupError: no such thing")],
)  # fmt: skip
def test_a_script_ends_as_python_would_end_it(project, text, code, outcome, printed):
    came, said, found, ended = recorded(project, "script", text)
    assert (came, found["script"]["outcome"], ended) == (code, outcome, True)
    assert printed in said
    assert "failure_recorder.py" not in said, "the traceback begins in the script"


def test_a_runner_built_on_unittest_is_listened_to(project):
    text = MODULE + "\n\nclass Loads(unittest.TestCase):\n    def setUpClass():\n        1 / 0\n" \
        "    def test_x(self):\n        pass\n\nunittest.main(argv=['x', '-q'])\n"  # fmt: skip
    code, _, found, ended = recorded(project, "runner", text)
    assert (code, ended) == (1, True)
    assert found["Case.test_good"]["outcome"] == "passed"
    assert found["Case.test_bad"]["outcome"] == "failed"
    assert [one for one in found.values() if one["phase"] == "setup"], "a class that did not load"


@pytest.fixture
def recorder(project, monkeypatch):
    """The recorder as a module of this process, whose test file is ``project/try_it.py``."""
    shutil.copy(RECORDER, project.parent / "failure_recorder.py")
    monkeypatch.setenv("SWE_ROUTER_TEST", str(project / "try_it.py"))
    monkeypatch.setenv("SWE_ROUTER_ROOT", str(project))
    path = project.parent / "failure_recorder.py"
    spec = importlib.util.spec_from_file_location("failure_recorder", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call_through(act, folder: Path, *files: str) -> None:
    """``act(frame)`` with the frame of the last file's function, each file calling the next."""

    def innermost() -> None:
        act(sys._getframe(1))

    call = innermost
    for name in reversed(files):
        file, _, at_import = name.partition("!")
        text = "call()" if at_import else "def function():\n    call()\n"
        space = {"call": call}
        code = compile(text, str(folder / file), "exec")
        if at_import:
            call = functools.partial(exec, code, space)
        else:
            exec(code, space)
            call = space["function"]
    call()


@pytest.mark.parametrize(
    ("files", "touched"),
    [
        (("try_it.py", "shop.py"), True),
        (("try_it.py", ".venv/lib/site-packages/other.py", "shop.py"), True),
        (("try_it.py", "shop.py!import"), False),
        (("try_it.py", "shop.py!import", "shop.py"), False),
        (("try_it.py", "other.py/../../elsewhere.py"), False),
        (("shop.py",), False),
    ],
)
def test_a_call_is_the_projects_part_only_where_the_test_made_it(recorder, project, files, touched):
    call_through(lambda frame: recorder._profile(frame, "call", None), project, *files)
    assert recorder._watch["touched"] is touched


def test_a_return_is_no_call_of_the_project(recorder, project):
    files = ("try_it.py", "shop.py")
    call_through(lambda frame: recorder._profile(frame, "return", None), project, *files)
    assert recorder._watch["touched"] is False


def test_a_compiled_function_of_the_project_that_the_test_calls_is_its_part(
    recorder, project, monkeypatch
):
    compiled = types.ModuleType("compiled_shop")
    compiled.__file__ = str(project / "compiled_shop.so")
    monkeypatch.setitem(sys.modules, "compiled_shop", compiled)
    kind = type("Price", (), {"__module__": "compiled_shop"})
    for file, function, touched in (
        ("try_it.py", len, False),
        ("try_it.py", [].append, False),
        ("shop.py", types.SimpleNamespace(__module__="compiled_shop"), False),
        ("try_it.py", types.SimpleNamespace(__module__=None, __self__=kind()), True),
        ("try_it.py", types.SimpleNamespace(__module__="compiled_shop"), True),
    ):
        recorder._watch["touched"] = False
        call_through(
            lambda frame, called=function: recorder._profile(frame, "c_call", called), project, file
        )
        assert recorder._watch["touched"] is touched, (file, function)


PYTEST_FILE = """\
import pytest
from shop import price

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError

@pytest.fixture
def broken():
    price("gone")

@pytest.fixture
def leaves():
    yield
    raise RuntimeError("after the test")

def test_right(leaves):
    assert price("tea") == 3

def test_wrong():
    assert price("tea") == 4

def test_setup(broken):
    pass

def test_skips():
    pytest.skip("not here")

def test_expected_to_fail():
    pytest.xfail("known")

@pytest.mark.xfail
def test_passes_unexpectedly():
    pass

def test_unprintable():
    raise Unprintable
"""


def recorded_by_pytest(project: Path, text: str):
    """What the recorder as a pytest plugin says of each test of a file; whether the run ended."""
    home = project.parent / "recorder"
    home.mkdir()
    shutil.copy(RECORDER, home / "failure_recorder.py")
    (home / "setup.json").write_text(json.dumps({"report": "report", "key": KEY}))
    file = project / "test_it.py"
    file.write_text(text)
    paths = {"SWE_ROUTER_TEST": str(file), "SWE_ROUTER_ROOT": str(project)}
    flags = ("-q", "-p", "no:cacheprovider", "-p", "failure_recorder")
    subprocess.run(
        [sys.executable, "-m", "pytest", *flags, str(file)],
        cwd=project, capture_output=True, check=False,
        env={**os.environ, **paths, "PYTHONPATH": str(home)},
    )  # fmt: skip
    lines = (home / "report").read_bytes().splitlines()
    entries = [json.loads(line.partition(b" ")[2]) for line in lines]
    return {e["id"]: e for e in entries[:-1]}, entries[-1].get("end") is True


def test_pytest_tells_a_test_that_failed_from_one_that_was_never_run(project):
    found, ended = recorded_by_pytest(project, PYTEST_FILE)
    assert ended
    assert {name: (entry["outcome"], entry["phase"]) for name, entry in found.items()} == {
        "test_right": ("passed", "call"),
        "test_wrong": ("failed", "call"),
        "test_setup": ("failed", "setup"),
        "test_skips": ("skipped", "call"),
        "test_expected_to_fail": ("skipped", "call"),
        "test_passes_unexpectedly": ("skipped", "call"),
        "test_unprintable": ("failed", "call"),
    }
    assert found["test_setup"]["kind"] == "LookupError"
    assert found["test_unprintable"]["message"] == "?"
    assert found["test_wrong"]["touched"]


def test_pytest_s_load_error_names_its_cause(project):
    found, ended = recorded_by_pytest(project, "import nothing_of_that_name\n")
    assert ended
    load = found["load"]
    assert (load["outcome"], load["phase"]) == ("error", "load")
    assert load["kind"] == "ModuleNotFoundError"


def test_a_module_that_unittest_could_not_load_is_known_by_its_printed_error(project):
    text = "import unittest\nunittest.main(module=None, argv=['x', 'nowhere_to_be_found'])\n"
    _, _, found, ended = recorded(project, "runner", text)
    assert ended
    assert (found["load"]["outcome"], found["load"]["kind"]) == ("error", "ModuleNotFoundError")
    assert found["load"]["message"] == "No module named 'nowhere_to_be_found'"


def test_without_a_key_nothing_is_written_and_the_script_runs(project):
    shutil.copy(RECORDER, project.parent / "failure_recorder.py")
    (project / "try_it.py").write_text("print('ran')\n")
    done = subprocess.run(
        [sys.executable, str(project.parent / "failure_recorder.py"), "script", "try_it.py"],
        cwd=project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "ran\n"
    left = sorted(path.name for path in project.parent.iterdir())
    assert left == ["failure_recorder.py", "project"]
