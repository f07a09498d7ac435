"""``show``: a run, one of its instances, or one attempt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_router import suggest
from swe_router.commands import run_facts
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.integrity import consistency
from swe_router.integrity.locate import find_run
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import LATEST, RunFolder
from swe_router.reports import exit_status, run_rows, run_text

SHOWN = 12
"""Ids that an error lists."""


def show(name: str, out: Path, instance: str | None, attempt: str | None) -> CommandResult:
    """A run, one instance of it, or one attempt."""
    run = _run(name, out, instance)
    known = run_facts.read_run_facts(run)
    if instance is None:
        whole = summary_of(run, known)
        return CommandResult(facts=whole, view=run_text.run_view(known, whole.get("notes", ())))
    record = known.records.get(instance)
    if record is None:
        raise UsageError(f"run {run.name} has no record of {instance!r}{_instead(known, instance)}")
    if attempt is None:
        return CommandResult(
            facts=record.model_dump(mode="json"), view=run_text.record_view(record, known)
        )
    ids = [one.attempt.id for one in record.outcomes]
    steps = InstanceLog(run.attempt_folder(instance)).steps(_attempt(attempt, ids))
    if not steps:
        raise UsageError(
            f"{instance} has no steps of attempt {attempt!r}: there is {', '.join(ids) or 'none'}"
        )
    return CommandResult(
        facts=[s.model_dump(mode="json") for s in steps], view=run_text.steps_view(steps)
    )


def _run(name: str, out: Path, instance: str | None) -> RunFolder:
    """The run; given an instance's id, the error names the command that shows it."""
    try:
        return find_run(name, out)
    except UsageError as error:
        if name == LATEST or not _is_of_latest(name, out):
            raise
        words = " ".join(("latest", name) if instance is None else ("latest", name, instance))
        raise UsageError(
            f"{name!r} is an instance, no run: did you mean `swe-router show {words}`?"
        ) from error


def _is_of_latest(name: str, out: Path) -> bool:
    """Whether the newest run has an instance of this id."""
    try:
        latest = RunFolder.find(LATEST, out)
    except UsageError:
        return False
    return name in {one.id for one in latest.instances()}


def summary_of(run: RunFolder, known: run_facts.RunFacts) -> dict[str, Any]:
    """The summary, the money as the ledger closes it, tokens, and one row per instance."""
    money, notes = known.spending, consistency.seal_warnings(run)
    used = [o.attempt.trajectory.usage for r in known.records.values() for o in r.outcomes]
    return {
        **run_facts.run_summary(known),
        "settled": float(money.settled),
        "lost": float(money.lost),
        "reserved": float(money.reserved),
        "unused": float(money.unused),
        "ended": exit_status.run_ending(known.instances, known.records),
        "tokens": run_rows.token_totals(used),
        "rows": run_rows.instance_rows(known),
        **({"notes": notes} if notes else {}),
    }


def _instead(known: run_facts.RunFacts, instance: str) -> str:
    """What to ask for instead: it is owed, it is near another id, or which ones there are."""
    if instance in known.instances:
        return ": it is owed, `swe-router resume` concludes it"
    if hint := suggest.hint(instance, known.records):
        return hint
    there = list(known.records)
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    return f": there is {', '.join(there[:SHOWN]) or 'none yet'}{more}"


def _attempt(asked: str, ids: Sequence[str]) -> str:
    """An attempt by its id, its number or its tier, where only one is meant."""
    if asked in ids:
        return asked
    for part in (0, 2):
        found = [one for one in ids if one.partition("-")[part] == asked]
        if len(found) == 1:
            return found[0]
    return asked
