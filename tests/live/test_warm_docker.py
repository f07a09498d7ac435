"""Warm sandboxes on a real engine: what a test run did to one is not met by the next."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from swe_router.sandboxes.docker import RUN_LABEL, DockerSandboxes
from swe_router.sandboxes.docker_engine import Engine
from swe_router.sandboxes.warm_pool import WarmSandboxes
from swe_router.settings import SandboxSettings
from tests.live import sandboxes
from tests.live.sandboxes import instance

pytestmark = pytest.mark.docker
RUN = f"test-warm-{os.getpid()}"
FILES = {
    "usr/lib/site-packages/dep.py": "x = 1",
    "testbed/ignored.cfg": "ignored",
    "testbed/module.py": "print(1)",
    "testbed/.git/config": "[core]",
    "testbed/.git/hooks/pre-push": "exit 0",
}
DIRTY = """
echo 'x = 2' > /usr/lib/site-packages/dep.py; rm module.py; echo 'other' > ignored.cfg
echo '[alias]' >> .git/config; echo 'exit 1' > .git/hooks/post-checkout
chmod 777 /usr/lib/site-packages; touch /tmp/left; echo 127.0.0.9 evil >> /etc/hosts
echo left > /dev/shm/left; (while :; do sleep 1; done) & setsid sleep 999 &
"""
STATE = """
find / -xdev ! -path '/proc/*' ! -path '/sys/*' ! -path '/etc/host*' ! -name '*.swe-router*' |
  sort | while read f; do [ -f "$f" ] && cksum "$f"; ls -ld "$f" | cut -c1-10; echo "$f"; done
grep -c evil /etc/hosts; ls -A /dev/shm; ps | grep -c '[s]leep 999'
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    lock = tmp_path_factory.mktemp("warm") / "lock"
    lock.touch()
    given = SandboxSettings(memory="256m", pids=128, pull=False, output_bytes=200_000)
    return DockerSandboxes(given, run=RUN, lock=lock)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    found = shutil.which("busybox")
    assert found, "install busybox-static"
    held = {"bin/sh": Path(found)}
    for number, (path, text) in enumerate(FILES.items()):
        held[path] = folder / str(number)
        held[path].write_text(text)
    return instance("c", sandboxes.image("warm", held))


def state(sandbox) -> str:
    said: str = sandbox.run(STATE, timeout=60).output
    return said


def test_what_a_run_dirtied_is_not_handed_out_again(plain, image):
    with plain.open(image) as sandbox:
        clean = state(sandbox)
    assert all(f"/{path}" in clean for path in FILES)
    with closing(WarmSandboxes(plain, ahead=2)) as warm:
        for _ in range(4):
            with warm.open(image) as sandbox:
                assert state(sandbox) == clean
                sandbox.run(DIRTY, timeout=20)
                seen = state(sandbox)
            for trace in ("post-checkout", "drwxrwxrwx\n/usr/lib/site-packages", "/tmp/left"):
                assert trace in seen, "the dirt is seen where it was made"
            assert "/testbed/module.py" not in seen
    assert Engine.connect().containers(f"{RUN_LABEL}={RUN}") == []


def test_a_tar_is_unpacked_before_anything_runs(plain, image):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo("./pkg/__pycache__/m.cpython-39.pyc")
        entry.size, entry.mtime = 3, 1_600_000_000
        tar.addfile(entry, io.BytesIO(b"abc"))
    with plain.open(image, made.getvalue()) as sandbox:
        assert sandbox.read("/testbed/pkg/__pycache__/m.cpython-39.pyc") == b"abc"


def test_nothing_is_left_when_the_block_fails(plain, image):
    with (
        closing(WarmSandboxes(plain, ahead=2)) as warm,
        pytest.raises(RuntimeError),
        warm.open(image),
    ):
        raise RuntimeError
    assert Engine.connect().containers(f"{RUN_LABEL}={RUN}") == []
