"""Do the tests notice? Faults drawn by lot, each run against the tests that cover its line.

    make mutants               # coverage by test first, then every room

A fault is put into the running process: the code of the function it stands in is replaced, or the
module is imported anew. Children find it by ``sitecustomize``. The tree is not touched. Every fault
has a process of its own, which ends when a test fails, its CPU time is over, or all tests passed:
then the fault survives. The test that failed is run again without the fault: where it fails then
too, it says nothing of the fault. The score is killed / drawn, with Wilson's 95% interval.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TextIO

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from mutant_tests import CoveringTests  # noqa: E402
from mutations import Mutant, mutants_of  # noqa: E402

from swe_router.stats.rates import wilson_interval  # noqa: E402

ROOMS = {
    "ledger": ("swe_router/ledger/",),
    "policies/base": ("swe_router/policies/base.py",),
    "solve": ("swe_router/solve/",),
    "verifiers/testing": ("swe_router/verifiers/testing/",),
    "grading": ("swe_router/grading/",),
    "stats": ("swe_router/stats/",),
    "journal": ("swe_router/journal/",),
}
CPU_SECONDS = 20
"""CPU that the tests of one fault may take, and ``CPU_FACTOR`` times what they took before; more is
a fault that was noticed: it hangs."""
CPU_FACTOR = 2
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


def drawn(room: str, tests: CoveringTests, count: int, seed: int) -> tuple[list[Mutant], int, int]:
    """``count`` faults of a room by lot; how many stand in lines that a test runs, and in others.

    Only the first are drawn.
    """
    every, blind = [], 0
    for start in ROOMS[room]:
        place = ROOT / start
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            name = path.relative_to(ROOT).as_posix()
            for mutant in mutants_of(name, path.read_text("utf-8")):
                if tests.of(mutant):
                    every.append(mutant)
                else:
                    blind += 1
    lot = random.Random(f"{seed}/{room}")
    return lot.sample(every, min(count, len(every))), len(every), blind


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
        status, deadline = None, time.monotonic() + WALL_SECONDS
        while status is None:
            done, value = os.waitpid(child, os.WNOHANG)
            if done:
                status = value
            elif time.monotonic() > deadline:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "unfinished", ""
            else:
                time.sleep(0.02)
        if os.WIFSIGNALED(status):
            return "hung", ""
        came = {0: "survived", 1: "killed", 2: "killed"}.get(os.WEXITSTATUS(status), "broken")
        return came, failed.read_text("utf-8") if failed.exists() else ""


def _inside(
    mutant: Mutant, tests: Sequence[str], folder: Path, file: Path, cpu_seconds: int
) -> int:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    with (folder / "out").open("wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ |= {
        "SWE_MUTANT_MODULE": _module_of(mutant.file), "SWE_MUTANT_FILE": str(file),
        "PYTHONPATH": f"{folder / 'site'}:{ROOT}",
    }  # fmt: skip
    try:
        if not swapped(mutant):
            for name in [n for n in sys.modules if n.split(".")[0] in ("swe_router", "tests")]:
                del sys.modules[name]
            exec((folder / "site" / "sitecustomize.py").read_text(), {"__name__": "custom"})
        words = [*OPTIONS, f"--basetemp={folder / 'tmp'}", *tests]
        return int(pytest.main(words, plugins=[Failure(folder / "failed")]))
    except BaseException:  # a fault of this file: no verdict
        traceback.print_exc()
        sys.stderr.flush()
        return 3


def prepared(tests: Sequence[str]) -> None:
    """Import the test files once, so that every fault's process has them."""
    files = sorted({test.partition("::")[0] for test in tests})
    with contextlib.redirect_stdout(io.StringIO()):
        if pytest.main(["--collect-only", "-p", "no:cacheprovider", *files]):
            raise SystemExit("the tests cannot be collected")


def room_of(
    name: str, tests: CoveringTests, asked: argparse.Namespace, log: TextIO
) -> dict[str, Any]:
    """Draw and run the faults of one room; its figures."""
    mutants, there, blind = drawn(name, tests, asked.count, asked.seed)
    known = {}
    for line in asked.out.read_text("utf-8").splitlines():
        row = json.loads(line)
        known[row["room"], row["fault"], row["column"]] = row["came"]
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="swe-router-mutants-") as temporary:
        bench = Bench(Path(temporary), tests)
        for number, mutant in enumerate(mutants, 1):
            began, test = time.monotonic(), ""
            came = known.get((name, str(mutant), mutant.column), "")
            if not came or (asked.again and came not in KILLED):
                came, test = bench.run_all(mutant)
                row = {"room": name, "came": came, "fault": str(mutant), "column": mutant.column,
                       "tests": len(tests.of(mutant)), "by": test,
                       "seconds": round(time.monotonic() - began, 1)}  # fmt: skip
                log.write(json.dumps(row) + "\n")
                log.flush()
            print(f"{name} {number}/{len(mutants)} {came}: {mutant} {test}", flush=True)
            tally[came] += 1
    killed = sum(tally[came] for came in KILLED)
    low, high = wilson_interval(killed, len(mutants))
    return {"room": name, "drawn": len(mutants), "of": there, "blind": blind, "killed": killed,
            "low": low, "high": high}  # fmt: skip


def main(words: list[str] | None = None) -> int:
    """Exit code 1 where a room's score is under 85%."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=".coverage", help="coverage data with a context per test")
    parser.add_argument("--count", type=int, default=60, help="faults per room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rooms", default=",".join(ROOMS), help="comma separated")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("mutants.jsonl"),
        help="what came of each; a fault that is in it is not run again",
    )
    parser.add_argument(
        "--times", type=Path, default=Path(".mutants.xml"), help="pytest's JUnit file"
    )
    parser.add_argument("--again", action="store_true", help="run those that survived once more")
    asked = parser.parse_args(words)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.chdir(ROOT)
    tests = CoveringTests.read(asked.data, asked.times)
    names = asked.rooms.split(",")
    every = {test for name in names for mutant in drawn(name, tests, asked.count, asked.seed)[0]
             for test in tests.of(mutant)}  # fmt: skip
    prepared(sorted(every))
    with asked.out.open("a", encoding="utf-8") as log:
        rows = [room_of(name, tests, asked, log) for name in names]
    for row in rows:
        share = row["killed"] / row["drawn"]
        print(f"{row['room']}: {row['killed']} of {row['drawn']} noticed, {share:.0%}"
              f" [{row['low']:.0%}, {row['high']:.0%}], of {row['of']} faults;"
              f" {row['blind']} more in lines that no test runs")  # fmt: skip
    return int(any(row["killed"] < 0.85 * row["drawn"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
