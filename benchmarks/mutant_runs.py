"""One fault put into a process of its own, with the tests that may notice it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import psutil
import pytest
from mutant_tests import ROOT, CoveringTests
from mutations import Mutant

CPU_SECONDS = 20
"""CPU that the tests of one fault may take, and ``CPU_FACTOR`` times what they took before; more is
a fault that was noticed: it hangs."""
CPU_FACTOR = 2
IDLE_SECONDS = 45
"""After so long without any use of CPU a fault hangs as well: it waits for what never comes."""
WALL_SECONDS = 900
"""After it a fault is ``unfinished``, which is not noticed: the machine was too busy."""
KILLED = ("killed", "hung")
NEAREST = 25
"""Tests that are run first."""
OPTIONS = (
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "-x",
    "-q",
    "-p",
    "no:cacheprovider",
    "--no-header",
    "--no-summary",
    "-rN",
)
CUSTOM = """
import importlib.abc, importlib.util, os, sys
NAME, FILE = os.environ.get("SWE_MUTANT_MODULE"), os.environ.get("SWE_MUTANT_FILE")

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == NAME:
            below = path if FILE.endswith("__init__.py") else None
            return importlib.util.spec_from_file_location(
                name, FILE, submodule_search_locations=below)

if NAME:
    sys.meta_path.insert(0, Finder())
"""


def swapped(mutant: Mutant) -> bool:
    """Replace the code of the mutant's function in this process; False where that cannot be."""
    swap = swap_of(mutant)
    if swap:
        swap[0].__code__ = swap[1]
    return bool(swap)


def swap_of(mutant: Mutant) -> tuple[FunctionType, CodeType] | None:
    """The function that a mutant stands in and its code with the fault; None: import it anew."""
    module = sys.modules.get(_module_of(mutant.file))
    target = _function(module, mutant.function) if module and mutant.function else None
    if target is None:
        return None
    made = compile(mutant.source, str(ROOT / mutant.file), "exec", dont_inherit=True)
    for part in mutant.function.split("."):
        found = [c for c in made.co_consts if isinstance(c, CodeType) and c.co_name == part]
        if len(found) != 1:
            return None
        made = found[0]
    return (target, made) if made.co_freevars == target.__code__.co_freevars else None


def _function(module: ModuleType, name: str) -> FunctionType | None:
    found: Any = module
    for part in name.split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    for _ in range(5):
        if isinstance(found, FunctionType) and not hasattr(found, "__wrapped__"):
            return found
        names = ("__wrapped__", "__func__", "fget", "func")
        found = next((getattr(found, n) for n in names if hasattr(found, n)), None)
    return None


