"""Many instances at once: Ray workers, or threads of this process; values in and out."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from swe_router.errors import SweRouterError, UsageError
from swe_router.lazy_imports import deferred_module
from swe_router.plugins import fault_owner

if TYPE_CHECKING:
    import ray
else:
    ray = deferred_module("ray")

Job = TypeVar("Job")
Done = TypeVar("Done")

MAX_WORKER_CRASHES = 2
"""Times a job is given to a fresh worker after its worker process died."""
NO_JOB_YET: Any = object()
"""In the place of a job: there will be more, and none before one that is under way has ended."""
TICK_SECONDS = 0.25
"""Seconds after which a pool looks up from jobs that are under way."""
MAX_RAY_STARTS = 3
"""Times that a Ray of our own is begun."""
CLUSTER_START_SECONDS = 120.0
"""Seconds in which a cluster has to find a worker for the first look."""
MAX_RAY_FOLDER_CHARACTERS = 45
"""Longest folder path, in characters, that leaves room for Ray's socket names (at most 107)."""


@dataclass(frozen=True)
class WorkerLost:
    """A job whose worker died ``MAX_WORKER_CRASHES`` times over; its memory on disk is owed."""

    reason: str


@dataclass(frozen=True)
class JobFault:
    """A job that broke by a fault of this program or of a plugin; it is owed."""

    message: str
    """One line."""
    traceback: str
    owner: str = "swe-router's own"
    """Whose code raised, as ``plugins.fault_owner`` names it."""


@dataclass(frozen=True)
class Pool(Generic[Job, Done]):
    """Runs ``work(job)`` for every job.

    ``work`` must be importable by name in a worker process. ``jobs`` is read lazily, one at a time
    as workers fall free, so that a job can carry what earlier ones taught; ``NO_JOB_YET`` among
    them asks to come back when one has ended. ``on_done`` is called in this process with each
    result, in the order of completion. A job that raises a ``SweRouterError``, or meets a full
    disk, ends the run; any other exception is a ``JobFault``. ``ray_folder`` is an empty folder for
    what Ray writes; the caller removes it. Without ``workers`` so many ``threads`` of this process
    work at a time; ``on_fatal_error`` tells the others when the job of one ends the run.
    ``environment`` holds the variables that ``work`` reads: a cluster that was started elsewhere
    does not have them.
    """

    work: Callable[[Job], Done]
    workers: int = 0
    stopping: Callable[[], bool] = lambda: False
    on_tick: Callable[[], None] = lambda: None
    ray_folder: Path | None = None
    threads: int = 1
    on_fatal_error: Callable[[], None] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(
        self, jobs: Iterable[Job], on_done: Callable[[Job, Done | WorkerLost | JobFault], None]
    ) -> None:
        """All jobs, or those begun before the user asked to stop."""
        if self.workers:
            _run_in_ray(self, iter(jobs), on_done)
            return
        if self.threads > 1:
            _run_in_threads(self, iter(jobs), on_done)
            return
        for job in jobs:
            if self.stopping():
                return
            on_done(job, _run_guarded(self.work, job))


def _run_guarded(work: Callable[[Any], Any], job: Any) -> Any:
    """What a job gives; a fault of ours as a value, which affects no other job."""
    try:
        return work(job)
    except SweRouterError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return _job_fault(error)


@dataclass(frozen=True)
class WorkerEnvironment:
    """What a worker is to see as the driver does; relative paths of the settings mean one thing."""

    folder: str
    variables: Mapping[str, str] = field(repr=False)


def run_as_driver(
    worker_environment: WorkerEnvironment, work: Callable[[Any], Any], job: Any
) -> Any:
    """A job in a worker, which Ray starts in another folder and a cluster with other variables."""
    _enter_environment(worker_environment)
    return _run_guarded(work, job)


def _enter_environment(worker_environment: WorkerEnvironment) -> None:
    try:
        os.chdir(worker_environment.folder)
    except OSError as error:
        raise UsageError(
            f"a Ray worker on {socket.gethostname()} does not see the folder"
            f" {worker_environment.folder}"
            f" ({error.strerror}): the machines of a cluster must share the disk of the run"
        ) from None
    os.environ.update(worker_environment.variables)


def _job_fault(error: BaseException) -> JobFault:
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return JobFault(
        message=message[:300],
        traceback="".join(traceback.format_exception(error)),
        owner=fault_owner(error),
    )


def _run_in_threads(pool: Pool[Any, Any], jobs: Any, on_done: Callable[[Any, Any], None]) -> None:
    running: dict[Future[Any], Any] = {}
    exhausted = False
    with ThreadPoolExecutor(pool.threads, thread_name_prefix="instance") as hands:
        try:
            while running or not exhausted:
                while not exhausted and not pool.stopping() and len(running) < pool.threads:
                    job = next(jobs, None)
                    exhausted = job is None
                    if job is NO_JOB_YET:
                        break
                    if job is not None:
                        running[hands.submit(_run_guarded, pool.work, job)] = job
                if pool.stopping() and not running:
                    return
                ready = wait(running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED).done
                pool.on_tick()
                for future in ready:
                    on_done(running.pop(future), future.result())
        except BaseException:
            pool.on_fatal_error()
            raise


