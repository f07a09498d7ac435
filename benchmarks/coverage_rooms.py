"""Lines that the tests ran, per room: a folder of ``swe_router`` with Python files of its own.

    make coverage

Reads the combined data of ``coverage``; exit code 1 where all of it or a room falls short.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import coverage

import swe_router

ROOT = Path(swe_router.__file__).resolve().parent
COPIES = {
    "recorder.py": "verifiers/in_sandbox/result_recorder.py",
    "result_recorder.py": "verifiers/in_sandbox/result_recorder.py",
    "failure_recorder.py": "verifiers/in_sandbox/failure_recorder.py",
    "probe.py": "verifiers/in_sandbox/import_probe.py",
}
"""Name in a sandbox -> the file that was copied there: what the copy ran, it ran."""
MIN_ALL = 0.95
"""Share of all lines that must have run."""
MIN_ROOM = 0.90
"""The same of each room."""


def lines_of(measured: coverage.Coverage) -> dict[str, tuple[int, int]]:
    """File below ``swe_router/`` -> (lines that can run, lines that did not)."""
    copies = copies_of(measured.get_data())
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        _, lines, _, missing, _ = measured.analysis2(str(path))
        found[name] = (len(lines), len(set(missing) - copies[name]))
    return found


def copies_of(data: coverage.CoverageData) -> dict[str, set[int]]:
    """File below ``swe_router/`` -> lines that ran in its copies."""
    ran: dict[str, set[int]] = defaultdict(set)
    for path in map(Path, data.measured_files()):
        if path.name in COPIES and ROOT not in path.parents:
            ran[COPIES[path.name]] |= set(data.lines(str(path)) or ())
    return ran


def rooms_of(files: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Folder -> the same sums of the files that stand in it, not of folders below."""
    rooms: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for name, (lines, missing) in files.items():
        room = name.rpartition("/")[0] or "swe_router"
        rooms[room] = (rooms[room][0] + lines, rooms[room][1] + missing)
    return dict(rooms)


def share(lines: int, missing: int) -> float:
    """Share of the lines that ran; 1 where there are none."""
    return 1 - missing / lines if lines else 1.0


def main(words: list[str] | None = None) -> int:
    """Print the rooms, the lowest first, and the lowest files of those that fall short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=15, help="lowest files to list")
    parser.add_argument("--data", default=".coverage", help="the combined data")
    asked = parser.parse_args(words)
    measured = coverage.Coverage(data_file=asked.data)
    measured.load()
    files = lines_of(measured)
    rooms = rooms_of(files)
    lines, missing = (sum(one[side] for one in rooms.values()) for side in (0, 1))
    for name, counts in sorted(rooms.items(), key=lambda one: share(*one[1])):
        short = "  <- under 90%" if share(*counts) < MIN_ROOM else ""
        print(
            f"{share(*counts):6.1%} {counts[1]:5d} of {counts[0]:5d} lines not run  {name}{short}"
        )
    print(f"{share(lines, missing):6.1%} {missing:5d} of {lines:5d} lines not run  all")
    print("\nlowest files, by lines that did not run:")
    for name, counts in sorted(files.items(), key=lambda one: -one[1][1])[: asked.files]:
        print(f"{share(*counts):6.1%} {counts[1]:5d}  {name}")
    low = any(share(*counts) < MIN_ROOM for counts in rooms.values())
    return int(low or share(lines, missing) < MIN_ALL)


if __name__ == "__main__":
    raise SystemExit(main())
