"""Whether the files of a run belong together: checked before it is shown or resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from swe_router.errors import UsageError
from swe_router.integrity import unfinished
from swe_router.journal.header import Header, header_of_run, instances_digest, is_unchanged
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import log_reader
from swe_router.ledger.ledger import run_mismatch
from swe_router.ledger.state import LedgerState
from swe_router.records import SCHEMA, Instance, RunRecord
from swe_router.safe_files import check_regular_file

ZERO_USD = Decimal(0)
CHANGED_MESSAGE = "was changed after the run began (its seal does not fit)"


class PaidCalls(NamedTuple):
    """What the records say was paid."""

    ledger_key: str
    """Where the ledger books it: ``INSTANCE/ATTEMPT``, ``INSTANCE/verify:ATTEMPT``."""
    call_count: int
    usd: Decimal


def check_run(run: RunFolder, *, will_spend: bool = False, exact: bool = True) -> Header:
    """The header of a run whose files belong together.

    Raises ``UsageError``: another format or a newer version, no or other instances, records of
    another run, a ledger that does not hold the money that the records say was paid.
    ``will_spend``: the run is resumed, so its settings must be unchanged and the steps of
    unfinished attempts count as well. Not ``exact``: a changed amount or issue is left to the
    replay, which reports it.
    """
    header = header_of_run(run)
    split = Path(header.settings.split).expanduser()
    if split.exists() and not split.is_dir():
        check_regular_file(split)
    # Records before the ledger: of a run under way the ledger is then the newer one.
    records = run.records()
    instances = _checked_instances(run, header, exact=exact)
    _require_same_run(run, header, records, instances)
    paid = [one for record in records.values() for one in _paid_calls_of_record(record)]
    if will_spend:
        unfinished.require_same_budget(run, header)
        if not is_unchanged(run):
            raise UsageError(
                f"{run.settings_file} {CHANGED_MESSAGE}: put it back, or begin a new run"
            )
        rest = [one for name, one in instances.items() if name not in records]
        paid += [one for instance in rest for one in _paid_calls_of_steps(run, instance)]
    _require_ledger_covers(run, log_reader.read_ledger(run.ledger_file), paid, exact=exact)
    _require_known_instances(run, instances)
    return header


def seal_warnings(run: RunFolder) -> list[str]:
    """Warnings to show with a run: its settings are not those it began with."""
    if is_unchanged(run):
        return []
    return [
        f"{run.settings_file} {CHANGED_MESSAGE}: settings, policy and split may not be what"
        f" they were"
    ]


def _checked_instances(run: RunFolder, header: Header, *, exact: bool) -> dict[str, Instance]:
    found = run.instances()
    file = run.path / "instances.jsonl"
    if not found:
        raise UsageError(
            f"{file} is missing or empty: it lists the instances of the run; restore it"
        )
    if exact and header.instances and header.instances != instances_digest(found):
        raise UsageError(f"{file} is not what the run began with: bring it back")
    return {one.id: one for one in found}


def _require_known_instances(run: RunFolder, known: dict[str, Instance]) -> None:
    """An instance with a trajectory belongs to the run, also where no digest proves it."""
    folder = run.path / "trajectories"
    begun = {one.name for one in folder.iterdir() if one.is_dir()} if folder.is_dir() else set()
    if gone := sorted(begun - known.keys()):
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise UsageError(
            f"{run.path / 'instances.jsonl'} was cut: the run worked on {gone[0]}{more}, which it"
            " does not hold; bring it back"
        )


def _require_same_run(
    run: RunFolder, header: Header, records: dict[str, RunRecord], known: dict[str, Instance]
) -> None:
    for name, record in records.items():
        made = record.provenance.settings
        if record.schema_version != SCHEMA:
            raise UsageError(
                f"{run.records_file}: the record of {name} is of another format"
                f" ({record.schema_version!r}; this swe-router reads {SCHEMA!r}): use the"
                " swe-router that made it"
            )
        if name not in known or (made and made != header.digest):
            why = "settings" if name in known else "instances"
            raise UsageError(
                f"{run.records_file} holds a record of another run ({name}: its {why} are not this"
                " run's): bring back the run's own files"
            )


def _paid_calls_of_record(record: RunRecord) -> Iterator[PaidCalls]:
    name = record.instance.id
    for outcome in record.outcomes:
        if not outcome.imported:
            end = outcome.attempt.trajectory
            yield PaidCalls(f"{name}/{outcome.attempt.id}", end.steps if end.usd else 0, end.usd)
        paid = [verdict for verdict in outcome.verdicts if verdict.usd]
        calls = sum(len(verdict.evidence.get("calls", ())) or 1 for verdict in paid)
        asked = sum((verdict.usd for verdict in paid), ZERO_USD)
        yield PaidCalls(f"{name}/verify:{outcome.attempt.id}", calls, asked)


def _paid_calls_of_steps(run: RunFolder, instance: Instance) -> Iterator[PaidCalls]:
    log = InstanceLog(run.attempt_folder(instance.id))
    for attempt in {name for move in log.moves() for name in move.attempts}:
        steps = [one for one in log.steps(attempt) if one.completion.usd]
        usd = sum((step.completion.usd for step in steps), ZERO_USD)
        yield PaidCalls(f"{instance.id}/{attempt}", len(steps), usd)


def _require_ledger_covers(
    run: RunFolder, ledger: LedgerState, paid: list[PaidCalls], *, exact: bool
) -> None:
    """Raise ``UsageError`` where the ledger holds less than the records; open calls count."""
    if ledger.run not in ("", run.seal()):
        raise UsageError(run_mismatch(run.ledger_file))
    calls: Counter[str] = Counter()
    held: dict[str, Decimal] = {}
    for call in ledger.calls.values():
        if call.fate != "void":
            calls[call.key] += 1
            usd = call.usd if call.fate in ("open", "submitted") else call.charged
            held[call.key] = held.get(call.key, ZERO_USD) + usd
    short = [
        one
        for one in paid
        if one.usd
        # A replay reports changed amounts; missing calls it could not distinguish.
        and (
            held.get(one.ledger_key, ZERO_USD) < one.usd
            if exact
            else calls[one.ledger_key] < one.call_count
        )
    ]
    if short:
        one = short[0]
        more = f", and {len(short) - 1} more" if len(short) > 1 else ""
        what = "is missing" if not run.ledger_file.exists() else "was cut, or is another run's"
        raise UsageError(
            f"{run.ledger_file} {what}: the records say that ${one.usd} were paid in"
            f" {one.call_count}"
            f" calls for {one.ledger_key}, the ledger knows"
            f" ${held.get(one.ledger_key, ZERO_USD)} in"
            f" {calls[one.ledger_key]}{more}. It is where the money of a run is counted: bring"
            f" it back"
        )
