"""What of a run is still out in batches when it ends, what it may cost, and how it is collected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swe_router.journal.run_folder import RunFolder
from swe_router.ledger import SentBatch, log_reader
from swe_router.reports.run_text import usd_text
from swe_router.reports.sentences import counted_noun


@dataclass(frozen=True)
class BatchOut:
    """A batch with calls that are not settled."""

    batch: SentBatch

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        one = self.batch
        return {
            "batch": one.batch_id,
            "tier": one.tier,
            "sent": one.at,
            "calls": len(one.calls),
            "usd_at_most": float(one.usd),
        }


def batches_out(run: RunFolder) -> list[BatchOut]:
    """The batches of a run with calls that are not settled, in the order of their sending."""
    return [BatchOut(one) for one in log_reader.read_ledger(run.ledger_file).batches_out()]


def batches_out_lines(out: Sequence[BatchOut], resume_command: str) -> list[str]:
    """What a person must know of them."""
    if not out:
        return []
    found = []
    for one in (row.batch for row in out):
        name = one.batch_id or f"{one.token} (its sending was not confirmed)"
        found.append(
            f"still out at tier {one.tier}: batch {name} with"
            f" {counted_noun(len(one.calls), 'call')}, billed at most {usd_text(one.usd)}"
        )
    return [
        *found,
        f"the provider works on and bills them; {resume_command} collects and uses their answers,"
        f" {resume_command} --cancel-batches ends them and settles what they cost",
    ]