def _module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Failure:
    """A plug-in of pytest: the id of the first test that fails, written to a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.file.exists():
            self.file.write_text(report.nodeid, "utf-8")


@dataclass
class Bench:
    """Runs faults one at a time, each in a process of its own."""

    folder: Path
    tests: CoveringTests
    root: Path = ROOT
    killers: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """File -> tests that noticed a fault in it: they go first."""
    sound: dict[tuple[str, str, bool], bool] = field(default_factory=dict)
    """(file, test, module imported anew) -> whether the test passes without a fault."""

    def __post_init__(self) -> None:
        (self.folder / "site").mkdir()
        (self.folder / "site" / "sitecustomize.py").write_text(CUSTOM)

    def run_all(self, mutant: Mutant) -> tuple[str, str]:
        """``run`` with the likeliest tests, and with the others where these did not notice."""
        first = self.killers[mutant.file]
        tests = sorted(self.tests.of(mutant), key=lambda test: -first[test])
        result = "survived", ""
        while tests and result[0] == "survived":
            result = self.run(mutant, tests[:NEAREST])
            if result[0] == "killed" and not self.is_sound(mutant, result[1]):
                lost = result[1].partition("[")[0]
                print(f"without a fault {lost} fails: left out", flush=True)
                tests, result = [test for test in tests if test != lost], ("survived", "")
                continue
            tests = tests[NEAREST:]
        if result[0] == "survived" and swap_of(mutant):
            # What the function gave at the import is still there: import the module with the fault.
            anew = sorted(self.tests.of(mutant), key=lambda test: -first[test])[:NEAREST]
            result = self.run(replace(mutant, function=""), anew)
            if result[0] == "killed" and not self.is_sound(replace(mutant, function=""), result[1]):
                result = "survived", ""
        if result[1]:
            first[result[1].partition("[")[0]] += 1
        return result

    def is_sound(self, mutant: Mutant, test: str) -> bool:
        """Whether a test passes where the file is put in as it is."""
        anew = swap_of(mutant) is None
        key = mutant.file, test, anew
        if key not in self.sound:
            whole = replace(mutant, source=(self.root / mutant.file).read_text("utf-8"))
            self.sound[key] = self.run(whole, [test])[0] == "survived"
        return self.sound[key]

    def run(self, mutant: Mutant, tests: Sequence[str]) -> tuple[str, str]:
        """``killed``, ``hung``, ``survived``, ``unfinished`` or ``broken``; the test that failed.

        ``broken`` is a fault with which the tests could not be run for a reason of this file.
        """
        file = self.folder / "mutant" / Path(mutant.file).name
        file.parent.mkdir(exist_ok=True)
        file.write_text(mutant.source, "utf-8")
        failed = self.folder / "failed"
        failed.unlink(missing_ok=True)
        cpu_seconds = int(CPU_SECONDS + CPU_FACTOR * sum(map(self.tests.cost, tests)))
        child = os.fork()
        if child == 0:
            os._exit(_inside(mutant, tests, self.folder, file, cpu_seconds))
        status = _awaited(child)
        if status is None:
            return "unfinished", ""
        if os.WIFSIGNALED(status):
            return "hung", ""
        came = {0: "survived", 1: "killed", 2: "killed"}.get(os.WEXITSTATUS(status), "broken")
        return came, failed.read_text("utf-8") if failed.exists() else ""


def _modules_of_the_tree() -> list[str]:
    """Names of the modules that hold something of the package: the package, and all tests."""
    folders = tuple(f"{ROOT / name}{os.sep}" for name in ("swe_router", "tests"))
    return [
        name
        for name, module in sys.modules.items()
        if str(getattr(module, "__file__", None)).startswith(folders)
    ]


def _awaited(child: int) -> int | None:
    """The status of a process at its end; None where ``WALL_SECONDS`` were over before.

    One that uses no CPU any more is killed.
    """
    begin = moved = time.monotonic()
    used = 0.0
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        now = time.monotonic()
        if done:
            return status
        if now - begin > WALL_SECONDS:
            _kill_group(child)
            os.waitpid(child, 0)
            return None
        if now - moved > IDLE_SECONDS:
            before, used, moved = used, _cpu_seconds(child), now
            if used == before:
                _kill_group(child)
        time.sleep(0.02)


def _kill_group(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _cpu_seconds(child: int) -> float:
    """CPU that a process and those below it have used."""
    seconds = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                seconds += sum(one.cpu_times())
    return seconds


def _inside(
    mutant: Mutant, tests: Sequence[str], folder: Path, file: Path, cpu_seconds: int
) -> int:
    os.setsid()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]  # a sandbox sets limits of its own
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, hard))
    with (folder / "out").open("wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ |= {
        "SWE_MUTANT_MODULE": _module_of(mutant.file), "SWE_MUTANT_FILE": str(file),
        "PYTHONPATH": f"{folder / 'site'}:{ROOT}",
    }  # fmt: skip
    try:
        if not swapped(mutant):
            for name in _modules_of_the_tree():
                del sys.modules[name]
            exec((folder / "site" / "sitecustomize.py").read_text(), {"__name__": "custom"})
        words = [*OPTIONS, f"--basetemp={folder / 'tmp'}", *tests]
        return int(pytest.main(words, plugins=[Failure(folder / "failed")]))
    except BaseException:  # a fault of this file: no verdict
        traceback.print_exc()
        sys.stderr.flush()
        return 3
