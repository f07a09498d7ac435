"""The faults that are drawn for mutation testing, and the rooms of coverage."""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType

import coverage

from benchmarks.coverage_rooms import COPIES, ROOT, copies_of, rooms_of, share
from benchmarks.mutants import CoveringTests, mutant_runs, mutants_of

SOURCE = '''\
"""A file; nothing of its text is a fault."""
LIMIT = 3

class Tray:
    def fits(self, size: int = 1) -> bool:
        """1 or more."""
        return 0 < size <= LIMIT and not self.full

def said(n):
    if n > 1:
        log(f"{n + 1}")
    return max(n, 2) if n else None
'''


def test_every_fault_is_one_change_of_a_file_that_still_compiles():
    made = mutants_of("x.py", SOURCE)
    assert len({one.source for one in made}) == len(made) > 12
    for one in made:
        compile(one.source, "x.py", "exec")
        changed = [
            (a, b) for a, b in zip(SOURCE.splitlines(), one.source.splitlines(), strict=True)
            if a != b
        ]  # fmt: skip
        assert len(changed) == 1, one
    told = {str(one) for one in made}
    assert "x.py:7 comparison: '0 < size <= LIMIT' -> '(0 <= size <= LIMIT)'" in told
    assert "x.py:7 not dropped: 'not self.full' -> '(self.full)'" in told
    assert "x.py:11 statement dropped: 'log(f\"{n + 1}\")' -> 'pass'" in told
    assert not any("1 or more" in one or "n + 1'" in one for one in told), "text is no fault"


def test_a_fault_knows_the_function_it_stands_in():
    where = {one.line: one.function for one in mutants_of("x.py", SOURCE)}
    assert (where[2], where[7], where[10]) == ("", "Tray.fits", "said")


def test_a_fault_is_put_into_the_running_code_and_a_module_s_own_cannot_be():
    monkey = type(sys)("x")
    exec(SOURCE, monkey.__dict__)
    sys.modules["x"] = monkey
    try:
        fault = next(one for one in mutants_of("x.py", SOURCE) if one.after == "(min(n, 2))")
        assert monkey.said(1) == 2
        assert mutant_runs.swapped(fault)
        assert monkey.said(1) == 1
        limit = next(one for one in mutants_of("x.py", SOURCE) if one.line == 2)
        assert not mutant_runs.swapped(limit)
    finally:
        del sys.modules["x"]


def test_a_room_is_a_folder_and_what_stands_below_it_is_another():
    files = {"a/x.py": (10, 1), "a/y.py": (10, 2), "a/b/z.py": (5, 0), "top.py": (4, 4)}
    assert rooms_of(files) == {"a": (20, 3), "a/b": (5, 0), "swe_router": (4, 4)}
    assert (share(20, 3), share(0, 0), share(4, 4)) == (0.85, 1.0, 0.0)


def test_what_ran_in_a_copy_in_a_sandbox_counts_for_the_file_that_was_copied(tmp_path):
    data = coverage.CoverageData(str(tmp_path / "data"))
    data.add_lines(
        {"/sandbox/1/recorder.py": [1, 2], "/sandbox/2/recorder.py": [2, 5], "/x/other.py": [1]}
    )
    assert copies_of(data) == {"verifiers/in_sandbox/result_recorder.py": {1, 2, 5}}
    assert all((ROOT / name).is_file() for name in COPIES.values())


def test_likely_and_cheap_tests_go_first():
    fault = next(one for one in mutants_of("x.py", SOURCE) if one.line == 7)
    lines = {7: frozenset({"slow", "quick", "wide"}), 8: frozenset({"slow", "quick"})}
    wide = {line: frozenset({"wide"}) for line in range(1, 99)}
    tests = CoveringTests({"x.py": lines, "y.py": wide}, {"slow": 9.0, "quick": 0.1, "wide": 0.1})
    assert tests.of(fault) == ["quick", "wide", "slow"]
    assert "slow" not in CoveringTests(tests.by_line, {"slow": 900.0}).of(fault), "one test, hours"


def test_times_are_those_of_all_parameters_of_a_test(tmp_path):
    times = tmp_path / "times.xml"
    times.write_text(
        '<testsuites><testsuite><testcase classname="tests.unit.test_mutations" name="test_a[1]"'
        ' time="0.5"/><testcase classname="tests.unit.test_mutations" name="test_a[2]"'
        ' time="1.0"/></testsuite></testsuites>'
    )
    coverage.CoverageData(str(tmp_path / "data")).write()
    read = CoveringTests.read(str(tmp_path / "data"), times)
    assert read.seconds == {"tests/unit/test_mutations.py::test_a": 1.5}


def test_a_test_that_fails_without_the_fault_does_not_count(tmp_path, capfd):
    """The first test fails anyhow, the second one notices; a third is not asked."""
    (tmp_path / "faulty.py").write_text(SOURCE)
    module = ModuleType("faulty")
    exec(SOURCE, module.__dict__)
    file = tmp_path / "test_faulty.py"
    file.write_text(
        "import faulty\n\ndef test_wrong():\n    assert faulty.said(1) == 5\n\n"
        "def test_right():\n    assert faulty.said(1) == 2\n"
    )
    names = [f"{file.name}::test_wrong", f"{file.name}::test_right"]
    lines = {line: frozenset(names) for line in range(1, 13)}
    tests = CoveringTests({"faulty.py": lines}, {names[1]: 1.0})
    faults = {one.after: one for one in mutants_of("faulty.py", SOURCE)}
    (tmp_path / "bench").mkdir()
    bench = mutant_runs.Bench(tmp_path / "bench", tests, root=tmp_path)
    sys.modules["faulty"] = module
    try:
        with contextlib.chdir(tmp_path):
            assert bench.run_all(faults["(min(n, 2))"]) == ("killed", names[1])
            assert bench.run_all(faults["pass"]) == ("survived", ""), "log() is never called"
    finally:
        del sys.modules["faulty"]


def test_a_line_of_the_module_is_every_test_s_that_uses_the_file():
    limit = next(one for one in mutants_of("x.py", SOURCE) if not one.function)
    tests = CoveringTests({"x.py": {7: frozenset({"a"}), 12: frozenset({"b"})}})
    assert sorted(tests.of(limit)) == ["a", "b"]
