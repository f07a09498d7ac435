"""Local sandboxes: what they hide, what they hold, and that nothing of them stays behind."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from swe_router import assets
from swe_router.errors import Lost, WouldNotStart
from swe_router.sandboxes import patch_application, reaper, visible_mounts
from swe_router.sandboxes.local import CARD, LocalSandboxes, best_wall
from swe_router.sandboxes.patch_capture import StartSnapshot
from swe_router.sandboxes.temp_folders import PREFIX, folder_prefix
from swe_router.settings import SandboxSettings
from tests.doubles.waiting import until
from tests.live.sandboxes import instance, repository

WALL = best_wall(unsafe=True)
ISOLATED = WALL != "process"
"""False only on a machine with neither bubblewrap nor user namespaces."""
HOMES = sorted({Path.home(), Path(pwd.getpwuid(os.getuid()).pw_dir)} - {Path("/")})
"""An empty HOME makes it the root, which is no secret."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    bare, commit = repository(folder)
    return folder, bare, instance(commit)


def sandboxes(home, *, run="test", **options):
    folder, bare, _ = home
    settings = options.pop("settings", SandboxSettings())
    options = {"lock": folder / "run" / "lock", "wall": WALL, **options}
    return LocalSandboxes(settings, start=lambda _: bare, run=run, **options)


@pytest.fixture(scope="module")
def sandbox(home):
    with sandboxes(home).open(home[2]) as made:
        yield made


def test_the_work_tree_is_the_base_commit_and_no_other(sandbox, home):
    assert sandbox.read("/testbed/file.txt") == b"1\n"
    seen = sandbox.run(
        "git log --all --format=%s; git remote; git tag; git branch", timeout=20
    ).output
    assert seen == "number 1\n* main\n"
    assert sandbox.run("git rev-parse HEAD", timeout=20).output.strip() == home[2].base_commit
    counted = sandbox.run("git count-objects; find .git -name '*FETCH*' -o -name logs", timeout=20)
    assert counted.output.startswith("3 objects")
    assert "FETCH" not in counted.output
    assert sandbox.run("git status --porcelain", timeout=20).output == ""


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
@pytest.mark.parametrize(
    "place",
    [
        *HOMES,
        Path.home() / ".cache",
        Path.home() / ".ssh",
        Path(__file__).resolve(),
        assets.assets_root() / "eval" / "suites",
        assets.assets_root() / "eval" / "suites" / "demo",
        Path(assets.__file__).resolve(),
        Path(assets.__file__).resolve().parent / "_assets",
        Path("/etc/shadow"),
        Path("/var/run/docker.sock"),
        Path("/proc/1/root/home"),
    ],
    ids=str,
)
def test_nothing_of_ours_can_be_read(sandbox, place):
    # A folder may be there as the way to the interpreter; what it holds may not.
    ways = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve()}
    allowed = {way.relative_to(place).parts[0] for way in ways if way.is_relative_to(place)}
    seen = sandbox.run(f"ls -A '{place}' 2>/dev/null", timeout=20).output.split()
    assert set(seen) <= allowed


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_a_run_folder_and_the_repository_cache_cannot_be_read(sandbox, home):
    folder, bare, _ = home
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / "records.jsonl").write_text("secret", encoding="ascii")
    result = sandbox.run(f"cat {folder}/run/records.jsonl {bare}/HEAD; ls -A /tmp /run", timeout=20)
    assert "secret" not in result.output
    assert "ref:" not in result.output


DRIVER = """
import sys
from pathlib import Path
from swe_router.records import Instance
from swe_router.sandboxes.local import LocalSandboxes
from swe_router.settings import SandboxSettings
bare, commit, lock, wall, command = sys.argv[1:]
wanted = Instance(id="i", repo="o/n", base_commit=commit, problem="p")
given = {"run": "r", "lock": Path(lock), "wall": wall}
made = LocalSandboxes(SandboxSettings(), start=lambda _: Path(bare), **given)
with made.open(wanted) as sandbox:
    print(sandbox.run(command, timeout=30).output)
"""


