"""Money in the ledger that no record of the run explains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from swe_router.integrity import unfinished
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.ledger.state import LedgerState

CALL_STATE_WORDS = {
    "settled": "settled",
    "lost": "lost",
    "open": "still reserved",
    "submitted": "still out in a batch",
}


def unexplained_calls(run: RunFolder, ledger: LedgerState) -> dict[str, list[str]]:
    """By instance, one line per attempt or verdict that was paid and that no record names.

    Spend of an instance under way is explained once it is concluded.
    """
    explained = _recorded_keys(run, _settled_sums(ledger))
    standing = unfinished.standing_records(run)
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for call in ledger.calls.values():
        owner = call.key.partition("/")[0]
        left = call.fate in ("open", "submitted")
        if (
            owner in standing
            and call.fate in CALL_STATE_WORDS
            and (left or call.key not in explained)
        ):
            sums[call.key, CALL_STATE_WORDS[call.fate]] += call.usd if left else call.charged
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


def _settled_sums(ledger: LedgerState) -> Mapping[str, Decimal]:
    """Ledger key -> USD settled under it."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for call in ledger.calls.values():
        if call.fate == "settled":
            sums[call.key] += call.charged
    return sums


def _recorded_keys(run: RunFolder, settled: Mapping[str, Decimal]) -> set[str]:
    """Ledger keys of every attempt on record, those of instances tried again included."""
    found = set()
    for record in run.concluded():
        name = record.instance.id
        for outcome in record.outcomes:
            attempt_id = outcome.attempt.id
            found.add(f"{name}/{attempt_id}")
            key = f"{name}/verify:{attempt_id}"
            if outcome.candidate is not None or _usd_paid_before_break(run, name, attempt_id) == (
                settled.get(key, Decimal(0))
            ):
                found.add(key)
    return found


def _usd_paid_before_break(run: RunFolder, instance_id: str, attempt_id: str) -> Decimal | None:
    """USD of the answers on file that verifiers paid for this attempt; None without any.

    Such an attempt was being verified when its process died, and its sandbox broke when the
    resume restored it: it has neither candidate nor verdicts. Its answers serve later attempts.
    """
    stored = VerifierStore(run.attempt_folder(instance_id) / "notes.jsonl")
    mine = [
        note
        for note in stored.values()
        if isinstance(note, Mapping) and note.get("charged_to") == attempt_id
    ]
    if not mine:
        return None
    calls = [note.get("call") or note for note in mine]
    return sum((Decimal(str(call.get("usd") or 0)) for call in calls), Decimal(0))
