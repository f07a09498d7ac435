"""Every death that a run can meet, at seeded random points, and what must hold afterwards.

As a script (tests/live/test_kill_kinds.py makes a few of them):

    python -m tests.live.kills --kills 20 --seed 7 [--workers 2 | --sandbox docker]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swe_router.journal.run_folder import RunFolder
from swe_router.sandboxes.docker import RUN_LABEL
from tests.live.runs import (
    BUSY,
    INSTANCES,
    Launch,
    audit,
    audit_money,
    processes_with,
    reference_of,
)

SHARE = 0.4
"""Of an undisturbed run's seconds: the longest from a sign of work, or a kill, to the next kill."""
ENDS = ("driver", "whole", "term", "term all", "hup", "int all", "term twice")
"""Deaths of the driver: by SIGKILL to it or to its whole group, or by a signal that it heeds."""
BESIDE = ("suspend", "box")
"""What a driver outlives: all of it suspended for a while, a box killed under it."""
OF_WORKERS = ("worker",)
GRACEFUL = {
    "term": (signal.SIGTERM, False),
    "term all": (signal.SIGTERM, True),
    "hup": (signal.SIGHUP, False),
    "int all": (signal.SIGINT, True),
}


@dataclass
class Series:
    """Kills of one kind of run, to a number of them; ``table`` tells each."""

    place: Path
    seed: int
    workers: int = 0
    sandbox: str = "local"
    instances: Sequence[str] = INSTANCES
    longest: float = 0.0
    tell: Callable[[str], None] = print
    table: list[str] = field(default_factory=list)

    def go(self, kills: int) -> None:
        """Runs killed and resumed until so many kills fell; each must end as if undisturbed."""
        chance = random.Random(f"{self.seed} {self.workers} {self.sandbox}")
        self._say(f"KILL_SEED={self.seed} workers={self.workers} sandbox={self.sandbox}")
        launch = self._launch("reference").start()
        try:
            launch.await_work()
            began = time.monotonic()
            assert launch.wait() == 0, launch.said()
            self.longest = self.longest or SHARE * (time.monotonic() - began)
            reference = reference_of(launch.run)
        finally:
            launch.end()
        number = 0
        while kills > 0:
            number += 1
            launch = self._launch(str(number)).start()
            try:
                fell = self._killed(launch, chance, kills)
                kills -= len(fell)
                self._finished(launch, reference, fell)
            finally:
                self._end(launch)

    def _launch(self, name: str) -> Launch:
        return Launch(
            self.place / name,
            workers=self.workers,
            sandbox=self.sandbox,
            instances=self.instances,
        )

    def _killed(self, launch: Launch, chance: random.Random, most: int) -> list[str]:
        """Kill and resume until the run ends, or the kills are used up."""
        fell: list[str] = []
        kinds = [*ENDS, *BESIDE, *(OF_WORKERS if self.workers else ())]
        launch.await_work()
        while len(fell) < most:
            after, kind = chance.uniform(0.0, self.longest), chance.choice(kinds)
            if launch.ended_within(after):
                break
            done, doing = launch.finished(), launch.last_line()
            if not self._kill(launch, kind, chance):
                continue
            fell.append(kind)
            code = launch.process.poll()
            self._say(f"{kind:<10} {after:5.2f} s  {len(done)} done  -> {code}  while {doing}")
            assert launch.finished()[: len(done)] == done, "a finished record was lost"
            if code is not None:
                launch.assert_no_work_goes_on()
                launch.resume()
                launch.await_work()
        return fell

    def _kill(self, launch: Launch, kind: str, chance: random.Random) -> bool:
        """Carry one out; False where there was nothing to kill."""
        if kind in {"driver", "whole"}:
            launch.kill(kind)
        elif kind in GRACEFUL:
            number, everybody = GRACEFUL[kind]
            os.killpg(launch.process.pid, number) if everybody else launch.process.send_signal(
                number
            )
            assert launch.wait() in {0, 130}, launch.said()
        elif kind == "term twice":
            for _ in range(2):
                launch.signal_all(signal.SIGTERM)
                time.sleep(chance.uniform(0.0, 0.3))
            assert launch.wait() in {0, 130, -signal.SIGTERM}, launch.said()
        elif kind == "suspend":
            launch.signal_all(signal.SIGSTOP)
            time.sleep(chance.uniform(1.0, 15.0))
            launch.signal_all(signal.SIGCONT)
        else:
            alive = processes_with(launch.mark, BUSY) if kind == "worker" else self._boxes(launch)
            if not alive:
                return False
            chosen = chance.choice(sorted(alive, key=str))
            with contextlib.suppress(ProcessLookupError):
                os.kill(chosen, signal.SIGKILL) if isinstance(chosen, int) else _docker(
                    "kill", chosen
                )
        return True

    def _boxes(self, launch: Launch) -> list[int] | list[str]:
        if self.sandbox == "docker":
            return containers(launch.run.name, running=True)
        return processes_with(
            launch.mark, ("bwrap", "unshare", "/usr/bin/bwrap", "/usr/bin/unshare")
        )

    def _finished(self, launch: Launch, reference: dict[str, object], fell: Sequence[str]) -> None:
        for _ in range(4):
            if launch.wait() == 0:
                break
            launch.resume()
        assert launch.process.returncode == 0, launch.said()
        # An attempt whose box was killed is made again, under a name of its own.
        again = "box" in fell
        if again:
            lost = audit_money(launch.run, sandboxes_died=True)
        else:
            lost = audit(launch.run, reference)
        assert sorted(RunFolder(launch.run).records()) == sorted(reference), "one was lost"
        code, said = launch.command("replay", str(launch.run))
        assert code == 0, said
        assert "all as recorded" in said, said
        launch.assert_nothing_left()
        assert not self._containers_left(launch), "containers are left"
        how = "money and replay as they must be" if again else "as an undisturbed run"
        self._say(f"finished: {how}; {lost} calls lost")

    def _containers_left(self, launch: Launch) -> list[str]:
        """Engines take a moment to remove what has ended."""
        until = time.monotonic() + 30
        while (left := self._containers(launch)) and time.monotonic() < until:
            time.sleep(0.2)
        return left

    def _containers(self, launch: Launch) -> list[str]:
        return containers(launch.run.name) if self.sandbox == "docker" else []

    def _end(self, launch: Launch) -> None:
        launch.end()
        for name in self._containers(launch) if launch.run.exists() else []:
            _docker("rm", "--force", name)

    def _say(self, line: str) -> None:
        self.table.append(line)
        self.tell(line)


def containers(run: str, *, running: bool = False) -> list[str]:
    """Containers of a run, by the label that it gives them."""
    every = [] if running else ["--all"]
    return _docker("ps", "--quiet", *every, "--filter", f"label={RUN_LABEL}={run}").split()


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    return done.stdout


def main() -> None:
    """The script."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--seed", type=int, default=int(time.time()))
    asked.add_argument("--workers", type=int, default=0)
    asked.add_argument("--sandbox", default="local")
    asked.add_argument("--instances", nargs="+", default=list(INSTANCES))
    asked.add_argument("--longest", type=float, default=0.0, help="seconds; default: measured")
    given = asked.parse_args()
    place = Path(tempfile.mkdtemp(prefix="kills-"))
    made = Series(
        place, given.seed, given.workers, given.sandbox, given.instances, given.longest,
        tell=lambda line: print(line, flush=True),
    )  # fmt: skip
    made.go(given.kills)
    print(f"{given.kills} kills: all in order", file=sys.stdout)


if __name__ == "__main__":
    main()
