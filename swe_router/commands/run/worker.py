"""One job in one process, in this one or in a Ray worker: frozen values in, a record out."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from swe_router import jsonl
from swe_router.journal.header import Header, header_of_run, provenance
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger.owner import is_alive, this_process
from swe_router.models.batches.batched_model import BatchSeat
from swe_router.records import Instance, RunRecord
from swe_router.seams import Policy
from swe_router.solve.engine import solve
from swe_router.solve.imported_outcomes import accepted_import, verify_imported
from swe_router.solve.moves import Interrupted
from swe_router.wiring.batching import BatchSeating
from swe_router.wiring.run_wiring import RunWiring

Progress = Callable[[str, str, int, str], None]
INDEPENDENT_POLICIES = ("cascade", "fixed")
"""Policies that decide on each instance as if it were the only one."""
MAX_INSTANCES_AT_ONCE = 4
"""Threads share an interpreter, so that more would wait for it and not for their sandboxes."""


@dataclass(frozen=True)
class Job:
    """One instance of a run, with the policy as it stood when the job was given out."""

    run_path: Path
    instance: Instance
    policy: Policy
    remaining_instances: int
    """Instances of the run not yet concluded, this one included."""
    only_verifies_imported: bool = False
    """Only verify the imported candidates, which costs no attempt."""
    driver_process: str = field(default_factory=this_process)
    """The process that gave it out."""

    def __post_init__(self) -> None:
        """A worker stands elsewhere, and another command may move about meanwhile."""
        object.__setattr__(self, "run_path", self.run_path.absolute())


@dataclass(frozen=True)
class ImportsRejected:
    """No imported candidate was accepted: the instance is still owed."""


@dataclass(frozen=True)
class InstanceStopped:
    """The user asked to stop; the instance is owed."""


JobResult = RunRecord | ImportsRejected | InstanceStopped


def run_in_ray(job: Job) -> JobResult:
    """The job in a Ray worker: progress goes to a file that the driver reads."""
    if threading.current_thread() is threading.main_thread():
        # A terminal's Ctrl-C reaches every process; only the driver may act on it. A handler and
        # not SIG_IGN, which processes in a sandbox would inherit.
        signal.signal(signal.SIGINT, lambda number, frame: None)
    log = job.run_path / "logs" / "progress.jsonl"

    def progress(*event: object) -> None:
        jsonl.append_value(log, event, durable=False)

    with RunFolder(job.run_path).working():
        # The resume of a killed driver waits for this lock; a worker that gets it late must not
        # begin.
        return run_local(job, progress) if is_alive(job.driver_process) else InstanceStopped()


def run_seated(job: Job, progress: Progress, seating: BatchSeating) -> JobResult:
    """The job in this process, its calls in batches with those of all others."""
    with seating.seat() as seat:
        return run_local(job, progress, seating.working, seat)


def run_local(
    job: Job, progress: Progress, threads: int = 1, seat: BatchSeat | None = None
) -> JobResult:
    """The job in this process; ``threads``: how many jobs share its cores."""
    wiring = _thread_wiring(job.run_path, threading.get_ident())
    wiring.seat = seat
    wiring.breaker.notify = lambda line: progress("", "", 0, line)
    wiring.settle_receipts(job.instance)
    wiring.sandbox_pools.held = lambda of, why: progress(of, "", 0, why)
    try:
        if not job.only_verifies_imported:  # an imported candidate may make an attempt unnecessary
            wiring.sandbox_pools.start_attempt_sandbox(job.instance)
        progress(job.instance.id, "", 0, "reading the repository")
        graph = wiring.graph(job.instance)
        features = wiring.features(job.instance, graph)
        context = wiring.solve_context(job.instance, graph, job.remaining_instances, progress)
        verification = context.verification
        cores = max(1, verification.max_sandboxes // threads)
        context = replace(context, verification=replace(verification, max_sandboxes=cores))
        if (
            job.only_verifies_imported
            and accepted_import(verify_imported(context, job.instance)) is None
        ):
            return ImportsRejected()
        return solve(
            job.instance,
            features,
            policy=job.policy,
            context=context,
            run_name=wiring.run.name,
            provenance=provenance(wiring.header),
        )
    except Interrupted:
        return InstanceStopped()
    finally:
        wiring.sandbox_pools.remove_idle(job.instance)


def instances_at_once(header: Header) -> int:
    """Instances that this process works on at a time when there are no Ray workers.

    Recordings answer at once, so the cores are what such a run waits for: each gets an instance,
    and one more is there for the moments in which sandboxes start and end. A real model, and a
    policy whose decisions hang on other instances or on what they left of the money, gets one
    instance after another; so does a run that begins with candidates, all of which are looked at
    first.
    """
    settings = header.settings
    recorded = all(tier.dialect == "scripted" for tier in settings.tiers.values())
    alone = settings.policy.name in INDEPENDENT_POLICIES
    return (
        min(MAX_INSTANCES_AT_ONCE, (os.cpu_count() or 1) + 1)
        if recorded and alone and not settings.source
        else 1
    )


@lru_cache(maxsize=1024)
def _thread_wiring(path: Path, thread: int) -> RunWiring:
    """What a thread works with: nothing in it is shared with another one."""
    run = RunFolder(path)
    return RunWiring(run, header_of_run(run), say=_ignore_message)


def _ignore_message(message: str) -> None:
    """Workers have no terminal; messages are in the records."""
