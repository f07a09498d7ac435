"""A local sandbox raised by ``unshare`` and ``mount``, where there is no bubblewrap."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from swe_router.sandboxes.visible_mounts import (
    DEVICES,
    MASKED,
    MORTAL,
    POWERLESS,
    READ_ONLY,
    SCRATCH,
    Mount,
    SandboxOwner,
)

SPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")
STREAMS = ("stdin", "stdout", "stderr")
_COVERED = """
for name in {fixed}; do
  if [ -e "$name" ]; then mount --rbind "$name" "$name"; fi
done
for name in {masked}; do
  if [ -d "$name" ]; then mount -t tmpfs -o nosuid,nodev,noexec,size=4k box "$name"
  elif [ -e "$name" ]; then mount --bind /dev/null "$name"; fi
done
"""
_FASTENED = r"""
mounts=$(cat /proc/self/mountinfo)
while read -r _ _ _ _ point options _; do
  case $point in /|/tmp|/dev/shm|/proc|WORKDIR) continue ;; esac
  case $options in rw|rw,*) ;; *) continue ;; esac
  mount -o "remount,bind,ro${options#rw}" "$(printf '%b' "$point")"
done <<EOF
$mounts
EOF
"""
"""Every mount but the sandbox's own becomes read-only, whatever brought it: a folder, a file, a
file system mounted below a folder, a device (still written to, but never renamed or given a mode).
The other options (nosuid, nodev) have to be repeated, or a user who is not root is refused."""


def unshare_command(
    mounts: Sequence[Mount],
    inside: Sequence[str],
    env: dict[str, str],
    *,
    root: Path,
    user: bool,
    owner: SandboxOwner | None = None,
    scratch: int = SCRATCH,
) -> list[str]:
    """The command line that runs ``inside`` within the mounts.

    ``root`` is an empty folder that becomes the sandbox's ``/``; ``user`` adds a user namespace for
    who is not root; ``owner``: whom ``inside`` runs as, None stays the driver's user;
    ``scratch``: bytes that /tmp and /dev/shm may hold each.
    """
    base = shlex.quote(str(root))
    # pivot_root lies in sbin, which who is not root seldom has in PATH; and after it a folder of
    # PATH may be gone.
    lines = ["set -e", "umask 022", 'PATH="$PATH:/usr/bin:/bin:/usr/sbin:/sbin"']
    lines += [f"mount -t tmpfs -o nosuid,nodev,mode=755 box {base}", f"cd {base}"]
    lines += ["mkdir tmp proc dev", _scratch("tmp", scratch)]
    lines += [line for mount in mounts for line in _mounting(mount)]
    for name in DEVICES:
        lines += [f": >dev/{name}", f"mount --bind /dev/{name} dev/{name}"]
    lines += [f"ln -s /proc/self/fd/{fd} dev/{name}" for fd, name in enumerate(STREAMS)]
    lines += ["ln -s /proc/self/fd dev/fd", "mkdir dev/shm", _scratch("dev/shm", scratch)]
    lines += ["mount -t proc -o nosuid,nodev,noexec proc proc"]
    lines += [_COVERED.format(fixed=_words(READ_ONLY), masked=_words(MASKED))]
    lines += [
        "mkdir .old",
        "pivot_root . .old",
        "umount -l /.old",
        "rmdir /.old",
        _fastened(mounts),
    ]
    lines += ["ip link set lo up 2>/dev/null || :"]
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in env.items())
    become = shlex.join(owner.become() if owner else ["setpriv", *POWERLESS])
    lines.append(f"cd /; exec env -i {pairs} {become} {shlex.join(inside)}")
    extra = ["--map-root-user"] if user else []
    return [*MORTAL, "unshare", *extra, *SPACES, "sh", "-c", "\n".join(lines)]


def _fastened(mounts: Sequence[Mount]) -> str:
    work = [mount.target for mount in mounts if mount.kind == "work"]
    return _FASTENED.replace("WORKDIR", "|".join(map(shlex.quote, work or ["/"])))


def _scratch(target: str, size: int) -> str:
    return f"mount -t tmpfs -o nosuid,nodev,mode=1777,size={size} box {target}"


def _words(names: Iterable[str]) -> str:
    return " ".join(name.lstrip("/") for name in names)


def _mounting(mount: Mount) -> list[str]:
    target = shlex.quote(mount.target.lstrip("/"))
    source = shlex.quote(mount.source)
    if mount.kind == "hide" and not Path(mount.target).is_dir():
        return [f"mount --bind /dev/null {target}"]
    if mount.kind == "hide":
        return [f"mkdir -p {target}", f"mount -t tmpfs -o nosuid,nodev box {target}"]
    if mount.kind == "link":
        return [f"ln -s {source} {target}"]
    if not Path(mount.source).is_dir():
        return [f"mkdir -p $(dirname {target}); : >{target}", f"mount --bind {source} {target}"]
    # With what is mounted below: who is not root may not bind a folder without it.
    return [f"mkdir -p {target}", f"mount --rbind {source} {target}"]
