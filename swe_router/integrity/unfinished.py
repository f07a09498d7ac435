"""What a run still owes: the never concluded, what is tried again, what money was short for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from swe_router.errors import UsageError
from swe_router.grading.predictions import Prediction
from swe_router.journal.header import Header
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import log_reader
from swe_router.ledger.ledger import Ledger, budget_mismatch
from swe_router.ledger.owner import this_person
from swe_router.records import Instance, RunRecord

RETRIED_STATUSES = {
    "none": frozenset[str](),
    "infra": frozenset({"infra"}),
    "limit": frozenset({"infra", "budget"}),
    "all": frozenset({"infra", "budget", "empty"}),
}
"""What ``--retry`` tries again, by the status of the record."""
LIMIT_EXITS = frozenset({"budget", "steps", "time"})
"""Exits of attempts that a limit of their own ended."""
RetryMode = Literal["", "anew", "on"]


def pending_instances(run: RunFolder, retry_kind: str) -> list[Instance]:
    """Instances without a record, and those whose record is of a kind to be tried again.

    One that an earlier launch began anew and did not conclude is owed like any other; so is one
    that ended for lack of money, once the cap was raised over the one that it ended under.
    """
    records, cap_usd = standing_records(run), cap_in_force(run)
    return [
        one
        for one in run.instances()
        if one.id not in records or retry_mode(records[one.id], retry_kind, cap_usd)
    ]


def has_newly_payable(run: RunFolder) -> bool:
    """Something ended for lack of money before the cap was raised: it is owed."""
    cap_usd = cap_in_force(run)
    return any(_cap_was_raised(record, cap_usd) for record in standing_records(run).values())


def standing_records(run: RunFolder) -> dict[str, RunRecord]:
    """Records that stand: without those of instances that were begun again and not concluded."""
    return {
        name: record
        for name, record in run.records().items()
        if InstanceLog(run.attempt_folder(name)).belongs_to(record)
    }


def records_to_learn(run: RunFolder) -> list[RunRecord]:
    """Every record in order, for policies that learn; a continued instance counts at its end."""
    every = list(run.concluded())
    last: dict[str, RunRecord] = {}
    found = []
    for record in reversed(every):
        later = last.get(record.instance.id)
        if later is None or later.outcomes[: len(record.outcomes)] != record.outcomes:
            found.append(record)
        last[record.instance.id] = record
    return found[::-1]


def reopen_pending(run: RunFolder, retry_kind: str, instances: list[Instance]) -> None:
    """Reopen what is owed: continued where money was short, else started again."""
    records, cap_usd = standing_records(run), cap_in_force(run)
    for one in instances:
        record, log = records.get(one.id), InstanceLog(run.attempt_folder(one.id))
        if record is not None and retry_mode(record, retry_kind, cap_usd) == "on":
            log.reopen()
        elif record is not None:
            log.restart()


def retry_mode(record: RunRecord, retry_kind: str, cap_usd: Decimal | None) -> RetryMode:
    """Whether a concluded instance is tried again, and how; pure.

    ``on``: with all that was done as its history, which is what lack of money asks for.
    """
    asked = retry_kind in {"limit", "all"} and record.status != "infra"
    if _cap_was_raised(record, cap_usd) or (asked and record.short_of_money):
        return "on"
    return (
        "anew"
        if record.status in RETRIED_STATUSES[retry_kind] or (asked and _ended_at_own_limit(record))
        else ""
    )


def _ended_at_own_limit(record: RunRecord) -> bool:
    """Nothing was accepted, and an attempt ended at a limit of its own."""
    ends = {outcome.attempt.trajectory.exit for outcome in record.outcomes}
    return bool(ends & LIMIT_EXITS) and not any(outcome.accepted for outcome in record.outcomes)


def _cap_was_raised(record: RunRecord, cap_usd: Decimal | None) -> bool:
    """It was short of money under a lower cap than the present one."""
    if cap_usd is None or not record.short_of_money:
        return False
    return not record.decisions or record.decisions[-1].purse.budget < cap_usd


def cap_in_force(run: RunFolder) -> Decimal | None:
    """The cap in force, as the ledger has it; None before there is one."""
    return log_reader.read_ledger(run.ledger_file).budget


def has_ungraded(run: RunFolder) -> bool:
    """Some concluded instance hands in what no grader was shown."""
    grades = run.grades()
    for name, record in run.records().items():
        digest = Prediction(instance_id=name, patch=record.patch).digest
        if name not in grades or (record.patch and grades[name].patch != digest):
            return True
    return False


def require_same_budget(run: RunFolder, header: Header) -> None:
    """Raises ``UsageError`` when the budget was changed in the settings of a run."""
    state, budget = log_reader.read_ledger(run.ledger_file), header.settings.budget
    if state.opened is not None and state.opened != budget:
        raise UsageError(budget_mismatch(run.ledger_file, state, budget))


def raise_cap(ledger: Ledger, run: RunFolder, budget: Decimal, say: Callable[[str], None]) -> None:
    """Put a higher cap on record; ``UsageError`` for a lower one."""
    before = cap_in_force(run)
    if ledger.raise_cap(budget, this_person()):
        say(f"the cap of {run.name} is ${budget} now, raised from ${before}")
    else:
        say(f"the cap of {run.name} is ${budget} already")
