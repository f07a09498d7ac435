"""A sandbox whose loop is a child process: its transport, and the variant without walls."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from swe_router import active_clock
from swe_router.errors import Lost
from swe_router.records import Result
from swe_router.sandboxes.channel import ChannelSandbox
from swe_router.sandboxes.visible_mounts import SandboxOwner


class Pipes:
    """The transport to a child process."""

    def __init__(
        self, command: list[str], env: dict[str, str] | None, *, owner: SandboxOwner | None = None
    ) -> None:
        """``owner``: who the commands are, so that they may open /dev/stdout by its name."""
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env=env if env is not None else {"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self.pid = self._child.pid
        self._in, self._out = self._child.stdin.fileno(), self._child.stdout.fileno()
        if owner is not None:
            os.fchown(self._out, owner.uid, owner.gid)
        os.set_blocking(self._in, False)
        self._readable = select.poll()
        self._readable.register(self._out, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._in, select.POLLOUT)

    def send(self, data: bytes, timeout: float) -> None:
        """Write all of ``data``; raises ``Lost`` when that is not possible in time."""
        until = active_clock.now() + timeout
        view = memoryview(data)
        while view:
            left = until - active_clock.now()
            if left <= 0:
                raise Lost("the sandbox takes no more commands")
            if not self._writable.poll(left * 1000):
                continue
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Lost("the sandbox went away: " + (self.epitaph() or "pipe closed")) from None

    def recv(self, timeout: float) -> bytes | None:
        """Next bytes, None when none came in time, empty at the end."""
        if not self._readable.poll(timeout * 1000):
            return None
        return os.read(self._out, 1 << 16)

    def close(self) -> None:
        """Kill the process and everything in its namespaces."""
        if self._child.stdin is None or self._child.stdin.closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            assert stream is not None
            stream.close()

    def epitaph(self) -> str:
        """How the process ended, if it did."""
        try:
            code = self._child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return ""
        return f"killed by signal {-code}" if code < 0 else f"its process ended with code {code}"


class UnwalledSandbox(ChannelSandbox):
    """A process without walls: the work folder is a name for the work tree, put in by text.

    What leaves its process group is found by a variable of its environment and killed.
    """

    def __init__(
        self,
        pipes: Pipes,
        identity: str,
        output_bytes: int,
        stopping: Callable[[], bool],
        tree: Path,
        workdir: str,
    ) -> None:
        super().__init__(
            pipes,
            identity,
            workdir=workdir,
            output_bytes=output_bytes,
            stopping=stopping,
            sweep=self._sweep_strays,
        )
        self._tree = tree
        # As a whole path: /app is no part of /usr/app, nor of /application.
        self._name = re.compile(rf"(?<![\w.~-]){re.escape(workdir)}(?![\w-])")
        self._loop = pipes

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        """As ``ChannelSandbox.run``, with the work folder standing for the work tree."""
        return super().run(self._there(command), timeout=timeout, cwd=cwd)

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        """As ``ChannelSandbox.read``, with the work folder standing for the work tree."""
        return super().read(path, limit=limit)

    def write(self, path: str, data: bytes) -> None:
        """As ``ChannelSandbox.write``, with the work folder standing for the work tree."""
        super().write(path, data)

    def _there(self, text: str) -> str:
        return self._name.sub(lambda _: str(self._tree), text)

    def _absolute(self, path: str) -> str:
        return self._there(super()._absolute(path))

    def _sweep_strays(self) -> None:
        mark = f"SWE_ROUTER_BOX={self._tree.parent.name}\0".encode()
        keep = {self._loop.pid}
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if int(path.parent.name) not in keep and mark in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)
