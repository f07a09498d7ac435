"""A local sandbox raised by bubblewrap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from swe_router.sandboxes.visible_mounts import (
    MASKED,
    MORTAL,
    READ_ONLY,
    SCRATCH,
    Mount,
    SandboxOwner,
)

SWITCH = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
"""What ``setpriv`` needs to become another user, and gives up in doing so."""
AROUND = (*MORTAL, "unshare", "--pid", "--fork", "--kill-child")
"""Put before a bwrap whose sandbox runs as another user, whom it may not kill when it dies: with
the first process of a PID namespace the kernel ends all the others."""


def bwrap_command(
    mounts: Sequence[Mount],
    inside: Sequence[str],
    env: dict[str, str],
    *,
    owner: SandboxOwner | None = None,
    scratch: int = SCRATCH,
) -> list[str]:
    """The ``bwrap`` command line that runs ``inside`` within the mounts.

    ``owner``: whom ``inside`` runs as, for a driver that is root; None stays the driver's user.
    ``scratch``: bytes that /tmp and /dev/shm may hold each.
    """
    alone = ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if owner is None:
        alone.append("--unshare-all")
    else:
        # No user namespace: bwrap's would have one user, and that one this machine's root.
        spaces = ("ipc", "pid", "net", "uts", "cgroup-try")
        alone += [f"--unshare-{name}" for name in spaces]
        alone += [part for name in SWITCH for part in ("--cap-add", name)]
    # As process 1 the loop survives `kill -9 -1`.
    alone.append("--as-pid-1")
    sets = [part for key, value in env.items() for part in ("--setenv", key, value)]
    # First, because an interpreter may lie below them (a venv in /tmp).
    tmp, shm = _scratch("/tmp", scratch), _scratch("/dev/shm", scratch)  # noqa: S108
    root = [*tmp, "--dev", "/dev", *shm, "--proc", "/proc"]
    shown = [part for mount in mounts for part in _shown(mount)]
    become = owner.become() if owner else []
    covers = [*_kernel(), *_ways(mounts), *shown]
    # Only now: a place to hide may lie within another, and has to be made there.
    bare = [part for name in _bare(covers) for part in ("--remount-ro", name)]
    made = [*root, *covers, *bare, "--chdir", "/"]
    around = AROUND if owner else ()
    return [*around, "bwrap", *alone, "--clearenv", *sets, *made, *become, *inside]


def _scratch(target: str, size: int) -> list[str]:
    """Room of the sandbox's own that every user may write to."""
    return ["--perms", "1777", "--size", str(size), "--tmpfs", target]


def _empty(target: str) -> list[str]:
    return ["--tmpfs", target] if Path(target).is_dir() else ["--ro-bind", os.devnull, target]


def _bare(covers: Sequence[str]) -> list[str]:
    """The folders that were covered by an empty one."""
    return [target for part, target in pairwise(covers) if part == "--tmpfs"]


def _kernel() -> list[str]:
    """Covers of /proc; bwrap's own leave /proc/sys writable for root."""
    fixed = [["--ro-bind", name, name] for name in READ_ONLY if Path(name).exists()]
    masked = [_empty(name) for name in MASKED if Path(name).exists()]
    return [part for parts in [*fixed, *masked] for part in parts]


def _ways(mounts: Sequence[Mount]) -> list[str]:
    """Folders on the way to a mount; bwrap itself makes them for their owner alone."""
    targets = {Path(mount.target) for mount in mounts}
    ways = {way for target in targets for way in target.parents}
    free = [way for way in ways if not targets & {way, *way.parents} and way != Path("/")]
    return [part for way in sorted(free) for part in ("--perms", "0755", "--dir", str(way))]


def _shown(mount: Mount) -> list[str]:
    if mount.kind == "hide":
        return _empty(mount.target)
    if mount.kind == "link":
        return ["--symlink", mount.source, mount.target]
    return ["--bind" if mount.kind == "work" else "--ro-bind", mount.source, mount.target]
