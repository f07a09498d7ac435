"""Raises one wall around a probe that tries to write to whatever the sandbox shows; prints JSON.

Started as ``python -m tests.live.wall_probe WALL WHO`` in a mount namespace of its own, where it
may mount a file system below the folder of canaries. ``WHO`` is ``drop`` (as a sandbox is started)
or ``keep`` (commands stay the driver's user, so that only the mounts protect the host).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from swe_router.sandboxes import bwrap, unshare, visible_mounts
from swe_router.sandboxes.visible_mounts import Mount

PROBE = r"""
import json, os, stat, sys
HOST = os.makedev(*map(int, sys.argv[1].split(":")))

def writable(path):
    # Opened only: no byte is written and nothing is cut short.
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY))
    except OSError:
        return False
    return True

def changed(path):
    # A value is written back unchanged: the mode that it has already.
    try:
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
    except OSError:
        return False
    return True

def filled(folder):
    name = os.path.join(folder, ".swe-router-canary")
    try:
        with open(name, "x") as file:
            file.write("canary")
    except OSError:
        return False
    os.unlink(name)
    return True

def below(top, most):
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            most -= 1
            if most < 0:
                return
            yield os.path.join(folder, name)

mounts = []
for line in open("/proc/self/mountinfo"):
    left, right = line.split(" - ")
    parts = left.split()
    mounts.append({"device": parts[2], "point": parts[4].encode().decode("unicode_escape"),
                   "options": parts[5].split(","), "type": right.split()[0]})
opened, modes, made, devices = [], [], [], []
for mount in mounts:
    point = mount["point"]
    if os.stat(point).st_rdev:
        devices.append(point)
        modes += [point] * changed(point)
        continue
    if not os.path.isdir(point):
        opened += [point] * writable(point)
        modes += [point] * changed(point)
        continue
    made += [point] * filled(point)
    modes += [point] * changed(point)
    if mount["type"] == "proc" or point in ("/", "/dev", "/tmp", "/testbed"):
        continue
    for path in below(point, 400):
        kind = os.lstat(path).st_mode
        opened += [path] * (stat.S_ISREG(kind) and writable(path))
        made += [path] * (stat.S_ISDIR(kind) and filled(path))
kernel = []
for folder, folders, files in os.walk("/proc"):
    if folder == "/proc":
        folders[:] = [name for name in folders if not name.isdigit() and "self" not in name]
    for name in files:
        path = os.path.join(folder, name)
        kind = os.lstat(path).st_mode  # a device there is the /dev/null of a mask
        kernel += [path] * (stat.S_ISREG(kind) and writable(path))
for folder, folders, files in os.walk("/dev"):
    devices += [os.path.join(folder, name) for name in files]
nodes = []
for kind in (stat.S_IFBLK, stat.S_IFCHR):
    try:
        os.mknod("/tmp/node", kind | 0o600, HOST)
        os.close(os.open("/tmp/node", os.O_RDONLY))
        nodes.append(kind)
    except OSError:
        pass
sockets = [path for top in ("/tmp", "/run", "/var", "/dev", "/etc") for path in below(top, 10000)
           if stat.S_ISSOCK(os.lstat(path).st_mode)]
open("/testbed/mine", "w").close()
status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
print(json.dumps({
    "uid": os.getuid(), "groups": os.getgroups(), "mounts": mounts, "opened": opened,
    "modes": modes, "made": made, "kernel": kernel,
    "devices": sorted({os.stat(path).st_rdev: path for path in devices
                       if os.path.exists(path) and os.stat(path).st_rdev}.values()),
    "nodes": nodes, "sockets": sockets,
    "powers": [status[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "locked": status["NoNewPrivs"].strip(), "sys": os.path.exists("/sys/kernel"),
}))
"""


def main(wall: str, who: str) -> None:
    """Raise the wall and hand on what the probe says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        owner = visible_mounts.sandbox_owner() if who == "drop" else None
        canaries = _canaries(folder)
        (folder / "work").mkdir()
        (folder / "work").chmod(0o777)
        mounts = visible_mounts.mount_plan(folder / "work", "/testbed", [], [folder / "canary"])
        mounts.append(Mount("show", "/canaries", str(canaries)))
        inside = [sys.executable, "-c", PROBE, _disk(folder)]
        env = visible_mounts.command_environment()
        if wall == "bwrap":
            command = bwrap.bwrap_command(mounts, inside, env, owner=owner)
        else:
            (folder / "root").mkdir()
            user = wall == "unshare-user"
            command = unshare.unshare_command(
                mounts, inside, env, root=folder / "root", user=user, owner=owner
            )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr}
        left = {str(path.relative_to(folder)): path.read_text() for path in _files(folder)}
        mine = folder / "work" / "mine"
        left.pop("work/mine", None)
        said["owner"] = mine.stat().st_uid if mine.exists() else None
        print(json.dumps({**said, "left": left, "host": _devices()}))
        subprocess.run(["umount", str(canaries / "below it")], check=False, capture_output=True)


def _canaries(folder: Path) -> Path:
    """Files that the sandbox shows: in /etc, in a folder, in a file system below that."""
    below = folder / "canaries" / "below it"
    below.mkdir(parents=True)
    # Who is not root cannot mount here; then the canary lies in the folder itself.
    options = ["-o", "nosuid,nodev,noexec,mode=777"]
    subprocess.run(
        ["mount", "-t", "tmpfs", *options, "none", str(below)], check=False, capture_output=True
    )
    for path in (folder / "canary", folder / "canaries" / "one", below / "two"):
        path.write_text("whole", encoding="ascii")
        path.chmod(0o666)
    for path in (folder / "canaries", below):
        path.chmod(0o777)
    return folder / "canaries"


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _devices() -> list[str]:
    """major:minor of every file system of this machine."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return sorted({line.split()[2] for line in lines})


def _disk(folder: Path) -> str:
    number = folder.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"


if __name__ == "__main__":
    main(*sys.argv[1:])