def driven(python, home, command, folder, **variables):
    """What a command says in a sandbox that another interpreter's driver opened."""
    arguments = [str(home[1]), home[2].base_commit, str(home[0] / "lock"), WALL, command]
    env = {**os.environ, **variables}
    done = subprocess.run(
        [str(python), "-c", DRIVER, *arguments],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_environment_of_the_driver_is_not_seen(home):
    checkout = Path(__file__).parents[2]
    said = driven(
        sys.executable, home, "env; cat /proc/*/environ", checkout, SOME_API_KEY="hunter2"
    )
    assert "LANG=C.UTF-8" in said
    assert "hunter2" not in said


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_an_installed_wheel_with_its_answer_key_cannot_be_read(home, tmp_path):
    """The package sits in the interpreter's own site-packages, which the sandbox must show."""
    venv = tmp_path / "checkout" / ".venv"
    packages = venv / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    shutil.copytree(
        Path(assets.__file__).parent,
        packages / "swe_router",
        ignore=shutil.ignore_patterns("_assets", "__pycache__"),
    )
    real = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    (venv / "pyvenv.cfg").write_text(f"home = {real.parent}\n", encoding="utf-8")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(real)
    gold = packages / "swe_router" / "_assets" / "eval" / "suites" / "demo" / "gold.jsonl"
    gold.parent.mkdir(parents=True)
    gold.write_text("the answer", encoding="ascii")
    (venv.parent / "notes.txt").write_text("beside the venv", encoding="ascii")
    (packages / "deps.pth").write_text("\n".join(p for p in sys.path if "site-" in p) + "\n")
    command = f'which python; python -c "import swe_router.assets"; ls {venv.parent}; cat {gold}'
    said = driven(venv / "bin" / "python", home, command, tmp_path, PYTHONPATH="")
    assert f"{venv}/bin/python" in said
    assert "No module named 'swe_router.assets'" in said
    assert "notes.txt" not in said
    assert "the answer" not in said
    assert "No such file" in said


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_system_folders_are_read_only_and_there_is_no_network(sandbox):
    result = sandbox.run("touch /usr/x", timeout=20)
    assert result.exit_code != 0
    assert not Path("/usr/x").exists()
    dial = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    assert "unreachable" in sandbox.run(f'python -c "{dial}"', timeout=20).output
    local = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print('ok', s.getsockname())"
    )
    assert sandbox.run(f'python -c "{local}"', timeout=20).output.startswith("ok")


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_the_kernel_and_etc_of_this_machine_cannot_be_written_to(sandbox):
    """Files of root's were, by a command without capabilities that is root all the same."""
    tried = "for f in /proc/sys/kernel/* /proc/sysrq-trigger /etc/*; do [ -f $f ] || continue;"
    said = sandbox.run(f"{tried} ( : >>$f ) 2>/dev/null && echo $f; done; echo tried", timeout=60)
    assert said.output == "tried\n"


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_what_root_starts_is_nobody_and_owns_its_work_tree(sandbox):
    seen = sandbox.run(
        "touch made; stat -c %u . made file.txt .git; git status --short", timeout=20
    )
    owners = {visible_mounts.NOBODY if os.geteuid() == 0 else os.geteuid()}
    inside = {"unshare-user": {0}}.get(WALL, owners)
    assert seen.output.split()[:4] == [str(inside.pop())] * 4
    assert seen.output.endswith("?? made\n")
    sandbox.run("rm made", timeout=20)


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_streams_can_be_opened_by_their_names(sandbox):
    assert sandbox.run("echo a >/dev/stderr; echo b >/dev/stdout", timeout=20).output == "a\nb\n"


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_memory_over_the_limit_ends_the_command_and_not_the_sandbox(home):
    settings = SandboxSettings(memory="200m", pids=200)
    with sandboxes(home, settings=settings).open(home[2]) as made:
        assert made.run("python -c 'bytearray(600 << 20)'", timeout=60).exit_code != 0
        assert made.run("python -c 'bytearray(60 << 20)'", timeout=60).exit_code == 0


def test_python_and_pytest_work_and_are_ours(sandbox):
    result = sandbox.run("python -c 'import sys; print(sys.prefix)'; pytest --version", timeout=60)
    assert result.output.startswith(f"{sys.prefix}\n")
    assert "pytest 9" in result.output


def test_ctrl_c_means_something_to_a_command(sandbox):
    """Background jobs of a shell ignore SIGINT, and what they start inherits that."""
    code = "import signal; print(signal.getsignal(signal.SIGINT).__name__)"
    assert sandbox.run(f'python -c "{code}"', timeout=20).output == "default_int_handler\n"


@pytest.mark.skipif(not ISOLATED, reason="no isolation on this machine")
def test_a_command_that_kills_everything_kills_itself_only(sandbox):
    sandbox.run("kill -9 -1; kill -TERM 1; sleep 300", timeout=2)
    assert sandbox.run("echo alive", timeout=20).output == "alive\n"


def test_a_sandbox_killed_in_a_command_is_lost_at_once(home):
    with sandboxes(home).open(home[2]) as made:
        pid = made._transport.pid
        threading.Timer(0.3, os.killpg, [pid, signal.SIGKILL]).start()
        began = time.monotonic()
        with pytest.raises(Lost):
            made.run("sleep 300", timeout=120)
        assert time.monotonic() - began < 100, "it waited for the time limit of its command"


