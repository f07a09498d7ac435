"""The result recorder and the import probe, each run by itself as in a sandbox."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import swe_router
from swe_router.verifiers.in_sandbox import import_probe

RECORDER = Path(swe_router.__file__).parent / "verifiers/in_sandbox/result_recorder.py"
KEY = "a key"
SUITE = """\
import unittest

class Loads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise ValueError("no ground to stand on")
    def test_never(self):
        pass

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not to be shown")

class Case(unittest.TestCase):
    def test_good(self):
        pass
    def test_bad(self):
        self.assertEqual(1, 2)
    def test_unprintable(self):
        raise Unprintable
    @unittest.skip("no")
    def test_skipped(self):
        pass
    @unittest.expectedFailure
    def test_known(self):
        self.fail("known")
    @unittest.expectedFailure
    def test_unexpected(self):
        pass
    def test_sub(self):
        with self.subTest("first"):
            pass
        with self.subTest("second"):
            self.assertEqual(1, 3)
"""


def entries_of(report: bytes) -> list[dict[str, object]]:
    """The entries of a report, each with a good signature and in order."""
    entries = []
    for number, line in enumerate(report.splitlines()):
        mac, _, text = line.partition(b" ")
        assert mac.decode() == hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest()[:32]
        entries.append(json.loads(text))
        assert entries[-1]["n"] == number
    return entries


def run_recorded(folder: Path, *command: str) -> tuple[int, list[dict[str, object]]]:
    """Exit code of a command under the recorder, and the entries of its report."""
    home = folder / "recorder"
    home.mkdir(exist_ok=True)
    shutil.copy(RECORDER, home / "recorder.py")
    (home / "key").write_text(json.dumps({"report": "report", "key": KEY}))
    done = subprocess.run(
        [sys.executable, str(home / "recorder.py"), *command],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    report = home / "report"
    return done.returncode, entries_of(report.read_bytes()) if report.exists() else []


def outcomes_of(entries: list[dict[str, object]]) -> dict[str, object]:
    """Id of each test -> its last outcome."""
    return {str(entry["id"]): entry["outcome"] for entry in entries if "id" in entry}


def test_each_result_of_a_unittest_module_is_recorded_with_its_reason(tmp_path):
    (tmp_path / "suite.py").write_text(SUITE)
    code, entries = run_recorded(tmp_path, "-m", "unittest", "-q", "suite.py")
    assert (code != 0, entries[-1].get("end")) == (True, True)
    assert outcomes_of(entries) == {
        "setUpClass (suite.Loads)": "error",
        "suite.Case.test_good": "passed",
        "suite.Case.test_bad": "failed",
        "suite.Case.test_unprintable": "failed",
        "suite.Case.test_skipped": "skipped",
        "suite.Case.test_known": "skipped",
        "suite.Case.test_unexpected": "failed",
        "suite.Case.test_sub": "failed",
    }
    reasons = {entry["id"]: entry.get("why", "") for entry in entries if "id" in entry}
    assert reasons["suite.Case.test_bad"] == "AssertionError: 1 != 2"
    assert reasons["suite.Case.test_sub"] == "AssertionError: 1 != 3"
    assert reasons["setUpClass (suite.Loads)"] == "ValueError: no ground to stand on"
    assert reasons["suite.Case.test_unprintable"] == "", "it failed, though no text shows it"
    files = {entry.get("file") for entry in entries if entry.get("outcome") == "passed"}
    assert files == {"suite.py"}


def test_a_file_that_pytest_cannot_collect_is_an_error_with_its_message(tmp_path):
    (tmp_path / "test_a.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "test_b.py").write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2\n")
    flags = ("-q", "-p", "no:cacheprovider", "--continue-on-collection-errors")
    code, entries = run_recorded(tmp_path, "-m", "pytest", *flags, "test_a.py", "test_b.py")
    assert code == 1
    assert outcomes_of(entries) == {
        "test_a.py": "error",
        "test_b.py::test_good": "passed",
        "test_b.py::test_bad": "failed",
    }
    reasons = {entry["id"]: entry.get("why", "") for entry in entries if "id" in entry}
    assert "nothing_of_that_name" in str(reasons["test_a.py"])
    assert str(reasons["test_b.py::test_bad"]).startswith("assert 1 == 2")


FORK = """\
import os, unittest

class Case(unittest.TestCase):
    def test_forks(self):
        if os.fork():
            os.wait()

unittest.main(argv=["x", "-q"])
"""


def test_a_child_that_runs_on_through_the_tests_records_nothing(tmp_path):
    (tmp_path / "forks.py").write_text(FORK)
    _, entries = run_recorded(tmp_path, "forks.py")
    assert [entry.get("outcome") for entry in entries] == ["passed", None]


DESTROYS = """\
import os, pathlib, shutil, sys, unittest

HOME = pathlib.Path("recorder")

