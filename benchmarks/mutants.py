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
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import mutant_runs  # noqa: E402
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
        bench = mutant_runs.Bench(Path(temporary), tests)
        for number, mutant in enumerate(mutants, 1):
            began, test = time.monotonic(), ""
            came = known.get((name, str(mutant), mutant.column), "")
            if not came or (asked.again and came not in mutant_runs.KILLED):
                came, test = bench.run_all(mutant)
                row = {"room": name, "came": came, "fault": str(mutant), "column": mutant.column,
                       "tests": len(tests.of(mutant)), "by": test,
                       "seconds": round(time.monotonic() - began, 1)}  # fmt: skip
                log.write(json.dumps(row) + "\n")
                log.flush()
            print(f"{name} {number}/{len(mutants)} {came}: {mutant} {test}", flush=True)
            tally[came] += 1
    killed = sum(tally[came] for came in mutant_runs.KILLED)
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
