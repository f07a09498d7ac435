"""What swe-router adds to an attempt, against mini-swe-agent on the same image and commands.

Usage: python benchmarks/peer_overhead.py [--pairs 5] [--long 1050] [--image NAME] [--cache FOLDER]

mini-swe-agent is installed in a virtual environment of its own below --cache. The image is that of
an instance of the demo; without --image it is built with debootstrap (root). Each side runs whole
processes in turn: its own Docker environment, a model that asks for the same trivial commands and
answers at once (mini's deterministic test model; a model plugin of the same kind here), one save.
No test is run and nothing graded: what is measured is start, steps and end. Both sides load byte
code that a first start left in a folder of the measurement, as an installed package does.
Printed are ratios, ours to theirs, from medians; CPU is that of the process and its children, never
of the engine. The fsyncs are left out of wall time by putting the run folder on a memory disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MINI = "mini-swe-agent==2.4.6"
INSTANCE = "demo__confet-3"
TAG = "swe-router-bench"
SHORT, LONGER = 12, 60
"""Steps of the whole processes, and of those whose difference gives the cost of a step."""
PRESET = """
split = {split}
budget = 100

[tiers.peer]
dialect = "peer_models:Stamped"
model = "stamped"
window = 1000000
max_output_tokens = 1000
timeout = 60.0
attempt_usd = 50
attempt_steps = 5000
attempt_seconds = 3600.0

[tiers.peer.price]
input = 0.01
output = 0.01
cache_read = 0.01
cache_write = 0.01

[policy]
name = "fixed"
ladder = ["peer"]

[sandbox]
kind = "docker"

[verify]
names = ["applies"]

[grade]
enabled = false
"""


class Cost(NamedTuple):
    """One whole process, or one step of it."""

    cpu: float
    """Seconds."""
    wall: float
    """Seconds."""


class Side(NamedTuple):
    """A program under test."""

    name: str
    command: Any
    """Steps, stamps, run folder -> (words, environment)."""


class Measured(NamedTuple):
    """One whole process and its stamps: CPU, wall, resident bytes, bytes written."""

    cost: Cost
    stamps: list[list[float]]


def main() -> int:
    """Measure, print, and give 1 when a target is missed."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--pairs", type=int, default=5)
    asked.add_argument("--long", type=int, default=1050, help="steps of the long attempt")
    asked.add_argument("--image", default="")
    asked.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "swe-router-bench")
    given = asked.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="peer-") as made:
        place = Path(made)
        image = given.image or built(place)
        try:
            return measured(place, image, peer_python(given.cache), given.pairs, given.long)
        finally:
            if not given.image:
                docker("rmi", "--force", f"{TAG}/{INSTANCE}:1", f"{TAG}/debian:1")


def measured(place: Path, image: str, python: Path, pairs: int, long: int) -> int:
    ours, theirs = ours_of(place, image), mini_of(place, image, python)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {pairs} pairs, in turn")
    for side in (ours, theirs):
        run(place, side, 1)  # what is compiled and cached at a first start
    short = in_turn(place, (ours, theirs), SHORT, pairs)
    longer = in_turn(place, (ours, theirs), LONGER, pairs)
    steps = [step_of(side) for side in longer]
    memory = Path("/dev/shm")
    quiet = in_turn(place, (ours, theirs), LONGER, pairs, memory if memory.is_dir() else None)
    unsynced = [step_of(side) for side in quiet]
    checks = [
        compared("whole process, 12 steps, wall", wall_of(short[0]), wall_of(short[1]), 1.3),
        compared("whole process, 12 steps, CPU", cpu_of(short[0]), cpu_of(short[1]), None),
        compared("a step, CPU", steps[0].cpu, steps[1].cpu, 0.1),
        compared("a step, wall, with its fsyncs", steps[0].wall, steps[1].wall, None),
        compared("a step, wall, memory disk", unsynced[0].wall, unsynced[1].wall, 0.1),
        *grown(run(place, ours, long).stamps, long),
    ]
    return 0 if all(checks) else 1


def compared(what: str, ours: float, theirs: float, most: float | None) -> bool:
    """Print a ratio; whether it is within its target."""
    ratio = ours / theirs
    word = "" if most is None else f"  (target <= {most:g}: {'met' if ratio <= most else 'MISSED'})"
    print(f"{what:34} {1000 * ours:9.1f} ms {1000 * theirs:9.1f} ms   ratio {ratio:6.3f}{word}")
    return most is None or ratio <= most


def grown(stamps: Sequence[Sequence[float]], steps: int) -> list[bool]:
    """What a step costs late in an attempt against early in it; memory and bytes by halves."""

    def at(step: int, column: int) -> float:
        near = stamps[max(1, step - 25) : step + 25]
        return statistics.median(after[column] - before[column] for before, after in pairwise(near))

    late, half = steps - 50, len(stamps) // 2
    found = []
    for column, name in enumerate(("CPU", "wall")):
        ratio = at(late, column) / at(50, column)
        found.append(ratio <= 1.3)
        print(f"a step at {late} against one at 50, {name:5} ratio {ratio:6.3f}"
              f"  (target <= 1.3: {'met' if found[-1] else 'MISSED'})")  # fmt: skip
    for column, name in ((2, "memory"), (3, "bytes written")):
        first = stamps[half][column] - stamps[50][column]
        second = stamps[-1][column] - stamps[half][column]
        per = (second / (len(stamps) - half)) / max(1.0, first / (half - 50))
        found.append(per <= 1.3)
        print(f"{name}, second half against first      ratio {per:6.3f}"
              f"  ({second / (len(stamps) - half) / 1000:.2f} kB a step;"
              f" target <= 1.3: {'met' if found[-1] else 'MISSED'})")  # fmt: skip
    return found


