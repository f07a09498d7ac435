"""Do the tests notice? Faults drawn by lot, each run against the tests that cover its line.

    make mutants               # coverage by test first, then every room

A fault is put into the running process: the code of the function it stands in is replaced, or the
module is imported anew. Children find it by ``sitecustomize``. The tree is not touched. Every fault
has a process of its own, which ends when a test fails, its CPU time is over, or all tests passed:
then the fault survives. The score is killed / drawn, with Wilson's 95% interval.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

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
CPU_SECONDS = 60
"""CPU that the tests of one fault may take; more is a fault that was noticed: it hangs."""
WALL_SECONDS = 300
"""After it a fault is ``unfinished``, which is not noticed: the machine was too busy."""
NEAREST = 25
"""Tests that are run first: those that cover most lines of the fault's file."""
MAX_TESTS = 120
"""Tests that one fault is run against in all."""
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


@dataclass(frozen=True)
class Tests:
    """Which tests ran which lines."""

    by_line: Mapping[str, Mapping[int, frozenset[str]]]
    """File below the root -> line -> ids of tests."""

    @classmethod
    def read(cls, data_file: str) -> Tests:
        """From data that was collected with ``dynamic_context = test_function``."""
        data = coverage.CoverageData(data_file)
        data.read()
        known: dict[str, str] = {}
        lines: dict[str, Mapping[int, frozenset[str]]] = {}
        for path in data.measured_files():
            if path.startswith(f"{ROOT}/swe_router/"):  # a test works with a copy of the package
                lines[path.removeprefix(f"{ROOT}/")] = {
                    line: frozenset(
                        filter(None, (known.setdefault(c, _test_of(c)) for c in contexts))
                    )
                    for line, contexts in data.contexts_by_lineno(path).items()
                }
        return cls(lines)

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that cover a mutant, the nearest first; [] where none is known."""
        lines = self.by_line.get(mutant.file, {})
        found: set[str] = set()
        for line in range(mutant.first_line, mutant.last_line + 1):
            found |= lines.get(line, frozenset())
        near = Counter(test for tests in lines.values() for test in tests)
        return sorted(found, key=lambda test: (-near[test], test))[:MAX_TESTS]


def _test_of(context: str) -> str:
    """``test_x.test_y`` as pytest's id; empty for what is none. Names of test files are unique."""
    parts = context.split(".")
    for at, part in enumerate(parts):
        path = _files().get(part)
        if path:
            return "::".join([path, *parts[at + 1 :]])
    return ""


@cache
def _files() -> dict[str, str]:
    names = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    return {Path(name).stem: name for name in names if not name.startswith("tests/live/")}


def drawn(room: str, tests: Tests, count: int, seed: int) -> tuple[list[Mutant], int]:
    """``count`` faults of a room whose lines are covered, by lot, and how many there are."""
    every = []
    for start in ROOMS[room]:
        place = ROOT / start
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            name = path.relative_to(ROOT).as_posix()
            every += [m for m in mutants_of(name, path.read_text("utf-8")) if tests.of(m)]
    lot = random.Random(f"{seed}/{room}")
    return lot.sample(every, min(count, len(every))), len(every)


def swapped(mutant: Mutant) -> bool:
    """Replace the code of the mutant's function in this process; False where that cannot be."""
    module = sys.modules.get(_module_of(mutant.file))
    target = _function(module, mutant.function) if module and mutant.function else None
    if target is None:
        return False
    made = compile(mutant.source, str(ROOT / mutant.file), "exec", dont_inherit=True)
    for part in mutant.function.split("."):
        found = [c for c in made.co_consts if isinstance(c, CodeType) and c.co_name == part]
        if len(found) != 1:
            return False
        made = found[0]
    if made.co_freevars != target.__code__.co_freevars:
        return False
    target.__code__ = made
    return True


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


