"""The jobs of a run: which one the driver gives out next, and the result of each."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from swe_router import pool
from swe_router.commands.run import candidate_import
from swe_router.commands.run.notifier import Notifier
from swe_router.commands.run.worker import ImportsRejected, InstanceStopped, Job, JobResult
from swe_router.estimates.caching.cache_use import CacheTally, add_settled
from swe_router.integrity import unfinished
from swe_router.jsonl import append_value
from swe_router.models.waiting_model import service_name
from swe_router.records import Budget, Instance, RouteDecision, RunRecord, Try
from swe_router.reports.live_view import LiveView
from swe_router.reports.sentences import counted_noun
from swe_router.seams import Policy
from swe_router.solve.imported_outcomes import without_imports
from swe_router.wiring.ledger_budget import LedgerBudget
from swe_router.wiring.run_wiring import RunWiring


def learned_policy(wiring: RunWiring) -> Policy:
    """The policy of a run as it stands: prepared, updated by every concluded instance."""
    batch = [wiring.features(one, None) for one in wiring.run.instances()]
    policy = wiring.policy().prepare(batch, Budget(dollars=wiring.ledger.view().budget))
    for record in unfinished.records_to_learn(wiring.run):
        policy = policy.update(without_imports(record))
    return policy


class JobQueue:
    """What the driver knows between jobs: the policy as it learns, and what is left.

    ``held_instances`` are instances that came to a tier which was given up. Those that would begin
    with it come last; when so many of them in a row got no further, the rest are not begun.
    """

    def __init__(
        self, wiring: RunWiring, owed: Sequence[Instance], view: LiveView, notifier: Notifier
    ) -> None:
        self._wiring, self._owed, self._view, self._notifier = wiring, owed, view, notifier
        self._remaining_count = len(owed)
        self._being_verified: set[str] = set()
        self._finished: set[str] = set()
        self.held_instances: set[str] = set()
        self._held_in_a_row = 0
        self._first_services: dict[str, frozenset[str]] = {}
        self._policy = learned_policy(wiring)
        self._cache, self._calls_seen = CacheTally(wiring.header.rates), 0

    def jobs(self) -> Iterator[Job]:
        """All that is owed; what instances came with is looked at before any attempt is made.

        A policy that rations its money must know how many are left.
        """
        run = self._wiring.run
        first = [one for one in self._owed if candidate_import.has_unverified(run, one)]
        self._being_verified = {one.id for one in first}
        for instance in first:
            yield Job(
                run.path, instance, self._policy, self._remaining_count, only_verifies_imported=True
            )
        rest = [one for one in self._owed if one.id not in self._finished]
        while rest:
            free, able = self._next_instance(rest)
            if free is None or not (able or self._may_try_held()):
                if not self._being_verified:
                    self._view.say(
                        f"{counted_noun(len(rest), 'instance')} more would begin with it: owed"
                    )
                    return
                yield pool.NO_JOB_YET
            else:
                rest.remove(free)
                yield Job(run.path, free, self._policy, self._remaining_count)
            rest = [one for one in rest if one.id not in self._finished]

    def _next_instance(self, waiting: Sequence[Instance]) -> tuple[Instance | None, bool]:
        """The instance to go on with, and whether nothing that it begins with was given up."""
        free = [one for one in waiting if one.id not in self._being_verified]
        gone = self._wiring.breaker.given_up().keys()
        if gone:
            able = next((one for one in free if not self._first_services_of(one) & gone), None)
            return able or next(iter(free), None), able is not None
        return next(iter(free), None), True

    def _may_try_held(self) -> bool:
        """A policy may decide otherwise once it knows the code, and a tier may be back."""
        return self._held_in_a_row < self._wiring.settings.breaker.failures

    def _first_services_of(self, instance: Instance) -> frozenset[str]:
        """Services that the next move of an instance takes, as far as the driver knows."""
        if instance.id not in self._first_services:
            moves = self._wiring.log_of(instance).moves()
            decision = moves[-1].decided.decision if moves else self._first_decision(instance)
            begun = bool(moves) and moves[-1].outcomes is not None
            plans = decision.plans if isinstance(decision, Try) and not begun else ()
            self._first_services[instance.id] = frozenset(
                service_name(plan.arm.model) for plan in plans
            )
        return self._first_services[instance.id]

    def _first_decision(self, instance: Instance) -> RouteDecision:
        wiring = self._wiring
        budget = LedgerBudget(
            wiring.ledger, self._remaining_count, instance.id, wiring.settings.limits.instance_usd
        )
        return self._policy.decide(wiring.features(instance, None), (), budget.view())

    def finish_job(self, job: Job, result: JobResult | pool.WorkerLost | pool.JobFault) -> None:
        """Put on record, learn and show what came of a job."""
        self._being_verified.discard(job.instance.id)
        if not isinstance(result, ImportsRejected):
            self._finished.add(job.instance.id)
        if isinstance(result, RunRecord):
            self._wiring.log_of(job.instance).remove_used_receipts()
            self._wiring.run.add_record(result)
            self._policy = self._policy.update(without_imports(result))
            self._remaining_count -= 1
            self._held_in_a_row = 0
            self.show_spending()  # first: the line that reports this instance shows the money too
            self._view.done(result)
        elif isinstance(result, InstanceStopped) and not self._wiring.run.stopping():
            self.held_instances.add(job.instance.id)
            self._held_in_a_row += 1
            self._view.held(job.instance.id)
        elif isinstance(result, pool.WorkerLost):
            self._view.say(f"{job.instance.id}: {result.reason}; it is owed")
        elif isinstance(result, pool.JobFault):
            self._record_fault(job.instance.id, result)
        self.show_spending()

    def _record_fault(self, instance_id: str, fault: pool.JobFault) -> None:
        log = self._wiring.run.logs / "faults.jsonl"
        row = {
            "instance": instance_id,
            "at": time.time(),
            "why": fault.message,
            "trace": fault.traceback,
        }
        append_value(log, row)
        self._view.say(
            f"{instance_id}: a fault of {fault.owner} ({fault.message}); it is owed; see {log}"
        )

    def show_progress(self, tail: LogTail) -> None:
        """Show the events of the workers, and the money."""
        tail.show_new_events()
        self.show_spending()

    def show_spending(self) -> None:
        """Show what is spent."""
        view = self._wiring.ledger.view()
        self._view.spent(view.spent, view.budget)
        self._show_cache_use()
        self._view.out_in_batches(view.batches_out, view.calls_out, view.submitted)
        self._notifier.notify_spending(self._wiring.run.name, view.spent, view.budget)
        gone = self._wiring.breaker.outages()
        self._view.paused({name: row.cause for name, row in gone.items() if row.paused})

    def _show_cache_use(self) -> None:
        """Show what prompt caches saved in the calls so far."""
        for call in self._wiring.ledger.settled_since(self._calls_seen):
            add_settled(self._cache, call.tier, call.key, call.usage)
            self._calls_seen += 1
        self._view.cached(self._cache.whole)


class LogTail:
    """Progress that Ray workers wrote to a file, passed on to the view."""

    def __init__(self, path: Path, view: LiveView) -> None:
        self._path, self._view = path, view
        self._offset = path.stat().st_size if path.exists() else 0

    def show_new_events(self) -> None:
        """Pass on what came since the last time."""
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8") as file:
            file.seek(self._offset)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break
                self._offset += len(line.encode("utf-8"))
                with contextlib.suppress(ValueError):  # the line that a killed worker tore
                    self._view.event(*json.loads(line))
