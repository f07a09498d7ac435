"""The faults that are drawn for mutation testing, and the rooms of coverage."""

from __future__ import annotations

import sys

import coverage

from benchmarks import mutants
from benchmarks.coverage_rooms import COPIES, ROOT, copies_of, rooms_of, share
from benchmarks.mutants import mutants_of

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
        assert mutants.swapped(fault)
        assert monkey.said(1) == 1
        limit = next(one for one in mutants_of("x.py", SOURCE) if one.line == 2)
        assert not mutants.swapped(limit)
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
