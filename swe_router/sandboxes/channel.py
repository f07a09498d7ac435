"""One protocol for every sandbox: a loop in plain ``sh`` reads framed commands and answers.

A frame is a line ``nonce seconds arguments``, then the folder, the command and the arguments, a
line each; folder and command are ``printf`` formats, so any byte but NUL goes through as ASCII.
While a command runs the host sends nothing but, to cut it short, one empty line; a watcher in the
sandbox waits for that line and for the end of the stream alike, so a dead driver ends its sandbox.
"""

from __future__ import annotations

import math
import posixpath
import secrets
import shlex
import time
from collections.abc import Callable
from typing import Protocol

from swe_router import active_clock
from swe_router.errors import DiskFull, Lost
from swe_router.records import Result
from swe_router.sandboxes.bounded_output import HeadTail, Marker

WATCH = 0.2
"""Seconds between two looks at the clock and at ``stopping`` while a command runs."""
KILL_AFTER = 5.0
"""Seconds between the polite and the hard signal of a timeout."""
GRACE = 15.0
"""Seconds that the loop is given to answer after a request to cut a command."""
PATIENCE = 5.0
"""Seconds of these after which the sandbox is emptied from outside: an agent may have stopped or
killed what waits for the word."""
START_TIMEOUT = 120.0
"""Seconds for the loop's first answer; activating conda on a cold disk is slow."""
LONGEST = 100_000
"""Bytes of a command or argument as such (Linux allows 131072); longer ones go by a file."""
TIMED_OUT, STOPPED = 124, 130


class SandboxChannel(Protocol):
    """The two byte streams of a sandbox; no method blocks longer than its timeout."""

    def send(self, data: bytes, timeout: float) -> None:
        """Write all of ``data``; raises ``Lost`` when ``timeout`` seconds do not suffice."""
        ...

    def recv(self, timeout: float) -> bytes | None:
        """Next bytes, None when none came in ``timeout`` seconds, empty at the end."""
        ...

    def close(self) -> None:
        """Let go of the streams and remove what is behind them; safe to call twice."""
        ...

    def epitaph(self) -> str:
        """Why the stream may have ended, in a few words, or the empty string."""
        ...