def test_nothing_stays_behind_whatever_the_agent_did_to_its_modes(home):
    base = Path(tempfile.gettempdir())
    run = f"modes-{os.getpid()}"
    with sandboxes(home, run=run).open(home[2]) as made:
        made.run("mkdir -p a/b; echo x >a/b/c; chmod 0 a/b a", timeout=20)
        mine = list(base.glob(f"{folder_prefix(run)}*"))
        groups = [Path(name) for name in json.loads((mine[0] / CARD).read_text())["groups"]]
        assert all(group.exists() for group in groups)
    assert not [path for path in [*mine, *groups] if path.exists()]


def test_the_reaper_takes_folders_of_the_dead_and_spares_the_live(home, tmp_path):
    run = f"reaper-{os.getpid()}"
    orphan = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = tmp_path / "lock"
    card = {"run": run, "lock": str(lock), "groups": []}
    (orphan / CARD).write_text(json.dumps(card), encoding="utf-8")
    with sandboxes(home, run=run).open(home[2]) as made:
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            assert reaper.reap(None, run=run) == []
        assert reaper.reap(None, run=run) == [f"folder {orphan}"]
        assert made.run("echo alive", timeout=20).output == "alive\n"
    assert not orphan.exists()


def test_a_folder_whose_driver_died_before_it_wrote_the_card_goes_with_its_run():
    run = f"cardless-{os.getpid()}"
    bare = Path(tempfile.mkdtemp(prefix=folder_prefix(run)))
    assert reaper.reap(None, run=run) == []
    assert reaper.reap(None, run=f"other-{run}", mine=True) == []
    assert reaper.reap(None, run=run, mine=True) == [f"folder {bare}"]


def test_no_process_outlives_a_driver_killed_by_signal_9(home):
    mark = f"96{os.getpid() % 1000:03}.25"
    arguments = [str(home[1]), home[2].base_commit, str(home[0] / "lock"), WALL]
    command = f"trap '' TERM HUP; setsid sleep {mark} & echo up; sleep {mark}"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments, command], cwd=Path(__file__).parents[2]
    )
    assert until(lambda: running(f"sleep {mark}"))
    driver.kill()
    driver.wait()
    assert until(lambda: not running(f"sleep {mark}"))
    # The next clean takes the folder that it left, among whatever else dead runs did.
    reaper.reap(None, run="r")
    base = Path(tempfile.gettempdir())
    cards = [path.read_text(encoding="utf-8") for path in base.glob(f"{PREFIX}*/{CARD}")]
    assert not [card for card in cards if str(home[0]) in card and '"r"' in card]


def running(words):
    """Whether a process of this machine has these words in its command line, zombies aside."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if line.startswith(words):
            return True
    return False


def test_a_commit_that_is_not_there_would_not_start(home):
    with pytest.raises(WouldNotStart, match="git fetch"), sandboxes(home).open(instance("0" * 40)):
        pass


def test_a_plain_process_keeps_the_promises_that_it_can(home):
    with sandboxes(home, wall="process").open(home[2]) as made:
        assert made.identity == "local:process"
        assert made.read("/testbed/file.txt") == b"1\n"
        made.write("/testbed/new", b"n")
        assert made.run("cat /testbed/new; cd /testbed && ls", timeout=20).exit_code == 0
        mark = f"97{os.getpid() % 1000:03}.5"
        made.run(f"setsid sleep {mark} & nohup sleep {mark} & sleep {mark}", timeout=0.4)
        assert made.run("echo alive", timeout=20).output == "alive\n"
    assert until(lambda: not running(f"sleep {mark}"))


@pytest.mark.parametrize("wall", [WALL, "process"])
@pytest.mark.parametrize("workdir", ["/app", "/workspace/some.repo-1"])
def test_the_project_lies_where_its_instance_says(home, wall, workdir):
    one = home[2].model_copy(update={"workdir": workdir})
    with sandboxes(home, wall=wall).open(one) as made:
        assert made.workdir == workdir
        assert made.read(f"{workdir}/file.txt") == made.read("file.txt") == b"1\n"
        start = StartSnapshot.take(made)
        made.run(f"echo 2 > {workdir}/file.txt; cd / && echo 3 > {workdir}/new", timeout=20)
        patch = start.candidate(made, "a").patch
        assert "+2" in patch
        assert "b/new" in patch
        if wall != "process":
            assert made.run("pwd; ls -d /testbed", timeout=20).output.startswith(f"{workdir}\n")
            assert made.run("touch /somewhere", timeout=20).exit_code != 0
        else:
            assert made.run(f"echo /usr{workdir} {workdir}x", timeout=20).output == (
                f"/usr{workdir} {workdir}x\n"
            ), "a longer path is another one"
    with sandboxes(home, wall=wall).open(one) as made:
        assert patch_application.apply_patch(made, patch).exit_code == 0
        assert made.read("new") == b"3\n"
