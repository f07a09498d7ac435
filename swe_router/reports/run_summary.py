"""The summary of a run, as one value: the same facts for ``--json``, the terminal and report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from swe_router.estimates.caching.cache_use import CacheTally
from swe_router.records import Grade, RunRecord

OVERHEAD_TIER = "overhead"
"""Tier name under which calls outside an attempt are booked."""


@dataclass(frozen=True)
class RunSpending:
    """The ledger's closing figures, all USD."""

    budget: Decimal
    settled: Decimal
    lost: Decimal
    """Charged at their reservation because no answer ever arrived."""
    reserved: Decimal
    by_tier: Mapping[str, Decimal]
    """Settled plus lost, by tier; calls outside an attempt under ``overhead``."""
    budget_raises: Sequence[tuple[float, str, Decimal]] = ()
    """When the cap was raised (Unix seconds), by whom, and to how much: ``budget`` is the last."""

    submitted: Decimal = Decimal(0)
    """Part of ``reserved`` for calls that are out in batches."""
    calls_out: int = 0
    """Calls that are out in batches."""

    @property
    def spent(self) -> Decimal:
        """USD gone: settled plus lost."""
        return self.settled + self.lost

    @property
    def unused(self) -> Decimal:
        """USD of the budget that were never touched."""
        return self.budget - self.spent - self.reserved


@dataclass(frozen=True)
class RunFacts:
    """Everything that a summary is computed from."""

    run_name: str
    split: str
    policy: str
    instances: Sequence[str]
    records: Mapping[str, RunRecord]
    grades: Mapping[str, Grade]
    spending: RunSpending
    tiers: Sequence[str]
    seconds: float
    uses_recordings: bool = False
    """The models were recordings, not models."""
    cache: CacheTally = field(default_factory=lambda: CacheTally({}))
    """What prompt caches did, by tier and by ``INSTANCE/ATTEMPT``."""


def standing_of(facts: RunFacts, instance_id: str) -> str:
    """``resolved``, ``unresolved``, ``ungraded`` or ``empty`` (no patch); one of the four."""
    record = facts.records.get(instance_id)
    if record is None or not record.patch:
        return "empty"
    grade = facts.grades.get(instance_id)
    return grade.outcome if grade is not None else "ungraded"


def submitted_tier(record: RunRecord) -> str | None:
    """The tier whose candidate is handed in."""
    for outcome in record.outcomes:
        if outcome.attempt.id == record.chosen:
            return outcome.arm.model
    return None


def was_escalated(record: RunRecord) -> bool:
    """More than one tier was tried."""
    return len({outcome.arm.model for outcome in record.outcomes}) > 1


def run_summary(facts: RunFacts) -> dict[str, Any]:
    """The closing summary; ``by_tier`` sums to ``usd`` exactly."""
    standings = [standing_of(facts, instance_id) for instance_id in facts.instances]
    by_tier: dict[str, dict[str, Any]] = {
        name: _empty_facts() for name in (*facts.tiers, OVERHEAD_TIER)
    }
    for name, usd in facts.spending.by_tier.items():
        by_tier.setdefault(name, _empty_facts())["usd"] = usd
    for instance_id, record in facts.records.items():
        for outcome in record.outcomes:
            by_tier.setdefault(outcome.arm.model, _empty_facts())["attempts"] += 1
        tier = submitted_tier(record)
        if tier is not None and standing_of(facts, instance_id) == "resolved":
            by_tier[tier]["resolved"] += 1
    return {
        "run": facts.run_name,
        "split": facts.split,
        "policy": facts.policy,
        "instances": len(facts.instances),
        **{name: standings.count(name) for name in ("resolved", "unresolved", "ungraded", "empty")},
        "usd": _usd_number(sum((row["usd"] for row in by_tier.values()), start=Decimal(0))),
        "budget": _usd_number(facts.spending.budget),
        **_budget_raise_facts(facts),
        **_batch_facts(facts.spending),
        "escalated": sum(was_escalated(record) for record in facts.records.values()),
        "seconds": round(facts.seconds, 3),
        "by_tier": {name: {**row, "usd": _usd_number(row["usd"])} for name, row in by_tier.items()},
    }


def _budget_raise_facts(facts: RunFacts) -> dict[str, Any]:
    """When the cap was raised, by whom and to how much; nothing where it never was."""
    rows = [
        {"at": at, "by": by, "budget": _usd_number(usd)}
        for at, by, usd in facts.spending.budget_raises
    ]
    return {"raises": rows} if rows else {}


def _batch_facts(spending: RunSpending) -> dict[str, Any]:
    """What is out in batches; nothing where nothing is."""
    if not spending.calls_out:
        return {}
    usd = _usd_number(spending.submitted)
    return {"out_in_batches": {"calls": spending.calls_out, "usd_at_most": usd}}


def _empty_facts() -> dict[str, Any]:
    return {"attempts": 0, "usd": Decimal(0), "resolved": 0}


def unfinished_instances(facts: RunFacts) -> list[tuple[str, str]]:
    """Instances that could not be concluded, with the reason; the summary names them."""
    undone = []
    for instance_id in facts.instances:
        record = facts.records.get(instance_id)
        if record is None:
            undone.append((instance_id, "not concluded: resume the run"))
        elif record.status in {"infra", "budget"}:
            undone.append(
                (instance_id, f"{record.status}: {record.stop}{_last_failure_message(record)}")
            )
    return undone


def _last_failure_message(record: RunRecord) -> str:
    """The message of the failure that came last: it names the fault and what to do."""
    failure = record.outcomes[-1].attempt.failure if record.outcomes else None
    return f" ({failure.message})" if failure is not None and failure.message else ""


def _usd_number(usd: Decimal) -> float:
    return float(usd)
