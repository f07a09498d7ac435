"""One start of a model server behind its guard, with the last lines that it wrote."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from swe_router.serving import guard

KEPT_LINES = 200
STOP_SECONDS = 20.0
"""Seconds that a server has to end by itself."""


class ServerProcess:
    """A running server; ``stop`` ends it and all that it started."""

    def __init__(
        self,
        words: tuple[str, ...],
        environment: Mapping[str, str],
        log: Callable[[str], None] = lambda line: None,
        *,
        record: Path,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        """``log`` receives each line that the server writes, from a thread.

        ``record`` is the path, without suffix, of the files that are removed should we be killed.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="swe-router-serve-"))
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._log, self._stop_seconds = log, stop_seconds
        own = [
            sys.executable,
            "-P",
            guard.__file__,
            str(self.folder),
            f"{stop_seconds:g}",
            str(record),
        ]
        self._guard = subprocess.Popen(
            [*own, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=dict(environment),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the guard."""
        return self._guard.pid

    def exit_code(self) -> int | None:
        """The server's exit code (a signal as 128 and more); None while it runs."""
        return self._guard.poll()

    def last_lines(self) -> list[str]:
        """What the server wrote last."""
        if self.exit_code() is not None:
            self._reader.join(timeout=1.0)
        return list(self._lines)

    def stop(self) -> None:
        """End the server and all that it started; returns when nothing of it is left."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            with contextlib.suppress(OSError):  # it ended by itself
                self._guard.stdin.write(b"q")
                self._guard.stdin.close()
        try:
            self._guard.wait(timeout=self._stop_seconds + 3 * guard.KILLED)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._reader.join(timeout=1.0)

    def _read(self) -> None:
        assert self._guard.stdout is not None
        for raw in self._guard.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self._lines.append(line)
            self._log(line)


def environment_for(
    base: Mapping[str, str], variables: Mapping[str, str], key: str
) -> dict[str, str]:
    """The server's environment: ours, ``variables``, and the key, which no command line shows."""
    kept = {name: value for name, value in base.items() if name not in _NOT_HANDED_ON}
    return {**kept, **variables, "VLLM_API_KEY": key, "PYTHONUNBUFFERED": "1"}


_NOT_HANDED_ON = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
"""What belongs to our interpreter and would lead that of another environment astray."""


def port_problem(host: str, port: int) -> str:
    """Why a port cannot be listened on; empty when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""