class Case(unittest.TestCase):
    def test_a_first(self):
        pass
    def test_b_forges(self):
        (HOME / "report").write_bytes(b"forged")
    def test_c_removes(self):
        shutil.rmtree(HOME)
    def test_d_last(self):
        pass

unittest.main(argv=["x", "-q"])
"""


def test_a_report_that_a_test_changed_or_removed_is_written_anew(tmp_path):
    (tmp_path / "destroys.py").write_text(DESTROYS)
    _, entries = run_recorded(tmp_path, "destroys.py")
    assert list(outcomes_of(entries).values()) == ["passed"] * 4
    assert entries[-1].get("end") is True


def test_a_report_that_cannot_be_written_any_more_stops_no_test(tmp_path):
    text = DESTROYS.replace("shutil.rmtree(HOME)", "shutil.rmtree(HOME); HOME.write_text('')")
    (tmp_path / "destroys.py").write_text(text)
    code, entries = run_recorded(tmp_path, "destroys.py")
    assert (code, entries) == (0, [])
    assert (tmp_path / "recorder").read_text() == ""


def test_without_a_key_the_suite_runs_and_nothing_is_recorded(tmp_path):
    shutil.copy(RECORDER, tmp_path / "recorder.py")
    (tmp_path / "t.py").write_text("print('ran')\n")
    done = subprocess.run(
        [sys.executable, "recorder.py", "t.py"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "ran\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recorder.py", "t.py"]


def test_an_old_sympys_reporter_is_found_where_it_was(tmp_path):
    reporter = (
        "class PyTestReporter:\n"
        "    def entering_filename(self, filename, n): pass\n"
        "    def entering_test(self, f): pass\n"
        "    def import_error(self, filename, exc_info): pass\n"
        "    def test_exception(self, exc_info): pass\n"
        "    def test_pass(self, char='.'): pass\n"
        "    def test_fail(self, exc_info): pass\n"
        "    def test_skip(self, v=None): pass\n"
        "    def test_xfail(self): pass\n"
        "    def test_xpass(self, v): pass\n"
    )
    call = (
        "import os\n"
        "from sympy.utilities.runtests import PyTestReporter\n"
        "def good(): pass\n"
        "r = PyTestReporter()\n"
        "r.entering_filename(os.path.abspath('sympy/a.py'), 1)\n"
        "r.entering_test(good)\n"
        "r.test_pass()\n"
    )
    for name, text in {
        "sympy/__init__.py": "",
        "sympy/utilities/__init__.py": "",
        "sympy/utilities/runtests.py": reporter,
        "bin/test": call,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    code, entries = run_recorded(tmp_path, "bin/test")
    assert code == 0
    assert outcomes_of(entries) == {"sympy/a.py::good": "passed"}


# the import probe --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "word", "message"),
    [
        (b"ONE = 1\n", "ok", ""),
        (b"x = (\n", "error", "line 1: '(' was never closed"),
        (b"x = '\0'\n", "error", "null bytes"),
        (b"x = " + b"-" * 200_000 + b"1\n", "unknown", ""),
        (None, "absent", "No such file"),
    ],
)
def test_a_file_is_compiled_and_never_run(source, word, message, tmp_path):
    file = tmp_path / "a.py"
    if source is not None:
        file.write_bytes(source)
    found = import_probe.compiled(str(file))
    assert found[0] == word
    assert message in found[1]


def test_the_probe_answers_for_each_file_of_its_list_in_order(tmp_path):
    for name, text in {
        "pkg/__init__.py": "",
        "pkg/good.py": "ONE = 1\n",
        "pkg/raises.py": "raise KeyError('gone')\n",
        "pkg/dies.py": "import os\nos._exit(3)\n",
        "src/alone.py": "",
        "docs/script.py": "raise SystemExit\n",
        "setup.py": "raise SystemExit\n",
        "pkg/not-a-name.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    files = ["pkg/__init__.py", "pkg/good.py", "pkg/raises.py", "pkg/dies.py", "src/alone.py",
             "docs/script.py", "setup.py", "pkg/not-a-name.py"]  # fmt: skip
    (tmp_path / "list").write_text(json.dumps(files))
    for what, words in {
        "compile": ["ok"] * 8,
        "import": ["ok", "ok", "raises", "died", "ok", "none", "none", "none"],
    }.items():
        command = [sys.executable, import_probe.__file__, what, "list", "report"]
        subprocess.run(command, cwd=tmp_path, check=True)
        found = json.loads((tmp_path / "report").read_text())
        assert [word for word, _ in found] == words
    assert found[2][1] == "KeyError: 'gone'"
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_import_that_never_ends_is_slow_and_its_process_is_gone():
    silent, writing = os.pipe()
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        assert import_probe._child_result(silent, process.pid, seconds=0.0) == ["slow", ""]
    finally:
        os.close(silent)
        os.close(writing)
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    process.wait()
