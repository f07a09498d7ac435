"""``show``: a run, one of its instances, or one attempt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_router import suggest
from swe_router.commands import run_facts
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.estimates.caching import cache_use
from swe_router.estimates.caching.cache_use import CacheBreak
from swe_router.integrity import consistency
from swe_router.integrity.locate import find_run
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import LATEST_LINK, RunFolder
from swe_router.records import RunRecord, Step
from swe_router.reports import exit_status, gateway_facts, run_rows, run_text

MAX_LISTED_IDS = 12
"""Ids that an error lists."""


def show_run(
    run_name: str, runs_folder: Path, instance_id: str | None, attempt_id: str | None
) -> CommandResult:
    """A run, one instance of it, or one attempt."""
    run = _find_run(run_name, runs_folder, instance_id)
    known = run_facts.read_run_facts(run)
    if instance_id is None:
        whole = summary_facts(run, known)
        return CommandResult(facts=whole, view=run_text.run_view(known, whole.get("notes", ())))
    record = known.records.get(instance_id)
    if record is None:
        raise UsageError(
            f"run {run.name} has no record of"
            f" {instance_id!r}{_instance_suggestion(known, instance_id)}"
        )
    if attempt_id is None:
        return CommandResult(
            facts=record.model_dump(mode="json"), view=run_text.record_view(record, known)
        )
    ids = [one.attempt.id for one in record.outcomes]
    wanted = _matching_attempt(attempt_id, ids)
    steps = InstanceLog(run.attempt_folder(instance_id)).steps(wanted)
    if not steps:
        raise UsageError(
            f"{instance_id} has no steps of attempt {attempt_id!r}: there is"
            f" {', '.join(ids) or 'none'}"
        )
    return CommandResult(
        facts=[s.model_dump(mode="json") for s in steps],
        view=run_text.steps_view(steps, _cache_breaks(steps, wanted, record, known)),
    )


def _cache_breaks(
    steps: Sequence[Step], attempt_id: str, record: RunRecord, facts: run_facts.RunFacts
) -> Sequence[CacheBreak | None]:
    """The break of each step of an attempt, at the rates of the run."""
    tiers = {one.attempt.id: one.arm.model for one in record.outcomes}
    return cache_use.tally_of_steps(steps, tiers[attempt_id], facts.cache.rates)[1]


def _find_run(run_name: str, runs_folder: Path, instance: str | None) -> RunFolder:
    """The run; given an instance's id, the error names the command that shows it."""
    try:
        return find_run(run_name, runs_folder)
    except UsageError as error:
        if run_name == LATEST_LINK or not _is_in_latest_run(run_name, runs_folder):
            raise
        words = " ".join(
            ("latest", run_name) if instance is None else ("latest", run_name, instance)
        )
        raise UsageError(
            f"{run_name!r} is an instance, no run: did you mean `swe-router show {words}`?"
        ) from error


def _is_in_latest_run(name: str, out: Path) -> bool:
    """Whether the newest run has an instance of this id."""
    try:
        latest = RunFolder.find(LATEST_LINK, out)
    except UsageError:
        return False
    return name in {one.id for one in latest.instances()}


def summary_facts(run: RunFolder, facts: run_facts.RunFacts) -> dict[str, Any]:
    """The summary, the money as the ledger closes it, tokens, and one row per instance."""
    money, notes = facts.spending, consistency.seal_warnings(run)
    used = [o.attempt.trajectory.usage for r in facts.records.values() for o in r.outcomes]
    return {
        **run_facts.run_summary(facts),
        "settled": float(money.settled),
        "lost": float(money.lost),
        "reserved": float(money.reserved),
        "unused": float(money.unused),
        "ended": exit_status.run_ending(facts.instances, facts.records),
        "tokens": run_rows.token_totals(used),
        "cache": run_rows.cache_facts(facts),
        "rows": run_rows.instance_rows(facts),
        **({"gateways": served} if (served := gateway_facts.gateway_rows(facts)) else {}),
        **({"notes": notes} if notes else {}),
    }


def _instance_suggestion(facts: run_facts.RunFacts, instance: str) -> str:
    """What to ask for instead: it is owed, it is near another id, or which ones there are."""
    if instance in facts.instances:
        return ": it is owed, `swe-router resume` concludes it"
    if hint := suggest.did_you_mean_hint(instance, facts.records):
        return hint
    there = list(facts.records)
    more = f" and {len(there) - MAX_LISTED_IDS} more" if len(there) > MAX_LISTED_IDS else ""
    return f": there is {', '.join(there[:MAX_LISTED_IDS]) or 'none yet'}{more}"


def _matching_attempt(wanted: str, attempt_ids: Sequence[str]) -> str:
    """An attempt by its id, its number or its tier, where only one is meant."""
    if wanted in attempt_ids:
        return wanted
    for part in (0, 2):
        found = [one for one in attempt_ids if one.partition("-")[part] == wanted]
        if len(found) == 1:
            return found[0]
    return wanted
