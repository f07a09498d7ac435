"""A run folder as the facts that reports are made of."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from swe_router import jsonl
from swe_router.errors import UsageError
from swe_router.estimates.caching.cache_use import CacheTally, add_settled
from swe_router.journal.header import Header, header_of_run
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import log_reader
from swe_router.ledger.state import LedgerState
from swe_router.reports.run_summary import RunFacts, RunSpending, run_summary

__all__ = ["RunFacts", "read_run_facts", "run_summary"]


def read_run_facts(run: RunFolder) -> RunFacts:
    """Everything a summary is computed from. Raises ``UsageError`` for a damaged folder."""
    header = header_of_run(run)
    state = log_reader.read_ledger(run.ledger_file)
    money = RunSpending(
        budget=header.settings.budget if state.budget is None else state.budget,
        budget_raises=tuple((one.at, one.by, one.budget) for one in state.raises),
        settled=sum(state.settled.values(), start=Decimal(0)),
        lost=sum(state.lost.values(), start=Decimal(0)),
        reserved=state.reserved,
        submitted=state.submitted_usd,
        calls_out=len(state.submitted),
        by_tier={
            name: state.settled.get(name, Decimal(0)) + state.lost.get(name, Decimal(0))
            for name in {*state.settled, *state.lost}
        },
    )
    return RunFacts(
        run_name=run.name,
        split=header.settings.split,
        policy=header.settings.policy.name,
        instances=[one.id for one in run.instances()],
        records=run.records(),
        grades=run.grades(),
        spending=money,
        tiers=header.settings.ladder,
        seconds=_worked_seconds(run.path / "sessions.jsonl"),
        uses_recordings=header.recordings,
        cache=_cache_tally(state, header),
    )


def _cache_tally(state: LedgerState, header: Header) -> CacheTally:
    """What the caches saved and what their breaks cost, from the settled calls."""
    tally = CacheTally(header.rates)
    for call in state.settled_calls:
        add_settled(tally, call.tier, call.key, call.usage)
    return tally


def _worked_seconds(path: Path) -> float:
    """How long the run was worked on, over all its sessions."""
    total = 0.0
    for number, row in enumerate(jsonl.read_lines(path), 1):
        try:
            total += float(row["to"]) - float(row["from"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UsageError(
                f"{path}:{number} is no session ({error!r}): restore the line or delete it"
            ) from None
    return total
