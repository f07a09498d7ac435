"""A model server kept up: started, watched, restarted after a crash, ended without a trace."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from swe_router import served_endpoints
from swe_router.errors import NoAnswer, ServerFailed, UsageError
from swe_router.served_endpoints import ServedEndpoint, State
from swe_router.serving.failure_causes import explain_failure, last_words
from swe_router.serving.server_figures import ServerClient, ServerFigures, measure
from swe_router.serving.server_process import STOP_SECONDS, ServerProcess, environment_for
from swe_router.serving.vllm_command import ServerCommand

LOOK_SECONDS = 0.2
"""Between two looks whether the process lives, or somebody wants it to stop."""
SICK_LOOKS = 3
"""Looks at the health in a row that fail before the server is ended and started anew."""
STABLE_SECONDS = 600.0
"""A server that was up so long has its earlier crashes forgotten."""
FIRST_WAIT_SECONDS = 1.0
"""Before the first restart; doubled each time."""
MAX_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class ServingTask:
    """What is to be kept up."""

    command: ServerCommand
    host: str
    port: int
    model: str
    """The first name that the server answers to."""
    start_seconds: float = 900.0
    """Most seconds until it is healthy."""
    restarts: int = 5
    """Crashes in a row after which it is given up."""
    requests: int = 8
    """At a time, for the second measure of its speed."""
    health_seconds: float = 5.0
    """Between two looks at the health."""
    stop_seconds: float = STOP_SECONDS
    """That it has to end by itself."""


class Supervisor:
    """One server, its record and its key; ``stopping`` ends it."""

    def __init__(
        self,
        task: ServingTask,
        folder: Path,
        stopping: threading.Event,
        *,
        environ: Mapping[str, str] = os.environ,
        key: str = "",
        say: Callable[[str], None] = lambda line: None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        """``key``: of the endpoint; empty makes a new one. ``log`` gets the server's own lines."""
        self.task, self._folder, self._stopping = task, folder, stopping
        self._environ, self._say, self._log = environ, say, log
        self.key = key or f"sk-local-{secrets.token_urlsafe(24)}"
        self.client = ServerClient(task.host, task.port, self.key)
        self._record = ServedEndpoint(
            task.port, task.model, "starting", time.time(), os.getpid(), why="starting"
        )

    def keep_up(self, on_ready: Callable[[ServerFigures, float], None]) -> None:
        """Serve until ``stopping`` is set; ``on_ready`` gets the figures and the seconds once.

        Raises ``ServerFailed`` when the first start fails or it crashed too often, and
        ``UsageError`` when another supervisor has the port. Whatever happens, no process, port
        or file is left.
        """
        crashes, ready_before = 0, False
        with self._recorded():
            while not self._stopping.is_set():
                begun = time.monotonic()
                try:
                    why = self._serve_once(on_ready, ready_before)
                except ServerFailed as error:
                    if not ready_before:
                        raise
                    why = str(error)
                if self._stopping.is_set():
                    return
                ready_before = True
                stable = time.monotonic() - begun > STABLE_SECONDS
                crashes = 1 if stable else crashes + 1
                self._wait_to_restart(crashes, why)

    def _serve_once(
        self, on_ready: Callable[[ServerFigures, float], None], ready_before: bool
    ) -> str:
        """One life of the server; gives why it ended, empty when it was asked to."""
        start = time.monotonic()
        process = self._start()
        try:
            if not self._await_health(process, start):
                return ""
            seconds = time.monotonic() - start
            figures = self._warm_up(process, seconds, ready_before)
            self._note("ready", "")
            if figures is not None:
                on_ready(figures, seconds)
            return self._watch(process)
        finally:
            if self._stopping.is_set():
                self._note("stopping", "asked to stop")
            process.stop()

    def _warm_up(
        self, process: ServerProcess, seconds: float, ready_before: bool
    ) -> ServerFigures | None:
        """The figures of the first start; a restart is warmed up alone. Raises ``ServerFailed``."""
        try:
            if ready_before:
                self.client.tokens_per_second(self.task.model, 1)
                self._say(f"the server is back after {seconds:.0f} s")
                return None
            self._say(f"healthy after {seconds:.0f} s; warming up")
            return measure(self.client, self.task.model, self.task.requests, self._say)
        except NoAnswer as error:
            raise ServerFailed(f"{error}; {_last(process)}") from None

    def _start(self) -> ServerProcess:
        command = self.task.command
        environment = environment_for(self._environ, command.variables, self.key)
        record = self._folder / str(self.task.port)
        return ServerProcess(
            command.words,
            environment,
            self._log,
            record=record,
            stop_seconds=self.task.stop_seconds,
        )

    def _await_health(self, process: ServerProcess, start: float) -> bool:
        """Whether it became healthy; False when it is to stop. Raises ``ServerFailed``."""
        while not self._stopping.wait(LOOK_SECONDS):
            code = process.exit_code()
            if code is not None or time.monotonic() - start > self.task.start_seconds:
                raise ServerFailed(explain_failure(process.last_lines(), code))
            if self.client.is_healthy():
                self._check_identity(process)
                return True
        return False

    def _check_identity(self, process: ServerProcess) -> None:
        """Raise ``ServerFailed`` when another server answers at our port, or one without a key."""
        if process.exit_code() is not None:
            raise ServerFailed(explain_failure(process.last_lines(), process.exit_code()))
        listed = self.client.windows()
        if self.task.model not in listed:
            raise ServerFailed(f"port {self.task.port} serves {', '.join(listed)}: another server")
        if self.client.is_open():
            raise ServerFailed(f"the server at port {self.task.port} answers without its key")

    def _watch(self, process: ServerProcess) -> str:
        """Why a healthy server has to be started anew; empty when it is to stop."""
        sick, looked = 0, time.monotonic()
        while not self._stopping.wait(LOOK_SECONDS):
            if (code := process.exit_code()) is not None:
                return f"it ended with exit code {code}: {_last(process)}"
            if time.monotonic() - looked >= self.task.health_seconds:
                sick = 0 if self.client.is_healthy() else sick + 1
                looked = time.monotonic()
                if sick >= SICK_LOOKS:
                    return f"its health was bad {sick} times in a row"
        return ""

    def _wait_to_restart(self, crashes: int, why: str) -> None:
        """Say why, wait a little; raise ``ServerFailed`` after too many crashes in a row."""
        if crashes > self.task.restarts:
            raise ServerFailed(f"the server is given up after {self.task.restarts} restarts: {why}")
        wait = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (crashes - 1))
        self._record = replace(self._record, restarts=self._record.restarts + 1)
        self._note("restarting", why)
        self._say(f"the server is started again in {wait:.0f} s: {why}")
        self._stopping.wait(wait)

    def _note(self, state: State, why: str) -> None:
        """Tell the runs of this machine how the server is."""
        short = " ".join(why.split())[:300]
        self._record = replace(self._record, state=state, since=time.time(), why=short)
        served_endpoints.write_record(self._record, self._folder)

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """The lock, the record and the key of our port, for as long as the body lasts."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{self.task.port}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(handle, self.task.port)
            try:
                served_endpoints.write_private(
                    served_endpoints.key_file(self.task.port, self._folder), self.key + "\n"
                )
                served_endpoints.write_record(self._record, self._folder)
                yield
            finally:
                served_endpoints.remove_record(self.task.port, self._folder)
        finally:
            os.close(handle)


def _lock(handle: int, port: int) -> None:
    """Take the lock; a reader may hold it for a moment. Raises ``UsageError``."""
    for _ in range(20):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return
    raise UsageError(f"another swe-router serve has port {port}: end it, or give another --port")


def _last(process: ServerProcess) -> str:
    return last_words(process.last_lines()).partition("\n")[0] or "it wrote nothing"