def in_turn(
    place: Path, sides: Sequence[Side], steps: int, pairs: int, folder: Path | None = None
) -> list[list[Measured]]:
    """Each side ``pairs`` times, one after the other."""
    found: list[list[Measured]] = [[] for _ in sides]
    for _ in range(pairs):
        for number, side in enumerate(sides):
            found[number].append(run(place, side, steps, folder))
    return found


def step_of(runs: Sequence[Measured]) -> Cost:
    """The median cost of a step, over all steps but the first five of each run."""
    costs = [
        Cost(after[0] - before[0], after[1] - before[1])
        for one in runs
        for before, after in zip(one.stamps[5:], one.stamps[6:], strict=False)
    ]
    # The clock of CPU time of children ticks coarsely: a mean, where wall has outliers.
    return Cost(statistics.fmean(c.cpu for c in costs), statistics.median(c.wall for c in costs))


def cpu_of(runs: Sequence[Measured]) -> float:
    return statistics.median(one.cost.cpu for one in runs)


def wall_of(runs: Sequence[Measured]) -> float:
    return statistics.median(one.cost.wall for one in runs)


def run(place: Path, side: Side, steps: int, folder: Path | None = None) -> Measured:
    """One whole process, waited for; raises when it fails."""
    with tempfile.TemporaryDirectory(prefix=f"{side.name}-", dir=folder or place) as made:
        stamps = Path(made) / "stamps"
        words, environment = side.command(steps, stamps, Path(made))
        log = Path(made) / "log"
        with log.open("wb") as file:
            begun = time.perf_counter()
            child = subprocess.Popen(words, env=environment, cwd=made, stdout=file, stderr=file)
            _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
        rows = [json.loads(line) for line in stamps.read_text("ascii").splitlines()]
        if child.returncode or len(rows) != steps + 1:
            raise SystemExit(f"{side.name} ended {child.returncode}: {log.read_text()[-2000:]}")
        return Measured(Cost(used.ru_utime + used.ru_stime, wall), rows)


def ours_of(place: Path, image: str) -> Side:
    """``swe-router run`` of the one instance, in this process, nothing graded."""
    row = next(
        row
        for row in map(json.loads, suite("instances.jsonl").read_text("utf-8").splitlines())
        if row["instance_id"] == INSTANCE
    )
    split = place / "row.jsonl"
    split.write_text(json.dumps(row | {"image": image}) + "\n", encoding="utf-8")
    preset = place / "peer.toml"
    preset.write_text(PRESET.format(split=json.dumps(str(split))), encoding="utf-8")

    def command(steps: int, stamps: Path, out: Path) -> tuple[list[str], dict[str, str]]:
        words = [sys.executable, "-m", "swe_router", "run", "--preset", str(preset)]
        given = {"PEER_STEPS": str(steps), "PEER_STAMPS": str(stamps), "PYTHONPATH": str(HERE)}
        return [*words, "--out", str(out / "runs")], {**compiled(place), **given}

    return Side("swe-router", command)


def mini_of(place: Path, image: str, python: Path) -> Side:
    """mini-swe-agent's default agent in its Docker environment."""

    def command(steps: int, stamps: Path, out: Path) -> tuple[list[str], dict[str, str]]:
        plan = out / "plan.json"
        given = {"image": image, "steps": steps, "problem": "It breaks."}
        plan.write_text(
            json.dumps(given | {"stamps": str(stamps), "out": str(out / "traj.json")}), "utf-8"
        )
        quiet = {"MSWEA_SILENT_STARTUP": "1", "MSWEA_GLOBAL_CONFIG_DIR": str(out)}
        words = [str(python), str(HERE / "peer_models.py"), str(plan)]
        return words, {**compiled(place), **quiet}

    return Side("mini-swe-agent", command)


def compiled(place: Path) -> dict[str, str]:
    """The environment of a side: byte code is kept, whatever was set here, and not in our tree."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(place / "pycache")}


def peer_python(cache: Path) -> Path:
    """The Python of a virtual environment that holds mini-swe-agent and nothing of ours."""
    home = cache / MINI.replace("==", "-")
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", MINI], check=True)
        (home / "installed").touch()
    return python


def suite(name: str) -> Path:
    return ROOT / "eval" / "suites" / "demo" / name


def built(place: Path) -> str:
    """The image of the instance, from Debian's packages."""
    rootfs = place / "debian" / "rootfs"
    rootfs.parent.mkdir()
    options = ["--variant=minbase", "--include=git,python3,python3-pytest", "bookworm"]
    subprocess.run(["unshare", "--mount", "debootstrap", *options, str(rootfs)], check=True)
    tar = ["tar", "-C", str(rootfs), "-cf", str(rootfs.parent / "rootfs.tar"), "."]
    subprocess.run(tar, check=True)
    shutil.rmtree(rootfs)
    file = str(ROOT / "docker" / "debian.Dockerfile")
    docker("build", "-q", "-f", file, "-t", f"{TAG}/debian:1", str(rootfs.parent))
    name = f"{TAG}/{INSTANCE}:1"
    docker(
        *("build", "-q", "--network", "none", "-f", str(ROOT / "docker" / "demo.Dockerfile")),
        *("--build-arg", f"BASE={TAG}/debian:1", "--build-arg", f"INSTANCE={INSTANCE}"),
        *("-t", name, str(suite("."))),
    )
    return name


def docker(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
