"""In real containers: an image with a set-up commit, and one that leaks in every way we know."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from swe_router.records import Instance, Result
from swe_router.sandboxes.leak_guard import remove_leaks
from swe_router.sandboxes.patch_capture import StartSnapshot

pytestmark = pytest.mark.docker
SECRET = "the fix nobody may see"
DEV = "git -c user.name=Dev -c user.email=dev@project.org"
MAKERS = "git -c user.name=SWE-bench -c user.email=setup@swebench.config"
PAST = (
    "mkdir -p /testbed && cd /testbed && git init -q -b main && for i in 1 2 3; do echo $i > a.py;"
    f" git add -A; {DEV} commit -q -m past$i; done; git rev-parse HEAD > /base; "
)
SET_UP = f"echo installed > setup.cfg; git add -A; {MAKERS} commit -q -m SWE-bench"
LEAKS = (
    f"git checkout -q -b future; echo '{SECRET}' > a.py; {DEV} commit -qam '{SECRET}'; "
    f"git tag later; git checkout -q main; echo '{SECRET}' > a.py; {DEV} stash -q; git repack -adq;"
    " git branch gone later; git branch -qD gone;"
    " git remote add origin https://user:hunter2@example.org/own/project;"
    " git update-ref refs/remotes/origin/main later; git bundle create -q /root/all.bundle --all;"
    " git clone -q --bare . /opt/mirror.git; mkdir -p /usr/local/src /vol;"
    " git clone -q --bare . /usr/local/src/mirror.git; git clone -q --bare . /vol/mirror.git;"
    f" git worktree add -q /opt/mirror-tree later; {SET_UP}"
)


class Container:
    """A Sandbox by the docker command line, for these tests only."""

    identity = "docker:test"
    workdir = "/testbed"

    def __init__(self, image: str) -> None:
        self._id = docker(
            "run", "-d", "--rm", "--network", "none", "-v", "/vol", image, "sleep", "600"
        ).strip()

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        done = subprocess.run(
            ["docker", "exec", "-w", cwd or self.workdir, self._id, "sh", "-c", command],
            capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Result(
            exit_code=done.returncode, output=(done.stdout + done.stderr).decode(errors="replace")
        )

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        done = subprocess.run(
            ["docker", "exec", self._id, "cat", path], capture_output=True, check=False
        )
        if done.returncode:
            raise FileNotFoundError(path)
        return done.stdout

    def write(self, path: str, data: bytes) -> None:
        script = 'mkdir -p "${1%/*}" && cat > "$1"'
        subprocess.run(
            ["docker", "exec", "-i", self._id, "sh", "-c", script, "sh", path],
            input=data,
            check=True,
        )

    def close(self) -> None:
        subprocess.run(["docker", "kill", self._id], capture_output=True, check=False)


def docker(*arguments: str, data: bytes | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module")
def host_image() -> str:
    """This machine's shell, git and libraries as an image."""
    libraries = ["usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib/git-core"]
    folders = ["bin", "lib", "lib64", "sbin", "usr/bin", *libraries]
    packed = subprocess.run(
        ["tar", "-C", "/", "--exclude=*.a", "--exclude=*llvm*", "-c", *folders],
        capture_output=True, check=False,
    ).stdout  # fmt: skip
    tag = "swe-router-test/leaks:1"
    docker("import", "-", tag, data=packed)
    return tag


@pytest.fixture
def container(host_image: str) -> Iterator[Callable[[str], Container]]:
    """Makes a container on which a script was run first."""
    made: list[Container] = []

    def make(script: str) -> Container:
        sandbox = Container(host_image)
        made.append(sandbox)
        result = sandbox.run(
            f"mkdir -p /tmp /root; export HOME=/root; {script}", timeout=120, cwd="/"
        )
        assert result.exit_code == 0, result.output
        return sandbox

    yield make
    for sandbox in made:
        sandbox.close()


def instance(sandbox: Container) -> Instance:
    base = sandbox.read("/base").decode().strip()
    return Instance(id="p__p-1", repo="own/project", base_commit=base, problem="")


def test_the_set_up_commit_of_an_image_stays(container: Callable[[str], Container]) -> None:
    sandbox = container(PAST + SET_UP)
    report = remove_leaks(sandbox, instance(sandbox))
    assert report.verified
    assert report.setup_commits == (report.head,)
    assert {finding.kind for finding in report.removed} <= {"reflog", "file"}
    snapshot = StartSnapshot.take(sandbox)
    sandbox.run("echo 4 > a.py; rm -rf .git", timeout=60)
    candidate = snapshot.candidate(sandbox, "t")
    assert (candidate.files, candidate.proven) == (("a.py",), True)


def test_planted_leaks_are_gone(container: Callable[[str], Container]) -> None:
    sandbox = container(PAST + LEAKS)
    report = remove_leaks(sandbox, instance(sandbox))
    kinds = {finding.kind for finding in report.removed}
    assert report.verified
    assert kinds >= {"ref", "reflog", "object", "config", "bundle", "store"}
    assert "hunter2" not in report.model_dump_json()
    dump = (
        "git cat-file --batch-all-objects --batch; cat .git/config; ls /root /opt /vol /usr/*/src"
    )
    left = sandbox.run(dump, timeout=60).output
    assert SECRET not in left
    assert "origin" not in left
    assert "bundle" not in left
    assert "mirror" not in left
    assert (
        sandbox.run(f"git checkout -q {report.base} a.py && cat a.py", timeout=60).output == "3\n"
    )
