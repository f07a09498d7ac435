"""What a local sandbox sees of this machine: system folders and the interpreter, and nothing else.

Every mount is one entry of a plan that is sorted by depth, so that a folder to hide inside a
folder to show (the installed package in the interpreter's prefix) lies on top of it.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from swe_router import assets

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf")
USERS = ("/usr", "/usr/local")
"""Prefixes of the system's own interpreters."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
READ_ONLY = (
    *("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
    "/proc/pressure",
)
MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys"),
    *("/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list"),
    "/proc/timer_stats",
)
"""Of /proc: parts of this machine's kernel, which no namespace divides. As Docker does; and
/proc/pressure, where every user may set a trigger."""
MORTAL = ("setpriv", "--pdeathsig", "KILL")
"""Put before a command: it dies with the thread that started it."""
POWERLESS = ("--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all")
"""Options of ``setpriv`` with which nothing gains a capability any more."""
NOBODY = 65534
SCRATCH = 1 << 30
"""Bytes of /tmp, where nobody says how many."""


@dataclass(frozen=True)
class Mount:
    """One entry of the plan; ``source`` is a path of this machine, or a link's target."""

    kind: Literal["show", "hide", "link", "work"]
    target: str
    source: str = ""


@dataclass(frozen=True)
class SandboxOwner:
    """Who the commands of a sandbox are, in numbers of this machine."""

    uid: int
    gid: int

    def become(self) -> list[str]:
        """The command that becomes this user for good, to be put before another."""
        who = ["--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups"]
        # Another user no longer dies with its parent unless that is repeated.
        return [*MORTAL, *who, *POWERLESS]


def sandbox_owner() -> SandboxOwner | None:
    """Nobody, where the driver is this machine's root; None: commands stay the driver's user.

    Root without capabilities still owns what root owns, /proc/sys for one.
    """
    if os.geteuid() != 0:
        return None
    # In a user namespace that knows of no nobody, root is some ordinary user of the machine.
    return SandboxOwner(NOBODY, NOBODY) if _known("uid_map") and _known("gid_map") else None


def _known(name: str) -> bool:
    try:
        lines = Path("/proc/self", name).read_text(encoding="ascii").splitlines()
    except OSError:
        return True
    ranges = [(int(line.split()[0]), int(line.split()[2])) for line in lines]
    return any(first <= NOBODY < first + count for first, count in ranges)


def mount_plan(
    work: Path, workdir: str, hidden: Iterable[Path], etc: Iterable[Path] = ()
) -> list[Mount]:
    """The mounts of a sandbox whose work tree ``work`` lies at ``workdir``, outermost first.

    ``hidden`` are folders that must not be seen even when they lie in one that is; ``etc`` are
    files that appear in the sandbox's /etc.
    """
    shown = {mount.target: mount for mount in system_mounts()}
    for path in etc:
        shown[f"/etc/{path.name}"] = Mount("show", f"/etc/{path.name}", str(path))
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    for prefix in prefixes:
        for name in _names(Path(prefix)):
            shown[name] = Mount("show", name, name)
    masks = [
        name for path in [*package_copies((*prefixes, *USERS)), *hidden] for name in _names(path)
    ]
    seen = {place for name in masks if (place := _place(name, shown))}
    hides = [Mount("hide", name) for name in sorted(seen - {"/", *SYSTEM, *shown})]
    mounts = [*shown.values(), *hides, Mount("work", workdir, str(work))]
    return sorted(mounts, key=lambda mount: len(Path(mount.target).parts))


def system_mounts() -> list[Mount]:
    """What every sandbox sees of this machine, its interpreter aside."""
    shown = []
    for name in [*SYSTEM, *(f"/etc/{name}" for name in ETC)]:
        path = Path(name)
        if path.is_symlink():
            shown.append(Mount("link", name, str(path.readlink())))
        elif path.exists():
            shown.append(Mount("show", name, name))
    return shown


def command_environment() -> dict[str, str]:
    """All variables of a command in a local sandbox; the loop adds its own."""
    path = [str(Path(sys.prefix) / "bin"), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"]
    who = {"NAME": "box", "EMAIL": "box@localhost"}
    return {
        "PATH": os.pathsep.join(dict.fromkeys(path)),
        "HOME": "/tmp",  # noqa: S108  (the sandbox's own)
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


def package_copies(prefixes: Iterable[str]) -> list[Path]:
    """Every copy of this package, with its data, that the interpreter's folders may hold.

    One installed in another interpreter below ``prefixes`` is a copy too: of a virtual
    environment the sandbox shows the interpreter that it was made from.
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
    return [Path(__file__).parent.parent, assets.assets_root(), *found]


def _names(path: Path) -> set[str]:
    """A folder's own name and, where links lead to it, its real one."""
    return {str(path.absolute()), str(path.resolve())}


def _place(name: str, shown: dict[str, Mount]) -> str:
    """Where a path lies in the sandbox, one name for each place; empty for what is not shown."""
    for parent in [Path(name), *Path(name).parents]:
        mount = shown.get(str(parent))
        if mount is not None and mount.kind == "show":
            real, top = Path(name).resolve(), Path(mount.source).resolve()
            return str(parent / real.relative_to(top)) if real.is_relative_to(top) else ""
    return ""
