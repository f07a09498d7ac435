"""Who holds money: a process that can be told from a later one with the same number."""

from __future__ import annotations

import getpass
import os
import platform
import threading
from functools import cache
from pathlib import Path

_SEPARATOR = "|"


def this_process() -> str:
    """Identity of the running process: host, boot, process id and its start time."""
    return _identity(os.getpid())


def this_party() -> str:
    """Identity of the running thread: the one that can give back what it holds."""
    return f"{this_process()}{_SEPARATOR}{threading.get_ident()}"


def this_person() -> str:
    """``user@host``, as far as this machine knows the user's name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may have no entry for the number
        name = f"uid{os.getuid()}"
    return f"{name}@{platform.node()}"


def process_of(party: str) -> str:
    """The process that a party is a thread of."""
    return party.rpartition(_SEPARATOR)[0]


def is_alive(process: str) -> bool:
    """False only when the process is surely gone; one on another machine cannot be asked."""
    host, boot, pid, start = process.split(_SEPARATOR)
    # One boot is one machine, whatever its name: a resume may run in a new container.
    if boot != _boot() or not boot:
        if host != platform.node():
            return True
        if boot:
            return False
    return _start(int(pid)) == start if start else _answers(int(pid))


@cache
def _identity(pid: int) -> str:
    return _SEPARATOR.join((platform.node(), _boot(), str(pid), _start(pid)))


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _start(pid: int) -> str:
    """Start time in clock ticks; empty where /proc cannot tell or the process is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
