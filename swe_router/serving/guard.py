"""The process between ``serve`` and a model server: when ``serve`` is gone, all is ended.

Run as a program: ``guard.py FOLDER SECONDS RECORD PROGRAM WORD...``. It starts the program in a
session of its own with ``FOLDER`` as TMPDIR and waits for the end of its own standard input, which
the kernel closes however ``serve`` dies. Then, or when the program ends, it ends every process of
the session (SIGTERM, after ``SECONDS`` SIGKILL), removes ``FOLDER`` and ends with the program's
code. Unless ``serve`` asked for the end with a byte, it died: ``RECORD.*`` is removed as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK = 0.1
"""Seconds between two looks."""
RECORD_SUFFIXES = (".json", ".key", ".lock")
KILLED = 2.0
"""Seconds that the kernel is given after SIGKILL."""


def guard_server(folder: Path, seconds: float, record: Path, words: list[str]) -> int:
    """Start the program, wait, end its session; gives the exit code of the program."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # serve decides; its death closes the pipe
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        server = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(folder)},
            preexec_fn=_default_signals,  # noqa: PLW1509  (no threads here)
        )
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        return 127
    asked: bytes | None = None
    while server.poll() is None and asked is None:
        asked = _next_input()
    end_session(server, seconds)
    if asked == b"":
        for suffix in RECORD_SUFFIXES:
            record.with_name(record.name + suffix).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return server.returncode if server.returncode is not None else -signal.SIGKILL


def end_session(server: subprocess.Popen[bytes], seconds: float) -> None:
    """End the server and what it started: politely, then not.

    Python's resource trackers go last: they remove the shared memory of those that were killed.
    """
    stages = ((signal.SIGTERM, seconds, True), (signal.SIGKILL, KILLED, False))
    for number, patience, trackers in (*stages, (signal.SIGKILL, KILLED, True)):
        end = time.monotonic() + patience
        for pid in session_processes(server.pid):
            if trackers or not _is_resource_tracker(pid):
                _signal(pid, number)
        while time.monotonic() < end:
            server.poll()
            if server.returncode is not None and not session_processes(server.pid):
                return
            time.sleep(LOOK)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_resource_tracker(pid: int) -> bool:
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def session_processes(session: int) -> list[int]:
    """Live processes of a session, its leader included."""
    found = []
    for pid in _all_pids():
        try:
            alive = os.getsid(pid) == session and not _is_zombie(pid)
        except OSError:
            continue
        if alive:
            found.append(pid)
    return found


def _all_pids() -> list[int]:
    if Path("/proc/self").exists():
        return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]
    listed = subprocess.run(["ps", "-axo", "pid="], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "Z"


def _next_input() -> bytes | None:
    """What ``serve`` wrote; empty when it died, None when nothing came for a moment."""
    ready, _, _ = select.select([0], [], [], LOOK)
    return os.read(0, 1) if ready else None


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    code = guard_server(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
    sys.exit(code if code >= 0 else 128 - code)