def _run_in_ray(pool: Pool[Any, Any], jobs: Any, on_done: Callable[[Any, Any], None]) -> None:
    running: dict[Any, tuple[Any, int]] = {}
    exhausted = False
    around = WorkerEnvironment(str(Path.cwd()), dict(pool.environment))
    with stdout_to_stderr(), _ray_session(pool.workers, pool.ray_folder):
        _require_usable_workers(around)
        remote = ray.remote(num_cpus=1, max_retries=0)(run_as_driver)
        while running or not exhausted:
            while not exhausted and not pool.stopping() and len(running) < pool.workers:
                job = next(jobs, None)
                exhausted = job is None
                if job is NO_JOB_YET:
                    break
                if job is not None:
                    running[remote.remote(around, pool.work, job)] = (job, 1)
            if pool.stopping() and not running:
                return
            ready, _ = ray.wait(list(running), timeout=TICK_SECONDS) if running else ([], [])
            pool.on_tick()
            for reference in ready:
                job, tries = running.pop(reference)
                done = _ray_result(reference, tries)
                if (
                    isinstance(done, WorkerLost)
                    and tries <= MAX_WORKER_CRASHES
                    and not pool.stopping()
                ):
                    # Idempotent: the job finds its steps, answers and money in the run folder.
                    running[remote.remote(around, pool.work, job)] = (job, tries + 1)
                else:
                    on_done(job, done)


def _ray_result(reference: Any, max_crashes: int) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # Its own text is a traceback of many lines; the cause has the one that matters.
        cause = error.cause
        if isinstance(cause, SweRouterError | OSError):
            raise cause from None
        return _job_fault(error)
    except ray.exceptions.RayError as error:
        return WorkerLost(
            reason=f"its worker died {max_crashes} times: {str(error).splitlines()[0]}"
        )


def _require_cluster(address: str) -> None:
    """Raise ``UsageError`` at once where no cluster answers; Ray itself tries for minutes."""
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


def _require_usable_workers(worker_environment: WorkerEnvironment) -> None:
    """Raise ``UsageError`` before any job where a cluster's workers cannot do one.

    A Ray of our own inherits all that this process has.
    """
    if not os.environ.get("RAY_ADDRESS"):
        return
    try:
        ray.get(
            ray.remote(num_cpus=1, max_retries=0)(_enter_environment).remote(worker_environment),
            timeout=CLUSTER_START_SECONDS,
        )
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UsageError):
            raise error.cause from None
        why = str(error.cause or error).strip().splitlines()[-1]
        raise UsageError(f"a worker of the Ray cluster cannot do a job ({why})") from None
    except ray.exceptions.RayError as error:
        why = " ".join(str(error).split())[:300]
        raise UsageError(
            f"no worker of the Ray cluster answers ({why}): is swe-router installed in the"
            " environment that it was started from, and a CPU free?"
        ) from None


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Standard output is for the result: what Ray prints there in between goes to stderr.

    Its threads print "(raylet) A worker died" whatever ``log_to_driver`` says.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # no cluster answers there
        yield
        return
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def empty_working_folder(parent: Path | None) -> Iterator[None]:
    """An empty current folder, which Ray puts first where its workers look for modules.

    An ``openai.py`` of the user's would be taken for the library, as it never is in this process.
    """
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(parent or empty)
        try:
            yield
        finally:
            os.chdir(here)


@contextmanager
def _kept_signal_handlers() -> Iterator[None]:
    """Ray puts a handler of its own, which aborts the process, in the place of the caller's."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _start_ray(options: Mapping[str, Any]) -> Any:
    """Ray's context; started again where a busy machine exceeds the 30 s that Ray waits."""
    for again in range(MAX_RAY_STARTS):
        try:
            return ray.init(configure_logging=False, **options)
        except Exception as error:
            ray.shutdown()
            if "timed out during startup" not in str(error) or again == MAX_RAY_STARTS - 1:
                raise
    raise AssertionError  # pragma: no cover


@contextmanager
def _ray_session(workers: int, place: Path | None) -> Iterator[None]:
    """A Ray of our own on this machine, or the cluster that RAY_ADDRESS names."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS", "")
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    if address:
        _require_cluster(address)
    else:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        options |= {"num_cpus": workers, "object_store_memory": 100 << 20}
        # Ray's own is 15, which sandboxes inherit: tests would run slower than without workers.
        os.environ.setdefault("RAY_worker_niceness", "0")
        if place is not None and len(str(place)) <= MAX_RAY_FOLDER_CHARACTERS:
            options["_temp_dir"] = str(place)
    try:
        with _kept_signal_handlers(), empty_working_folder(place):
            context = _start_ray(options)
    except Exception as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"Ray would not start ({why}): use --workers 0 to run in this process"
        ) from None
    try:
        yield
    finally:
        with _kept_signal_handlers():
            ray.shutdown()
        if not address:
            shutil.rmtree(context.address_info["session_dir"], ignore_errors=True)