def run(mutant: Mutant, tests: Sequence[str], folder: Path) -> str:
    """``killed``, ``hung`` or ``survived``; ``broken`` where the tests could not be run."""
    file = folder / "mutant" / Path(mutant.file).name
    file.parent.mkdir(exist_ok=True)
    file.write_text(mutant.source, "utf-8")
    child = os.fork()
    if child == 0:
        os._exit(_inside(mutant, tests, folder, file))
    status, deadline = None, time.monotonic() + WALL_SECONDS
    while status is None:
        done, value = os.waitpid(child, os.WNOHANG)
        if done:
            status = value
        elif time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "unfinished"
        else:
            time.sleep(0.05)
    if os.WIFSIGNALED(status):
        return "hung"
    return {0: "survived", 1: "killed", 2: "killed"}.get(os.WEXITSTATUS(status), "broken")


def run_all(mutant: Mutant, tests: Sequence[str], folder: Path) -> str:
    """``run`` with the nearest tests, and with the others where these did not notice."""
    came = run(mutant, tests[:NEAREST], folder)
    return run(mutant, tests[NEAREST:], folder) if came == "survived" and tests[NEAREST:] else came


def _inside(mutant: Mutant, tests: Sequence[str], folder: Path, file: Path) -> int:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
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
        return int(pytest.main([*OPTIONS, f"--basetemp={folder / 'tmp'}", *tests]))
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


def room_of(name: str, tests: Tests, asked: argparse.Namespace, log: Any) -> dict[str, Any]:
    """Draw and run the faults of one room; its figures."""
    mutants, there = drawn(name, tests, asked.count, asked.seed)
    rows = [json.loads(line) for line in asked.out.read_text("utf-8").splitlines()]
    tried: set[str] = set()
    known = {(row["room"], row["fault"]): row["came"] for row in rows}
    with tempfile.TemporaryDirectory(prefix="swe-router-mutants-") as temporary:
        folder = Path(temporary)
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(CUSTOM)
        for number, mutant in enumerate(mutants, 1):
            chosen = tests.of(mutant)
            if mutant.file not in tried:
                tried.add(mutant.file)
                whole = replace(mutant, source=(ROOT / mutant.file).read_text("utf-8"))
                if run(whole, chosen[:NEAREST], folder) != "survived":
                    raise SystemExit(f"without a fault the tests of {mutant} fail")
            came = known.get((name, str(mutant))) or run_all(mutant, chosen, folder)
            place = f"{name} {number}/{len(mutants)}"
            print(f"{place} {came}: {mutant} ({len(chosen)} tests)", flush=True)
            if (name, str(mutant)) in known:
                tally[name][came] += 1
                continue
            row = {"room": name, "came": came, "fault": str(mutant), "tests": len(chosen)}
            log.write(json.dumps(row) + "\n")
            log.flush()
            tally[name][came] += 1
    killed = tally[name]["killed"] + tally[name]["hung"]
    low, high = wilson_interval(killed, len(mutants))
    return {"room": name, "drawn": len(mutants), "of": there, "killed": killed, "low": low,
            "high": high, **tally[name]}  # fmt: skip


tally: dict[str, Counter[str]] = defaultdict(Counter)


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
    asked = parser.parse_args(words)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.chdir(ROOT)
    tests = Tests.read(asked.data)
    names = asked.rooms.split(",")
    every = {test for name in names for mutant in drawn(name, tests, asked.count, asked.seed)[0]
             for test in tests.of(mutant)}  # fmt: skip
    prepared(sorted(every))
    with asked.out.open("a", encoding="utf-8") as log:
        rows = [room_of(name, tests, asked, log) for name in names]
    for row in rows:
        share = row["killed"] / row["drawn"]
        print(f"{row['room']}: {row['killed']} of {row['drawn']} noticed, {share:.0%}"
              f" [{row['low']:.0%}, {row['high']:.0%}], of {row['of']} faults")  # fmt: skip
    return int(any(row["killed"] < 0.85 * row["drawn"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
