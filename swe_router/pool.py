"""Many instances at once: Ray workers, or threads of this process; values in and out."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from swe_router.deferred import deferred
from swe_router.errors import SweRouterError, UsageError

if TYPE_CHECKING:
    import ray
else:
    ray = deferred("ray")

Job = TypeVar("Job")
Done = TypeVar("Done")

CRASHES = 2
"""Times a job is given to a fresh worker after its worker process died."""
LATER: Any = object()
"""In the place of a job: there will be more, and none before one that is under way has ended."""
TICK = 0.25
"""Seconds after which a pool looks up from jobs that are under way."""
LONGEST_PLACE = 45
"""Letters of a folder in which Ray's sockets still have room (a path of one holds 107)."""


@dataclass(frozen=True)
class Lost:
    """A job whose worker died ``CRASHES`` times over; its memory on disk is owed."""

    why: str


@dataclass(frozen=True)
class Fault:
    """A job that broke by a fault of this program, not of its surroundings; it is owed."""

    why: str
    """One line."""
    trace: str


@dataclass(frozen=True)
class Pool(Generic[Job, Done]):
    """Runs ``work(job)`` for every job.

    ``work`` must be importable by name in a worker process. ``jobs`` is read lazily, one at a
    time as workers fall free, so that a job can carry what earlier ones taught; ``LATER`` among
    them asks to come back when one has ended. ``on_done`` is
    called in this process with each result, in the order of completion. A job that raises a
    ``SweRouterError``, or meets a full disk, ends the run; any other exception is a ``Fault``.
    ``place`` is an empty folder for what Ray writes; the caller removes it. Without ``workers``
    so many ``threads`` of this process work at a time; ``halt`` tells the others when the job of
    one ends the run.
    """

    work: Callable[[Job], Done]
    workers: int = 0
    stopping: Callable[[], bool] = lambda: False
    on_tick: Callable[[], None] = lambda: None
    place: Path | None = None
    threads: int = 1
    halt: Callable[[], None] = lambda: None

    def run(self, jobs: Iterable[Job], on_done: Callable[[Job, Done | Lost | Fault], None]) -> None:
        """All jobs, or those begun before the user asked to stop."""
        if self.workers:
            _ray(self, iter(jobs), on_done)
            return
        if self.threads > 1:
            _threads(self, iter(jobs), on_done)
            return
        for job in jobs:
            if self.stopping():
                return
            on_done(job, _guarded(self.work, job))


def _guarded(work: Callable[[Any], Any], job: Any) -> Any:
    """What a job gives; a fault of ours as a value, so that it costs no other job anything."""
    try:
        return work(job)
    except SweRouterError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return _fault(error)


def _fault(error: BaseException) -> Fault:
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return Fault(why=said[:300], trace="".join(traceback.format_exception(error)))


def _threads(pool: Pool[Any, Any], jobs: Any, on_done: Callable[[Any, Any], None]) -> None:
    running: dict[Future[Any], Any] = {}
    exhausted = False
    with ThreadPoolExecutor(pool.threads, thread_name_prefix="instance") as hands:
        try:
            while running or not exhausted:
                while not exhausted and not pool.stopping() and len(running) < pool.threads:
                    job = next(jobs, None)
                    exhausted = job is None
                    if job is LATER:
                        break
                    if job is not None:
                        running[hands.submit(_guarded, pool.work, job)] = job
                if pool.stopping() and not running:
                    return
                ready = wait(running, timeout=TICK, return_when=FIRST_COMPLETED).done
                pool.on_tick()
                for future in ready:
                    on_done(running.pop(future), future.result())
        except BaseException:
            pool.halt()
            raise


def _ray(pool: Pool[Any, Any], jobs: Any, on_done: Callable[[Any, Any], None]) -> None:
    running: dict[Any, tuple[Any, int]] = {}
    exhausted = False
    with _started(pool.workers, pool.place):
        remote = ray.remote(num_cpus=1, max_retries=0)(_guarded)
        while running or not exhausted:
            while not exhausted and not pool.stopping() and len(running) < pool.workers:
                job = next(jobs, None)
                exhausted = job is None
                if job is LATER:
                    break
                if job is not None:
                    running[remote.remote(pool.work, job)] = (job, 1)
            if pool.stopping() and not running:
                return
            ready, _ = ray.wait(list(running), timeout=TICK) if running else ([], [])
            pool.on_tick()
            for reference in ready:
                job, tries = running.pop(reference)
                done = _result(reference, tries)
                if isinstance(done, Lost) and tries <= CRASHES and not pool.stopping():
                    # Idempotent: the job finds its steps, answers and money in the run folder.
                    running[remote.remote(pool.work, job)] = (job, tries + 1)
                else:
                    on_done(job, done)


def _result(reference: Any, tries: int) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # Its own text is a traceback of many lines; the cause has the one that matters.
        cause = error.cause
        if isinstance(cause, SweRouterError | OSError):
            raise cause from None
        return _fault(error)
    except ray.exceptions.RayError as error:
        return Lost(why=f"its worker died {tries} times: {str(error).splitlines()[0]}")


def _must_answer(address: str) -> None:
    """Raise ``UsageError`` at once where nobody listens; Ray itself tries for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and port.isdigit()):
        return  # "auto" and "local" name no place
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10.0).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"no Ray answers at RAY_ADDRESS={address} ({error}): unset it for a Ray of our own,"
            " or use --workers 0 to run in this process"
        ) from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray puts a handler of its own, which aborts the process, in the place of the caller's."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _started(workers: int, place: Path | None) -> Iterator[None]:
    """A Ray of our own on this machine, or the cluster that RAY_ADDRESS names."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS", "")
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    if address:
        _must_answer(address)
    else:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        options |= {"num_cpus": workers, "object_store_memory": 100 << 20}
        if place is not None and len(str(place)) <= LONGEST_PLACE:
            options["_temp_dir"] = str(place)
    try:
        with _own_signals():
            context: Any = ray.init(configure_logging=False, **options)
    except Exception as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"Ray would not start ({why}): use --workers 0 to run in this process"
        ) from None
    try:
        yield
    finally:
        with _own_signals():
            ray.shutdown()
        if not address:
            shutil.rmtree(context.address_info["session_dir"], ignore_errors=True)
