"""Money in the ledger that no record of the run explains."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from swe_router.integrity import unfinished
from swe_router.journal.run_folder import RunFolder
from swe_router.ledger.state import LedgerState

WORDS = {"settled": "settled", "lost": "lost", "open": "still reserved"}


def unexplained_calls(run: RunFolder, ledger: LedgerState) -> dict[str, list[str]]:
    """By instance, one line per attempt or verdict that was paid and that no record names.

    Spend of an instance under way is explained once it is concluded.
    """
    explained = _recorded_keys(run)
    standing = unfinished.standing_records(run)
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for call in ledger.calls.values():
        owner = call.key.partition("/")[0]
        left = call.fate == "open"
        if owner in standing and call.fate in WORDS and (left or call.key not in explained):
            sums[call.key, WORDS[call.fate]] += call.usd if left else call.charged
    for name in ledger.open_holds:
        hold = ledger.holds[name]
        if hold.key.partition("/")[0] in standing:
            sums[hold.key, "still held"] += hold.remaining
    lines: dict[str, list[str]] = defaultdict(list)
    for (key, fate), usd in sorted(sums.items()):
        if usd:
            line = f"ledger: ${usd.normalize():f} {fate} for {key}, which no record explains"
            lines[key.partition("/")[0]].append(line)
    return lines


def _recorded_keys(run: RunFolder) -> set[str]:
    """Ledger keys of every attempt on record, those of instances tried again included."""
    found = set()
    for record in run.concluded():
        for outcome in record.outcomes:
            attempt = f"{record.instance.id}/{outcome.attempt.id}"
            found.add(attempt)
            if outcome.candidate is not None:
                found.add(f"{record.instance.id}/verify:{outcome.attempt.id}")
    return found