class ChannelSandbox:
    """A ``Sandbox`` over a transport; see that Protocol for what its methods promise."""

    def __init__(
        self,
        transport: SandboxChannel,
        identity: str,
        *,
        workdir: str,
        output_bytes: int,
        stopping: Callable[[], bool],
        sweep: Callable[[], None] = lambda: None,
        empty: Callable[[], bool] = lambda: False,
        grace: float = GRACE,
        clock: Callable[[], float] = active_clock.now,
    ) -> None:
        """``grace``: seconds that the loop has to answer once a cut was requested.

        ``empty`` kills all that runs in the sandbox but the loop, from outside; False: it cannot.
        ``clock`` gives seconds in which this process could look at the sandbox.
        """
        self.identity = identity
        self.workdir = workdir
        self._transport = transport
        self._output_bytes = output_bytes
        self._stopping = stopping
        self._sweep = sweep
        self._empty = empty
        self._grace = grace
        self._clock = clock
        self._timer = True
        self._dead = ""

    def start(self) -> None:
        """Wait for the loop's first answer. Raises ``Lost`` with what it printed."""
        printed = HeadTail.of(4000)
        try:
            self._exchange(":", "/", START_TIMEOUT, printed, stoppable=False)
        except Lost as error:
            raise Lost(
                f"{error}: {printed.text()[0].strip()}" if printed.total else str(error)
            ) from None

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        """Run ``command`` in a shell at ``cwd``; ``timeout`` is in seconds.

        A command that the user's stop of the run cuts short gives exit code 130; one that is
        started afterwards (rescuing the diff) runs normally. Raises ``ValueError`` for a NUL
        byte or a timeout that is no positive number, ``Lost`` when the sandbox is gone.
        """
        if not (math.isfinite(timeout) and timeout > 0):
            raise ValueError(f"timeout must be a positive number of seconds, not {timeout!r}")
        if "\0" in command or "\0" in cwd:
            raise ValueError("a command cannot hold a NUL byte")
        cwd = self._absolute(cwd)
        code = command.encode("utf-8", "surrogateescape")
        if len(code) <= LONGEST:
            return self._result(command, cwd, timeout)
        script = f"/tmp/.swe-router-{secrets.token_hex(8)}"  # noqa: S108  (inside the sandbox)
        self.write(script, code)
        try:
            return self._result(f". {script}", cwd, timeout)
        finally:
            if not self._dead:
                self._plain(f"rm -f {script}", 60.0)

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        """Bytes of a file inside.

        Raises ``FileNotFoundError`` if absent, ``IsADirectoryError`` or ``OSError`` if it is no
        regular file or cannot be read, ``ValueError`` over ``limit`` bytes.
        """
        name = shlex.quote(self._absolute(path))
        kept = HeadTail(limit + 1)
        code = self._exchange(
            f"exec 2>/dev/null; [ -d {name} ] && exit 42; [ -e {name} ] || exit 41; "
            f"[ -f {name} ] || exit 43; exec <{name} || exit 44; "
            f"command -v head >/dev/null && exec head -c {limit + 1}; exec cat",
            "/",
            120.0,
            kept,
            stoppable=False,
        )[0]
        if code == 41:
            raise FileNotFoundError(f"no such file in the sandbox: {path}")
        if code == 42:
            raise IsADirectoryError(f"is a directory in the sandbox: {path}")
        if code != 0:
            what = "not a regular file" if code == 43 else "cannot be read"
            raise OSError(f"{what} in the sandbox: {path}")
        if kept.total > limit:
            raise ValueError(f"{path} is larger than {limit} bytes")
        return kept.raw()

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file inside, parents made, mode kept.

        Raises ``OSError`` when the path cannot be written, ``DiskFull`` when space ran out.
        """
        path = self._absolute(path)
        name, parent = shlex.quote(path), shlex.quote(posixpath.dirname(path))
        first, *others = _pieces(data) or [b""]
        there = f"[ -d {parent} ] || mkdir -p {parent}"
        self._must(path, f'{there} && printf "$1" >{name}', first)
        for piece in others:
            self._must(path, f'printf "$1" >>{name}', piece)

    def close(self) -> None:
        """Remove the sandbox; safe to call twice."""
        self._dead = self._dead or "it was closed"
        self._transport.close()
        self._sweep()

    def _absolute(self, path: str) -> str:
        if "\0" in path:
            raise ValueError("a path cannot hold a NUL byte")
        return posixpath.join(self.workdir, path) if path else self.workdir

    def _must(self, path: str, command: str, *arguments: bytes) -> None:
        code, printed = self._plain(command, 120.0, *arguments)
        if code == 0:
            return
        if "No space left" in printed:
            raise DiskFull(f"no space left in the sandbox: {path}")
        raise OSError(f"cannot write {path} in the sandbox: {printed.strip() or f'exit {code}'}")

    def _plain(self, command: str, timeout: float, *arguments: bytes) -> tuple[int, str]:
        kept = HeadTail.of(4000)
        code = self._exchange(command, "/", timeout, kept, *arguments, stoppable=False)[0]
        return code, kept.text()[0]

    def _result(self, command: str, cwd: str, timeout: float) -> Result:
        kept = HeadTail.of(self._output_bytes)
        began = self._clock()
        code, why = self._exchange(command, cwd, timeout, kept, stoppable=True)
        seconds = max(0.0, self._clock() - began)
        text, dropped = kept.text()
        if why == "stopped":
            text += "\n[cut short: the run is being stopped]"
        return Result(
            exit_code={"stopped": STOPPED, "timeout": TIMED_OUT}.get(why, code),
            output=text,
            dropped=dropped,
            timed_out=why == "timeout",
            seconds=round(seconds, 3),
        )

    def _exchange(
        self,
        command: str,
        cwd: str,
        timeout: float,
        kept: HeadTail,
        *arguments: bytes,
        stoppable: bool,
    ) -> tuple[int, str]:
        """Exit code of one command, and what cut it short: ``timeout``, ``stopped`` or nothing."""
        if self._dead:
            raise Lost(f"the sandbox is gone: {self._dead}")
        nonce = secrets.token_hex(16).encode()
        head = b"%s %s %d" % (nonce, f"{timeout:.3f}".encode(), len(arguments))
        lines = [head, escape(_bytes(cwd)), escape(_bytes(command)), *arguments, b""]
        stoppable = stoppable and not self._stopping()
        began = time.monotonic()
        try:
            self._transport.send(b"\n".join(lines), self._grace + timeout)
            fields, cut = self._await(Marker(nonce, kept), timeout, stoppable)
        except Lost as error:
            self._dead = str(error)
            self.close()
            raise
        except BaseException:
            # An exchange left in the middle (Ctrl-C) would be read as the next one's answer.
            self._dead = "a command in it was abandoned"
            self.close()
            raise
        self._sweep()
        code, was_cut, self._timer = int(fields[0]), fields[1] == b"1", fields[2] == b"1"
        if cut == "stopped" and was_cut:
            return code, cut
        # Only `timeout` or the cut end a command so late; 124 in good time is the command's own.
        # The sandbox has a clock of its own: it went on while this process was suspended.
        late = time.monotonic() - began >= timeout
        return code, "timeout" if late and (was_cut or code in (124, 137, 143)) else ""

    def _await(self, marker: Marker, timeout: float, stoppable: bool) -> tuple[list[bytes], str]:
        cut = ""
        cut_at = self._clock() + timeout + (KILL_AFTER + 1.0 if self._timer else 0.0)
        lost_at = empty_at = math.inf
        while True:
            now = self._clock()
            if not cut and (now >= cut_at or (stoppable and self._stopping())):
                cut, lost_at = "timeout" if now >= cut_at else "stopped", now + self._grace
                empty_at = now + min(PATIENCE, self._grace / 2)
                self._transport.send(b"\n", self._grace)
            if now >= empty_at:
                empty_at = math.inf
                lost_at += self._grace if self._empty() else 0.0
            if now >= lost_at:
                raise Lost("the sandbox gave no answer to the request to end a command")
            data = self._transport.recv(max(0.0, min(WATCH, cut_at - now)) if not cut else WATCH)
            if data == b"":
                why = self._transport.epitaph()
                raise Lost("the sandbox went away" + (f": {why}" if why else ""))
            fields = marker.feed(data) if data else None
            if fields is not None:
                return fields, cut


def escape(data: bytes) -> bytes:
    """``data`` as the format of ``printf``, in one line of ASCII."""
    return b"".join(_ESCAPED[byte] for byte in data).replace(b"-", b"\\055", data[:1] == b"-")


def _escaped(byte: int) -> bytes:
    if byte == 0x5C:
        return b"\\\\"
    if byte == 0x25:
        return b"%%"
    if byte == 0x0A:
        return b"\\n"
    return bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%03o" % byte


_ESCAPED = [_escaped(byte) for byte in range(256)]


def _pieces(data: bytes) -> list[bytes]:
    """``data`` escaped and cut so that each piece fits one argument."""
    step = LONGEST // 4
    return [escape(data[start : start + step]) for start in range(0, len(data), step)]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
