"""The processes of a local sandbox as the host sees them, for when the loop inside cannot act."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from pathlib import Path

ROUNDS = 20
"""Times that the processes are looked up: what forks is seen by the next."""


def kill_inner_processes(pid: int) -> bool:
    """Kill all that runs below the loop of the sandbox that process ``pid`` raised.

    False when no loop is found there, or when some of it cannot be killed.
    """
    loop = _loop(pid)
    if loop is None:
        return False
    for _ in range(ROUNDS):
        found = [one for one in _below(loop) if _state(one) not in "ZX"]
        if not found:
            return True
        for one in found:
            with contextlib.suppress(ProcessLookupError):
                try:
                    os.kill(one, signal.SIGKILL)
                except PermissionError:
                    return False
    return False


def _loop(pid: int) -> int | None:
    """The sandbox's first process of its PID namespace, which bears the name of the loop."""
    for one in [pid, *_below(pid)]:
        status = _status(one)
        if status.get("NSpid", "").split()[1:][-1:] == ["1"] and status.get("Name") == "swe-box":
            return one
    return None


def _below(pid: int) -> list[int]:
    """All descendants of a process, nearest first."""
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold blanks and parentheses itself.
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            children[parent].append(int(path.parent.name))
    found = list(children[pid])
    for one in found:
        found += children[one]
    return found


def _state(pid: int) -> str:
    return _status(pid).get("State", "X")[:1]


def _status(pid: int) -> dict[str, str]:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        return {key: text.strip() for key, _, text in (line.partition(":") for line in lines)}
    return {}
