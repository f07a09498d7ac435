"""What a local box sees of this machine: system folders and the interpreter, and nothing else.

Every mount is one entry of a plan that is sorted by depth, so that a folder to hide inside a
folder to show (the installed package in the interpreter's prefix) lies on top of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from swe_router import assets

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf")
USERS = ("/usr", "/usr/local")
"""Prefixes of the system's own interpreters."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True)
class Mount:
    """One entry of the plan; ``source`` is a path of this machine, or a link's target."""

    kind: Literal["show", "hide", "link", "work"]
    target: str
    source: str = ""


def plan(work: Path, hidden: Iterable[Path], etc: Iterable[Path] = ()) -> list[Mount]:
    """The mounts of a box whose work tree is ``work``, outermost first.

    ``hidden`` are folders that must not be seen even when they lie in one that is; ``etc`` are
    files that appear in the box's /etc.
    """
    shown: dict[str, Mount] = {}
    for name in [*SYSTEM, *(f"/etc/{name}" for name in ETC)]:
        path = Path(name)
        if path.is_symlink():
            shown[name] = Mount("link", name, str(path.readlink()))
        elif path.exists():
            shown[name] = Mount("show", name, name)
    for path in etc:
        shown[f"/etc/{path.name}"] = Mount("show", f"/etc/{path.name}", str(path))
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    for prefix in prefixes:
        for name in _names(Path(prefix)):
            shown[name] = Mount("show", name, name)
    masks = {name for path in [*ours((*prefixes, *USERS)), *hidden] for name in _names(path)} - {
        "/",
        *SYSTEM,
        *shown,
    }
    hides = [Mount("hide", name) for name in sorted(masks) if _inside(name, shown)]
    mounts = [*shown.values(), *hides, Mount("work", "/testbed", str(work))]
    return sorted(mounts, key=lambda mount: len(Path(mount.target).parts))


def environment() -> dict[str, str]:
    """All variables of a command in a local box; the loop adds its own."""
    path = [str(Path(sys.prefix) / "bin"), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"]
    who = {"NAME": "box", "EMAIL": "box@localhost"}
    return {
        "PATH": os.pathsep.join(dict.fromkeys(path)),
        "HOME": "/tmp",  # noqa: S108  (the box's own)
        "PYTHONDONTWRITEBYTECODE": "1",
        # The interpreter is ours, so its pytest plugins are ours too: they are no part of the
        # project, differ from machine to machine, and take a second to import.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **{
            f"GIT_{role}_{key}": text
            for role in ("AUTHOR", "COMMITTER")
            for key, text in who.items()
        },
    }


def bubblewrap(mounts: Sequence[Mount], inside: Sequence[str], env: dict[str, str]) -> list[str]:
    """The ``bwrap`` command line that runs ``inside`` within the mounts."""
    made: list[str] = []
    for mount in mounts:
        if mount.kind == "hide" and not Path(mount.target).is_dir():
            made += ["--ro-bind", os.devnull, mount.target]
        elif mount.kind == "hide":
            made += ["--tmpfs", mount.target]
        elif mount.kind == "link":
            made += ["--symlink", mount.source, mount.target]
        else:
            made += ["--bind" if mount.kind == "work" else "--ro-bind", mount.source, mount.target]
    sets = [part for key, value in env.items() for part in ("--setenv", key, value)]
    alone = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if shutil.which("bash"):
        # As process 1 the loop survives `kill -9 -1`; bash reaps strangers' orphans, dash does not.
        alone.append("--as-pid-1")
    # First, because an interpreter may lie below them (a venv in /tmp).
    root = ["--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"]  # noqa: S108
    return ["bwrap", *alone, "--clearenv", *sets, *root, *made, "--chdir", "/", *inside]


def unshared(
    mounts: Sequence[Mount], inside: Sequence[str], env: dict[str, str], *, root: Path, user: bool
) -> list[str]:
    """The same by ``unshare`` and ``mount``; ``user`` adds a user namespace for who is not root.

    ``root`` is an empty folder that becomes the box's ``/``.
    """
    base = shlex.quote(str(root))
    # pivot_root lies in sbin, which who is not root seldom has in PATH; and after it a folder of
    # PATH may be gone.
    lines = ["set -e", 'PATH="$PATH:/usr/bin:/bin:/usr/sbin:/sbin"']
    lines += [f"mount -t tmpfs -o mode=755 box {base}", f"cd {base}"]
    lines += ["mkdir tmp proc dev", "mount -t tmpfs -o mode=1777 box tmp"]
    lines += [line for mount in mounts for line in _mounting(mount)]
    for name in DEVICES:
        lines += [f": >dev/{name}", f"mount --bind /dev/{name} dev/{name}"]
    lines += ["ln -s /proc/self/fd dev/fd", "mkdir dev/shm", "mount -t tmpfs box dev/shm"]
    lines += ["mount -t proc proc proc", "mkdir .old", "pivot_root . .old"]
    lines += ["umount -l /.old", "rmdir /.old", "ip link set lo up 2>/dev/null || :"]
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in env.items())
    drop = "setpriv --no-new-privs --bounding-set -all --inh-caps -all"
    lines.append(f"cd /; exec env -i {pairs} {drop} {shlex.join(inside)}")
    spaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
    extra = ["--map-root-user"] if user else []
    return ["unshare", *extra, *spaces, "sh", "-c", "\n".join(lines)]


def _mounting(mount: Mount) -> list[str]:
    target = shlex.quote(mount.target.lstrip("/"))
    source = shlex.quote(mount.source)
    if mount.kind == "hide" and not Path(mount.target).is_dir():
        return [f"mount --bind /dev/null {target}"]
    if mount.kind == "hide":
        return [f"mkdir -p {target}", f"mount -t tmpfs box {target}"]
    if mount.kind == "link":
        return [f"ln -s {source} {target}"]
    if not Path(mount.source).is_dir():
        return [f"mkdir -p $(dirname {target}); : >{target}", f"mount --bind {source} {target}"]
    lines = [f"mkdir -p {target}", f"mount --bind {source} {target}"]
    return lines if mount.kind == "work" else [*lines, f"mount -o remount,bind,ro {target}"]


def ours(prefixes: Iterable[str]) -> list[Path]:
    """Every copy of this package, with its data, that the interpreter's folders may hold.

    One installed in another interpreter below ``prefixes`` is a copy too: of a virtual
    environment the box shows the interpreter that it was made from.
    """
    pure = sysconfig.get_paths()
    folders = {
        pure["purelib"],
        pure["platlib"],
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    for prefix in prefixes:
        folders |= {str(path) for path in Path(prefix).glob("lib*/python3*/*-packages")}
    found = [path for folder in sorted(folders) for path in Path(folder).glob("swe_router*")]
    return [Path(__file__).parent.parent, assets.root(), *found]


def _names(path: Path) -> set[str]:
    """A folder's own name and, where links lead to it, its real one."""
    return {str(path.absolute()), str(path.resolve())}


def _inside(name: str, shown: dict[str, Mount]) -> bool:
    parents = {str(parent) for parent in [Path(name), *Path(name).parents]}
    return any(mount.kind == "show" and mount.target in parents for mount in shown.values())
