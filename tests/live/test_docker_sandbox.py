"""Docker sandboxes on a real engine: the contract, the flags, and everything that may die."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest

import docker as sdk
from swe_router.errors import ImageMissing, Lost, UsageError, WouldNotStart
from swe_router.sandboxes.docker import CAPABILITIES, LOCK_LABEL, RUN_LABEL, DockerSandboxes
from swe_router.sandboxes.docker_engine import Engine
from swe_router.sandboxes.reaper import reap
from swe_router.settings import SandboxSettings
from tests.contracts.test_sandbox_contract import SandboxContract
from tests.doubles.waiting import until
from tests.live.sandboxes import bare_shell, busybox, instance

pytestmark = pytest.mark.docker
RUN = f"test-{os.getpid()}"


@pytest.fixture(scope="module")
def engine():
    return Engine.connect()


@pytest.fixture(scope="module")
def api(engine):
    return sdk.APIClient(version="auto")


@pytest.fixture(scope="module")
def busy(engine):
    return busybox()


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    return path


def sandboxes(lock, run=RUN, **options):
    given = SandboxSettings(output_bytes=2000, memory="256m", pids=128, pull=False)
    return DockerSandboxes(given, run=run, lock=lock, **options)


def ours(engine, run=RUN):
    return engine.containers(f"{RUN_LABEL}={run}")


class TestBusybox(SandboxContract):
    """The contract in an image that holds nothing but a busybox called ``sh``."""

    @pytest.fixture(scope="class")
    def sandbox(self, busy, tmp_path_factory):
        with sandboxes(tmp_path_factory.mktemp("b") / "lock").open(instance("c", busy)) as sandbox:
            yield sandbox


def test_a_shell_is_all_that_an_image_must_have(engine, lock):
    with sandboxes(lock).open(instance("c", bare_shell())) as sandbox:
        assert sandbox.run("echo hello; exit 3", timeout=5).exit_code == 3
        began = time.monotonic()
        result = sandbox.run("while :; do :; done", timeout=0.5)
        assert result.timed_out
        assert time.monotonic() - began < 60, "it would go on for ever"
        sandbox.write("/testbed/a", b"one\ntwo\0\xff")
        assert sandbox.run("read x <a; echo $x", timeout=5).output == "one\n"


def test_the_walls_are_as_promised(engine, api, busy, lock):
    with sandboxes(lock).open(instance("c", busy)) as sandbox:
        (container,) = ours(engine)
        host = api.inspect_container(container.id)["HostConfig"]
        status = sandbox.run("cat /proc/self/status", timeout=5).output
    assert host["NetworkMode"] == "none"
    assert host["Init"] is False
    assert host["CapDrop"] == ["ALL"]
    assert sorted(cap.removeprefix("CAP_") for cap in host["CapAdd"]) == sorted(CAPABILITIES)
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["Memory"] == 256 << 20
    assert host["PidsLimit"] == 128
    assert "NoNewPrivs:\t1" in status
    assert not ours(engine)


LOOK = r"""
try() { for f in "$1"/*; do
  if [ -d "$f" ] && [ ! -L "$f" ]; then try "$f"; elif [ -f "$f" ]; then
    ( : >>"$f" ) 2>/dev/null && echo "opened $f"; fi; done; }
try /proc/sys; try /proc/fs; try /proc/irq; try /proc/bus
for f in /proc/sysrq-trigger /proc/kcore; do
  [ -f "$f" ] && ( : >>"$f" ) 2>/dev/null && echo "opened $f"; done
for d in /sys /sys/kernel /sys/fs/cgroup/*; do
  [ -d $d ] && ( : >$d/canary ) 2>/dev/null && echo "made $d/canary"; done
for f in /dev/* /dev/*/*; do [ -b $f ] && echo "block $f"; [ -S $f ] && echo "socket $f"; done
for f in /dev/*; do [ -c $f ] && [ ! -L $f ] && echo "device $f"; done
while read -r _ _ _ _ point options rest; do
  echo "mount $point $options ${rest##*- }"; done </proc/self/mountinfo
"""


def test_nothing_of_the_host_can_be_written_to_from_a_container(busy, lock):
    """Every mount, device and kernel file is tried; files are opened, and nothing is written."""
    with sandboxes(lock).open(instance("c", busy)) as sandbox:
        sandbox._output_bytes = 200_000
        lines = sandbox.run(LOOK, timeout=120).output.splitlines()
    tried = [line for line in lines if line.split()[0] in {"opened", "made", "block", "socket"}]
    assert tried == []
    devices = {line.split()[1].removeprefix("/dev/") for line in lines if line[:7] == "device "}
    assert devices <= {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
    mounts = [line.split()[1:4] for line in lines if line.startswith("mount ")]
    writable = {point: kind for point, options, kind in mounts if options.startswith("rw")}
    own = {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/console"}
    # Files that the engine made for this container alone, and empty covers in memory.
    files = {f"/etc/{name}" for name in ("hosts", "hostname", "resolv.conf")}
    covers = {point for point in writable if writable[point] in {"tmpfs", "devtmpfs"}}
    assert set(writable) <= own | files | covers
    assert ["/proc/sys", "ro"] in [[point, options[:2]] for point, options, _ in mounts]


def test_the_container_is_removed_when_the_block_fails(engine, busy, lock):
    with pytest.raises(RuntimeError, match="mine"), sandboxes(lock).open(instance("c", busy)):
        raise RuntimeError("mine")
    assert not ours(engine)


def test_a_fork_bomb_is_over_with_its_command(busy, lock):
    with sandboxes(lock).open(instance("c", busy)) as sandbox:
        # The shell itself may be refused its next process, and end before its time.
        sandbox.run("b() { b | b & }; b; sleep 300", timeout=2)
        assert sandbox.run("echo calm", timeout=10).output == "calm\n"


def test_two_hundred_megabytes_stay_bounded_and_quick(busy, lock):
    with sandboxes(lock).open(instance("c", busy)) as sandbox:
        began = time.monotonic()
        result = sandbox.run("head -c 200000000 /dev/zero", timeout=60)
        assert result.dropped == 200_000_000 - 2000
        assert time.monotonic() - began < 55, "it took as long as the command may"


def test_a_container_killed_in_a_command_is_lost_at_once(engine, api, busy, lock):
    with sandboxes(lock).open(instance("c", busy)) as sandbox:
        (container,) = ours(engine)
        threading.Timer(0.5, api.kill, [container.id]).start()
        began = time.monotonic()
        with pytest.raises(Lost):
            sandbox.run("sleep 300", timeout=120)
        assert time.monotonic() - began < 100, "it waited for the time limit of its command"
        with pytest.raises(Lost):
            sandbox.run("true", timeout=5)
    assert until(lambda: not ours(engine))


ATTACKS = {
    "all": "kill -9 -1; sleep 300",
    "the first process": "kill -9 1; kill -TERM 1; kill -STOP 1; kill -HUP 1; exit 137",
    "its children": "for p in /proc/[0-9]*; do kill -9 ${p#/proc/}; done; sleep 300",
    "the others": "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || kill -9 ${p#/proc/}; done",
    "stopped": "kill -STOP -1; sleep 300",
    "bomb": "b() { b | b & }; b; kill -9 -1",
    "streams": "for p in /proc/[0-9]*; do echo x >$p/fd/1; : <$p/fd/3; done; kill -9 $PPID",
}


@pytest.mark.parametrize("image", [busybox, bare_shell], ids=["busybox", "dash"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_agent_that_kills_everything_loses_its_command_and_not_its_work(lock, image, attack):
    with sandboxes(lock).open(instance("c", image())) as sandbox:
        sandbox.write("/testbed/work", b"kept\n")
        result = sandbox.run(ATTACKS[attack], timeout=2)
        assert result.exit_code != 0
        assert sandbox.run("read x <work; echo $x", timeout=20).output == "kept\n"
        left = sandbox.run("set -- /proc/[0-9]*; echo $#", timeout=20)
        assert int(left.output) <= 5


def test_the_users_stop_cuts_a_command(busy, lock):
    flag = threading.Event()
    with sandboxes(lock, stopping=flag.is_set).open(instance("c", busy)) as sandbox:
        threading.Timer(0.5, flag.set).start()
        began = time.monotonic()
        assert sandbox.run("sleep 300", timeout=120).exit_code == 130
        assert time.monotonic() - began < 100, "it waited for the time limit of its command"
        assert sandbox.run("echo rescued", timeout=5).output == "rescued\n"


DRIVER = """
import sys, time
from pathlib import Path
from swe_router.sandboxes.docker import DockerSandboxes
from swe_router.settings import SandboxSettings
from swe_router.records import Instance
wanted = Instance(id="i", repo="o/n", base_commit="c", problem="p", image=sys.argv[2])
factory = DockerSandboxes(SandboxSettings(), run=sys.argv[1], lock=Path(sys.argv[3]))
with factory.open(wanted) as sandbox:
    print("up", flush=True)
    if sys.argv[4] == "busy":
        sandbox.run("trap '' TERM HUP; while :; do sleep 1; done", timeout=500)
    time.sleep(500)
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_no_container_outlives_a_driver_killed_by_signal_9(engine, busy, lock, state):
    run = f"{RUN}-{state}"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, run, busy, str(lock), state], stdout=subprocess.PIPE
    )
    assert driver.stdout.readline() == b"up\n"
    time.sleep(0.5)
    assert len(ours(engine, run)) == 1
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    assert until(lambda: not ours(engine, run), 15), "the container outlived its driver"


class Proxy:
    """A socket in front of the engine's, to be cut."""

    def __init__(self, path: Path) -> None:
        self.path, self.open = path, []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect("/var/run/docker.sock")
            self.open += [near, far]
            for pair in [(near, far), (far, near)]:
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def cut(self):
        self.path.unlink()
        self.server.close()
        for end in self.open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def test_an_engine_that_goes_away_is_lost_and_its_container_ends(engine, busy, lock, tmp_path):
    proxy = Proxy(tmp_path / "d.sock")
    far = Engine(sdk.APIClient(base_url=f"unix://{proxy.path}", version="auto"))
    with sandboxes(lock, run=f"{RUN}-cut", engine=far).open(instance("c", busy)) as sandbox:
        threading.Timer(0.5, proxy.cut).start()
        began = time.monotonic()
        with pytest.raises(Lost, match="engine does not answer"):
            sandbox.run("sleep 300", timeout=120)
        assert time.monotonic() - began < 100, "it waited for the time limit of its command"
    assert until(lambda: not ours(engine, f"{RUN}-cut"))


def test_an_absent_image_is_named_with_what_to_do(lock):
    with pytest.raises(ImageMissing, match=r"no/such:1 .*docker pull"):
        sandboxes(lock).prepare(instance("c", "no/such:1"))
    pulling = DockerSandboxes(SandboxSettings(), run=RUN, lock=lock)
    with pytest.raises(ImageMissing, match="localhost:1/no/such:1"):
        pulling.prepare(instance("c", "localhost:1/no/such:1"))


def test_an_image_without_a_shell_would_not_start(engine, lock, tmp_path):
    from tests.live.sandboxes import image

    (tmp_path / "x").write_bytes(b"nothing")
    with (
        pytest.raises(WouldNotStart, match="no-shell"),
        sandboxes(lock).open(instance("c", image("no-shell", {"etc/x": tmp_path / "x"}))),
    ):
        pass
    assert not ours(engine)


def test_the_reaper_takes_orphans_and_spares_a_live_run(engine, api, busy, lock):
    run = f"{RUN}-orphan"
    with sandboxes(lock, run=run).open(instance("c", busy)) as sandbox, lock.open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert reap(engine, run=run) == []
        assert sandbox.run("echo alive", timeout=5).output == "alive\n"
        (gone,) = reap(engine, run=run, mine=True)
        assert run in gone
        with pytest.raises(Lost):
            sandbox.run("true", timeout=5)
    assert not ours(engine, run)


def test_the_reaper_takes_what_was_created_and_never_started(engine, busy, lock):
    run = f"{RUN}-unborn"
    engine.create(busy, {"command": ["sh"], "labels": {RUN_LABEL: run, LOCK_LABEL: str(lock)}}, {})
    with lock.open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert reap(engine, run=run) == []
    assert len(reap(engine, run=run)) == 1
    assert not ours(engine, run)


def test_a_path_comes_out_of_an_image_without_running_it(engine, busy):
    stream = BytesIO(b"".join(engine.export_path(busy, "/bin/sh")))
    with tarfile.open(fileobj=stream) as tar:
        assert tar.getnames() == ["sh"]
    with pytest.raises(FileNotFoundError):
        list(engine.export_path(busy, "/testbed/.git"))
    with pytest.raises(ImageMissing):
        list(engine.export_path("no/such:1", "/x"))


def test_an_unreachable_engine_is_a_usage_error(tmp_path):
    code = "from swe_router.sandboxes.docker_engine import Engine; Engine.connect()"
    env = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/absent.sock"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert UsageError.__name__ in done.stderr
    assert "--sandbox local" in done.stderr
