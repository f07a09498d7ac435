"""Limits of a local sandbox on memory, processes and CPU: cgroups where writable, else rlimits."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import time
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.settings import SandboxSettings

CGROUPS = Path("/sys/fs/cgroup")
PERIOD = 100_000
"""Microseconds of one CPU accounting period."""
_SWAP = ("memory.swap.max", "memory.memsw.limit_in_bytes")
"""Files that a kernel without swap accounting does not have."""
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def memory_bytes(settings: SandboxSettings) -> int:
    """Bytes of memory of one sandbox. Raises ``UsageError``."""
    return _bytes("memory", settings.memory)


def disk_bytes(settings: SandboxSettings) -> int:
    """Bytes of the largest file that a sandbox may write. Raises ``UsageError``."""
    return _bytes("disk", settings.disk)


def scratch_bytes(settings: SandboxSettings) -> int:
    """Bytes of /tmp and of /dev/shm in a local sandbox.

    They are memory, and nothing of a full sandbox could run any more if they took all of it.
    """
    return min(memory_bytes(settings) * 3 // 8, disk_bytes(settings))


def _bytes(name: str, text: str) -> int:
    """Bytes of a size in docker's notation (``4g``)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)b?", text.strip().lower())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"sandbox.{name}: {text!r} is no size; write it as 512m or 4g")
    return int(float(found[1]) * _UNITS[found[2]])


def make_cgroups(name: str, settings: SandboxSettings) -> list[Path]:
    """New cgroups called ``name`` with the limits set; empty when none can be had."""
    memory = memory_bytes(settings)
    quota = int(settings.cpus * PERIOD)
    if (CGROUPS / "cgroup.controllers").exists():
        wanted = {"memory.max": str(memory), "memory.swap.max": "0", "pids.max": str(settings.pids)}
        if quota:
            wanted["cpu.max"] = f"{quota} {PERIOD}"
        groups = [(parent / name, wanted) for parent in _own("").values()]
    else:
        wanted_v1 = {
            "memory": {
                "memory.limit_in_bytes": str(memory),
                "memory.memsw.limit_in_bytes": str(memory),
            },
            "pids": {"pids.max": str(settings.pids)},
            "cpu": {"cpu.cfs_quota_us": str(quota)} if quota else {},
        }
        own = _own("v1")
        groups = [
            (own[key] / name, files) for key, files in wanted_v1.items() if key in own and files
        ]
    return [path for path, files in groups if _create(path, files)]


def enter_cgroups(groups: list[Path], settings: SandboxSettings, command: list[str]) -> list[str]:
    """``command``, started inside the groups, or under rlimits when there are none."""
    # In blocks of 512 bytes, as POSIX has it.
    files = f"ulimit -f {disk_bytes(settings) // 512} 2>/dev/null;"
    if groups:
        joins = "".join(f"echo 0 >{shlex.quote(str(path / 'cgroup.procs'))};" for path in groups)
        return ["sh", "-c", f'{joins} {files} exec "$@"', "sh", *command]
    # No process limit here: RLIMIT_NPROC counts all that the user runs on this machine.
    memory = f"ulimit -v {memory_bytes(settings) // 1024} 2>/dev/null;"
    return ["sh", "-c", f'{memory} {files} exec "$@"', "sh", *command]


def describe_limits(settings: SandboxSettings) -> str:
    """What of a local sandbox is limited as a whole here, for people: cgroups are made to see."""
    groups = make_cgroups(f"swe-router-look-{os.getpid()}", settings)
    files = {file.name for path in groups for file in path.iterdir()}
    remove_cgroups(groups)
    memory = bool(files & {"memory.max", "memory.limit_in_bytes"})
    whole = [f"memory to {settings.memory}"] if memory else []
    whole += [f"processes to {settings.pids}"] if "pids.max" in files else []
    shared = f"{' and '.join(whole)} a sandbox (cgroup)" if whole else ""
    each = "" if memory else f"memory to {settings.memory} a process and not a sandbox"
    free = "" if "pids.max" in files else "the number of processes is not limited"
    why = "" if len(whole) == 2 else "(no cgroup can be made here)"
    return ", ".join(part for part in (shared, each, free) if part) + (f" {why}" if why else "")


def remove_cgroups(groups: list[Path]) -> None:
    """Remove cgroups; their last process may need a moment to be gone."""
    for path in groups:
        for _ in range(50):
            with contextlib.suppress(FileNotFoundError):
                try:
                    path.rmdir()
                except OSError:
                    time.sleep(0.01)
                    continue
            break


def _own(kind: str) -> dict[str, Path]:
    """Controller -> folder in which this process may make a child group."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, names, path = line.split(":", 2)
        if kind == "v1" and names:
            for name in names.split(","):
                found[name] = CGROUPS / name / path.lstrip("/")
        elif kind == "" and not names:
            # A group with processes cannot hand controllers down, so a sibling is made.
            found[""] = (CGROUPS / path.lstrip("/")).parent if path != "/" else CGROUPS
    return found


def _create(path: Path, files: dict[str, str]) -> bool:
    try:
        path.mkdir()
        for name, text in files.items():
            if name not in _SWAP or (path / name).exists():
                (path / name).write_text(text, encoding="ascii")
    except OSError:
        with contextlib.suppress(OSError):
            path.rmdir()
        return False
    return True
