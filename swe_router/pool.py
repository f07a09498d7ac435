"""Many instances at once: Ray workers, or one after another in this process; values in and out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ray

from swe_router.errors import UsageError

Job = TypeVar("Job")
Done = TypeVar("Done")

CRASHES = 2
"""Times a job is given to a fresh worker after its worker process died."""


@dataclass(frozen=True)
class Lost:
    """A job whose worker died ``CRASHES`` times over; its memory on disk is owed."""

    why: str


@dataclass(frozen=True)
class Pool(Generic[Job, Done]):
    """Runs ``work(job)`` for every job.

    ``work`` must be importable by name in a worker process. ``jobs`` is read lazily, one at a
    time as workers fall free, so that a job can carry what earlier ones taught. ``on_done`` is
    called in this process with each result, in the order of completion.
    """

    work: Callable[[Job], Done]
    workers: int = 0
    stopping: Callable[[], bool] = lambda: False
    on_tick: Callable[[], None] = lambda: None

    def run(self, jobs: Iterable[Job], on_done: Callable[[Job, Done | Lost], None]) -> None:
        """All jobs, or those begun before the user asked to stop."""
        if self.workers:
            _ray(self, iter(jobs), on_done)
            return
        for job in jobs:
            if self.stopping():
                return
            on_done(job, self.work(job))


def _ray(pool: Pool[Any, Any], jobs: Any, on_done: Callable[[Any, Any], None]) -> None:
    _start(pool.workers)
    remote = ray.remote(num_cpus=1, max_retries=0)(pool.work)
    running: dict[Any, tuple[Any, int]] = {}
    exhausted = False
    try:
        while running or not exhausted:
            while not exhausted and not pool.stopping() and len(running) < pool.workers:
                job = next(jobs, None)
                exhausted = job is None
                if job is not None:
                    running[remote.remote(job)] = (job, 1)
            if pool.stopping() and not running:
                return
            ready, _ = ray.wait(list(running), timeout=0.25) if running else ([], [])
            pool.on_tick()
            for reference in ready:
                job, tries = running.pop(reference)
                _settle(remote, running, reference, job, tries, on_done)
    finally:
        ray.shutdown()


def _settle(
    remote: Any,
    running: dict[Any, tuple[Any, int]],
    reference: Any,
    job: Any,
    tries: int,
    on_done: Callable[[Any, Any], None],
) -> None:
    try:
        done = ray.get(reference)
    except ray.exceptions.WorkerCrashedError as error:
        if tries <= CRASHES:
            # Idempotent: the job finds its steps, its answers and its money in the run folder.
            running[remote.remote(job)] = (job, tries + 1)
            return
        done = Lost(why=f"its worker died {tries} times: {str(error).splitlines()[0]}")
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None  # type: ignore[no-untyped-call]
    on_done(job, done)


def _start(workers: int) -> None:
    """A Ray of our own on this machine, or the cluster that RAY_ADDRESS names."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    if "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        options |= {"num_cpus": workers, "object_store_memory": 100 << 20}
    try:
        ray.init(configure_logging=False, **options)
    except Exception as error:
        raise UsageError(
            f"Ray would not start ({error}): use --workers 0 to run in this process"
        ) from None
