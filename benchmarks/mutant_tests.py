"""Which tests ran a line, in the order in which they should be run against a fault."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from xml.etree import ElementTree

import coverage
from mutations import Mutant

ROOT = Path(__file__).resolve().parents[1]
MAX_TESTS = 120
"""Tests that one fault is run against in all."""
MAX_SECONDS = 60
"""Seconds that they took together without the fault."""


@dataclass(frozen=True)
class CoveringTests:
    """Which tests ran which lines."""

    by_line: Mapping[str, Mapping[int, frozenset[str]]]
    """File below the root -> line -> ids of tests."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Id of a test -> seconds that it took, with all its parameters."""

    @classmethod
    def read(cls, data_file: str, times: Path) -> CoveringTests:
        """From data that was collected with ``dynamic_context = test_function``.

        ``times`` is the JUnit file of the same run; where it is absent every test costs the same.
        """
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
        return cls(lines, _seconds_of(times) if times.is_file() else {})

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that cover a mutant, the likeliest and cheapest first; [] where none is known.

        Likeliest is the one most of whose lines are of the mutant's file.
        """
        lines = self.by_line.get(mutant.file, {})
        near = self.breadth.get(mutant.file, Counter())
        # A line of the module itself runs at the import: every test that uses the file counts.
        found: set[str] = set() if mutant.function else set(near)
        for line in range(mutant.first_line, mutant.last_line + 1):
            found |= lines.get(line, frozenset())
        worth = {t: near[t] / self.total[t] ** 0.5 / self.cost(t) for t in found}
        ordered = sorted(found, key=lambda test: (-worth[test], test))[:MAX_TESTS]
        cheap: list[str] = []
        spent = 0.0
        for test in ordered:
            spent += self.cost(test)
            if spent <= MAX_SECONDS or not cheap:
                cheap.append(test)
        return cheap

    def cost(self, test: str) -> float:
        """Seconds that a test takes, with what every test costs."""
        return self.seconds.get(test, 0.0) + 0.02

    @cached_property
    def breadth(self) -> dict[str, Counter[str]]:
        """File -> test -> lines of the file that it ran."""
        return {
            file: Counter(test for tests in lines.values() for test in tests)
            for file, lines in self.by_line.items()
        }

    @cached_property
    def total(self) -> Counter[str]:
        """Test -> lines that it ran in all files."""
        return sum(self.breadth.values(), Counter())


def _seconds_of(times: Path) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    for case in ElementTree.parse(times).iter("testcase"):
        name = case.get("name", "").partition("[")[0]
        seconds[_test_of(f"{case.get('classname')}.{name}")] += float(case.get("time", 0))
    return dict(seconds)


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
