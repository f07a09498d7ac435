"""What an agent may do to its local sandbox costs it the command, never its work or its host."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swe_router.sandboxes.local import LocalSandboxes, best_wall
from swe_router.sandboxes.patch_capture import StartSnapshot
from swe_router.settings import SandboxSettings
from tests.doubles.waiting import until
from tests.live.sandboxes import instance, repository

pytestmark = pytest.mark.box
ROOT = os.geteuid() == 0
BEST = best_wall(unsafe=True)
WALLS = list(dict.fromkeys([BEST, "unshare" if ROOT else "unshare-user"]))


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacks")
    return folder, *repository(folder)


@pytest.fixture(params=WALLS)
def sandbox(start, request):
    folder, bare, commit = start
    given = SandboxSettings(memory="256m", disk="64m", pids=200)
    made = LocalSandboxes(
        given, start=lambda _: bare, run="attacks", lock=folder / "lock", wall=request.param
    )
    if made.wall == "process":
        pytest.skip("no isolation on this machine")
    with made.open(instance(commit)) as sandbox:
        yield sandbox


ATTACKS = {
    "stopped": "kill -STOP -1; sleep 300",
    "stopped later": "(sleep 0.2; kill -STOP -1) & setsid sleep 300 & sleep 300",
    "bomb": "b() { b | b & }; b; sleep 300",
    "memory": "head -c 900m /dev/zero | tail -c 800m; kill -9 $$",
    "shm": "head -c 900m /dev/zero >/dev/shm/x; head -c 900m /dev/zero >/tmp/x",
    "modes": "chmod 0 /tmp/.swe* .git; kill -9 -1",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_work_is_rescued(sandbox, attack):
    before = StartSnapshot.take(sandbox)
    sandbox.run("echo mine >file.txt", timeout=20)
    began = time.monotonic()
    assert sandbox.run(ATTACKS[attack], timeout=2).exit_code != 0
    assert time.monotonic() - began < 200, "the command sleeps for 300 s"
    candidate = before.candidate(sandbox, "t")
    assert (candidate.files, candidate.proven) == (("file.txt",), True)


def test_one_file_has_a_limit_and_no_room_of_the_sandbox_is_without_one(sandbox):
    said = sandbox.run("head -c 80m /dev/zero >big; stat -c %s big; rm big", timeout=60)
    assert said.output.split()[-1] == str(64 << 20)
    rooms = sandbox.run("df -k --output=size /tmp /dev/shm | tail -n 2", timeout=20)
    assert all(int(size) << 10 <= 96 << 20 for size in rooms.output.split())


def test_the_driver_killed_while_all_is_stopped_leaves_no_process(start, tmp_path):
    """What waits for the driver's end was stopped too: the kernel has to do it."""
    folder, bare, commit = start
    mark = f"94{os.getpid() % 1000:03}.25"
    code = f"""
from pathlib import Path
from swe_router.sandboxes.local import LocalSandboxes
from tests.doubles.waiting import until
from swe_router.settings import SandboxSettings
from tests.live.sandboxes import instance
made = LocalSandboxes(SandboxSettings(), start=lambda _: Path({str(bare)!r}), run="attacks",
                  lock=Path({str(folder / "lock")!r}), wall={WALLS[-1]!r})
with made.open(instance({commit!r})) as sandbox:
    sandbox.run("sleep {mark} & sleep 0.2; kill -STOP -1; sleep 5", timeout=500)
"""
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    assert until(lambda: stopped(f"sleep {mark}"))
    driver.kill()
    driver.wait()
    assert until(lambda: not stopped(f"sleep {mark}"))


def stopped(words):
    """Whether a process with these words in its command line is there, and stopped."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (path.parent / "status").read_text()
        except OSError:
            continue
        if line.startswith(words) and "State:\tT" in state:
            return True
    return False
