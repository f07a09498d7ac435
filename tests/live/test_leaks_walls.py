"""No wall lets a sandbox write to this machine: every mount, device and kernel file is tried.

As root both layers are tried alone: the mounts with commands that stay root, then the sandbox as it
is started, whose commands are nobody. The same as an ordinary user, for whom root steps down.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from swe_router.sandboxes.visible_mounts import DEVICES, NOBODY

pytestmark = pytest.mark.box

ROOT = os.geteuid() == 0
CHECKOUT = Path(__file__).parents[2]
ORDINARY = 12345
"""A user whom nothing of this machine belongs to."""
OWN = {"/", "/dev", "/dev/pts", "/dev/shm", "/proc", "/testbed", "/tmp"}
"""Mounts of the sandbox's own, which may be written to; all but the last two by root alone."""
TRIED = [
    *((wall, who) for wall in ("bwrap", "unshare") for who in ("drop", "keep") if ROOT),
    *((wall, "user") for wall in ("bwrap", "unshare-user")),
]


def probed(wall: str, who: str) -> dict:
    """What the probe found; skipped where the wall cannot be had."""
    command = [
        sys.executable,
        "-m",
        "tests.live.wall_probe",
        wall,
        "keep" if who != "drop" else who,
    ]
    if ROOT and who == "user":
        step = ["setpriv", "--reuid", str(ORDINARY), "--regid", str(ORDINARY), "--clear-groups"]
        command = ["sh", "-c", _opened() + shlex.join([*step, *command])]
    if ROOT:
        command = ["unshare", "--mount", *command]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    if "failed" in said and who == "user":
        pytest.skip(f"{wall}: {said['failed']}")
    assert "failed" not in said, said["failed"]
    return said


def _opened() -> str:
    """Shell lines that let an ordinary user reach the interpreter, in a mount namespace of ours."""
    lines = ["set -e"]
    for number, path in enumerate(dict.fromkeys([sys.base_prefix, sys.prefix, str(CHECKOUT)])):
        top = Path(path).parents[-2] if len(Path(path).parents) > 1 else Path(path)
        if not top.stat().st_mode & 0o001:
            keep, name = f"/tmp/.kept{number}", shlex.quote(path)
            lines += [f"mkdir -p {keep}; mount --bind {name} {keep}"]
            lines += [f"mount -t tmpfs -o mode=755 none {top}; mkdir -p {name}"]
            lines += [f"mount --move {keep} {name}; rmdir {keep}"]
    return "\n".join([*lines, "exec "])


@pytest.fixture(scope="module", params=TRIED, ids="-".join)
def seen(request):
    """One wall and one user: what was tried, and what went through."""
    wall, who = request.param
    return {**probed(wall, who), "wall": wall, "who": who}


def test_every_mount_of_the_host_is_read_only(seen):
    writable = {mount["point"]: mount for mount in seen["mounts"] if "rw" in mount["options"]}
    devices = {f"/dev/{name}" for name in DEVICES} if seen["wall"] == "bwrap" else set()
    assert set(writable) <= OWN | devices
    shared = {name for name in writable if writable[name]["device"] in seen["host"]}
    assert shared <= {"/testbed"} | devices, "a file system of the host can be written to"
    assert len(seen["mounts"]) > 15


def test_nothing_that_is_bound_in_can_be_opened_for_writing(seen):
    assert seen["opened"] == []
    assert set(seen["made"]) <= OWN
    points = {mount["point"] for mount in seen["mounts"]}
    assert {"/etc/canary", "/canaries", "/usr", "/testbed"} <= points
    assert set(seen["left"].values()) == {"whole"}
    assert len(seen["left"]) >= 2


def test_a_file_system_below_a_shown_folder_is_read_only_too(seen):
    if seen["who"] == "user":
        pytest.skip("an ordinary user cannot mount the canary's file system")
    below = [mount for mount in seen["mounts"] if mount["point"] == "/canaries/below it"]
    assert [mount["options"][0] for mount in below] == ["ro"]


def test_the_kernel_of_the_host_cannot_be_written_to(seen):
    assert seen["kernel"] == []
    assert not seen["sys"]
    covered = {mount["point"]: mount["options"][0] for mount in seen["mounts"]}
    assert covered["/proc/sys"] == "ro"


def test_only_harmless_devices_are_there_and_none_can_be_made(seen):
    harmless = {f"/dev/{name}" for name in (*DEVICES, "ptmx", "pts/ptmx")}
    links = {f"/dev/{name}" for name in ("stdin", "stdout", "stderr")}
    masks = {device for device in seen["devices"] if device.startswith("/proc/")}
    assert set(seen["devices"]) - masks <= harmless | links
    assert seen["nodes"] == []
    assert seen["sockets"] == []
    if (seen["wall"], seen["who"]) != ("bwrap", "keep"):  # bwrap cannot bind a device read-only
        assert not [point for point in seen["modes"] if point not in OWN]


def test_commands_have_no_power_and_are_not_the_root_of_the_host(seen):
    assert set(seen["powers"]) == {"0" * 16}
    assert seen["locked"] == "1"
    whom = {"drop": NOBODY, "keep": 0, "user": ORDINARY if ROOT else os.getuid()}
    assert seen["owner"] == whom[seen["who"]]
    if seen["who"] == "drop":
        assert (seen["uid"], seen["groups"], seen["modes"]) == (NOBODY, [], [])
