"""The owner of held money: a process, distinguished from a later one with the same id."""

from __future__ import annotations

import getpass
import os
import platform
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import psutil
else:
    psutil = deferred_module("psutil")

_SEPARATOR = "|"


def this_process() -> str:
    """Identity of the running process: host, boot, process id and its start time."""
    return _identity(os.getpid())


def this_thread() -> str:
    """Identity of the running thread: the one that can give back what it holds."""
    return f"{this_process()}{_SEPARATOR}{threading.get_ident()}"


def this_person() -> str:
    """``user@host``, as far as this machine knows the user's name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may have no entry for the number
        name = f"uid{os.getuid()}"
    return f"{name}@{platform.node()}"


def process_of_owner(owner: str) -> str:
    """The process that a owner is a thread of."""
    return owner.rpartition(_SEPARATOR)[0]


def is_alive(process: str) -> bool:
    """False only when the process is surely gone; one on another machine cannot be asked."""
    host, boot, pid, start = process.split(_SEPARATOR)
    # One boot is one machine, whatever its name: a resume may run in a new container.
    if boot != _boot() or not boot:
        if host != platform.node():
            return True
        if boot:
            return False
    if not start:  # written where the start could not be read
        return bool(psutil.pid_exists(int(pid)))
    try:
        return _start(int(pid)) == start
    except psutil.AccessDenied:
        return True


@cache
def _identity(pid: int) -> str:
    return _SEPARATOR.join((platform.node(), _boot(), str(pid), _start(pid)))


@cache
def _boot() -> str:
    """Id of this boot; empty where the system has none (macOS)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _start(pid: int) -> str:
    """Start of a process; empty where there is none or only its zombie is left.

    Raises ``psutil.AccessDenied`` where the system does not say.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return ""
        return _ticks(process.create_time())
    except psutil.NoSuchProcess:
        return ""


def _ticks(created: float) -> str:
    """A time of creation, in seconds since 1970, as the owners of every version write it.

    On Linux clock ticks since the boot, which no change of the clock moves; elsewhere
    milliseconds since 1970, as the kernel keeps them.
    """
    if not psutil.LINUX:
        return str(round(created * 1000))
    return str(round((created - psutil.boot_time()) * os.sysconf("SC_CLK_TCK")))
