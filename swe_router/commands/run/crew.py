"""How the instances of a run are worked on: in how many processes, at once or in batches."""

from __future__ import annotations

from dataclasses import dataclass

from swe_router.errors import UsageError
from swe_router.journal.header import Header
from swe_router.wiring import batch_prices, batching, preflight
from swe_router.wiring.run_wiring import RunWiring


@dataclass(frozen=True)
class Crew:
    """How the instances of a run are worked on."""

    workers: int
    """Ray workers; 0: in this process."""
    sends_batches: bool

    def require_possible(self, header: Header) -> None:
        """Raise ``UsageError`` for batches in several processes, or for tiers that take none."""
        if self.sends_batches:
            batching.require_one_process(self.workers)
            usable = [plan.arm.model for plan in header.ladder()]
            asked = preflight.verifier_tiers(header.settings)
            rates = batch_prices.batch_rates_of(header)
            batching.require_batches(header.settings, rates, [*usable, *asked])

    def check(self, wiring: RunWiring) -> None:
        """The same for a run that may have batches out already."""
        self.require_possible(wiring.header)
        if self.workers and batching.has_batches_out(wiring):
            raise UsageError(
                "calls of this run are out in batches, which one process collects: use --workers 0"
            )

    def at_once(self, header: Header) -> int:
        """Instances under way at a time, at most."""
        return header.settings.batch.instances if self.sends_batches else max(1, self.workers)


def require_possible(header: Header) -> None:
    """Raise ``UsageError`` where a run cannot work as its settings say."""
    Crew(header.settings.workers, header.settings.batch.enabled).require_possible(header)
