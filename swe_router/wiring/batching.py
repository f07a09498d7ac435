"""The lane of a run: which of its tiers go in batches, at what price, and who sits where."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from swe_router import plugins
from swe_router.breaker import Breaker
from swe_router.errors import ModelError, UsageError
from swe_router.journal.collected_answers import CollectedAnswers
from swe_router.journal.header import Header
from swe_router.ledger import Ledger, log_reader
from swe_router.model_abilities import BatchService, HasBatches
from swe_router.models import tier_checks
from swe_router.models.batches.batch_lane import BatchLane, LaneTimes
from swe_router.models.batches.batched_model import BatchSeat
from swe_router.models.batches.lockstep import Lockstep
from swe_router.models.waiting_model import service_name
from swe_router.prices import PriceRate
from swe_router.settings import Settings
from swe_router.wiring.batch_prices import batch_rates_of
from swe_router.wiring.run_wiring import RunWiring
from swe_router.wiring.service_breaker import breaker_of

SESSION = "batches"
"""Name of the client that sends, looks at and collects the batches of a tier."""
LEFTOVER_SECONDS = 60.0
"""Seconds that the end of a run waits for cancelled batches, to know what they cost."""


@dataclass(frozen=True)
class BatchSeating:
    """The lane of a run and what each of its instances gets of it."""

    lane: BatchLane
    sends: bool
    """False: only what earlier processes sent is collected."""
    live_after: float
    """Seconds; see ``BatchSeat``."""
    working: int
    """Instances that work at a time."""

    @contextmanager
    def seat(self) -> Iterator[BatchSeat]:
        """The seat of an instance, from its beginning to its end."""
        with self.lane.lockstep.member() as member:
            yield BatchSeat(self.lane, member, self.sends, self.live_after)

    def cancel_all(self) -> None:
        """End every batch that is out and settle what it costs; returns when none is left.

        A stop of the run ends the wait.
        """
        self.lane.cancel_unwanted(wanted_too=True)
        self.lane.state.idle_until(lambda: not self.lane.state.out, math.inf)

    def collect_leftovers(self, seconds: float = LEFTOVER_SECONDS) -> None:
        """Cancel the batches that nobody waits for and settle what they cost."""
        self.lane.cancel_unwanted()
        self.lane.state.idle_until(lambda: not self.lane.state.out, seconds)


def batch_service(settings: Settings, name: str) -> BatchService | None:
    """The batches of a tier; None where its provider takes none."""
    tier = settings.tiers[name]
    model = plugins.load_plugin("models", tier.dialect)(
        tier, session=SESSION, key=tier_checks.key_of(name, tier, os.environ)
    )
    return model.batches() if isinstance(model, HasBatches) else None


def require_batches(
    settings: Settings, rates: Mapping[str, PriceRate], names: Sequence[str]
) -> list[str]:
    """Those of these tiers whose calls can go in batches.

    ``rates``: in batches. Raises ``UsageError`` for none, and for one without such a price.
    """
    found = [name for name in names if batch_service(settings, name) is not None]
    if not found:
        raise UsageError(
            f"--batch: no tier of this run takes batches ({', '.join(names)}): Anthropic's and"
            " OpenAI's own APIs do; leave --batch away"
        )
    unpriced = [name for name in found if name not in rates]
    if unpriced:
        raise UsageError(
            f"--batch: no price in batches is known for tier {', '.join(unpriced)}: leave --batch"
            " away, or give tiers.NAME.price, of which batches cost half"
        )
    return found


def require_one_process(workers: int) -> None:
    """Raise ``UsageError`` where the calls of a run would be made in several processes."""
    if workers:
        raise UsageError(
            f"--workers {workers}: a run with calls in batches works in one process, which holds"
            " all its instances at a time (batch.instances); use --workers 0"
        )


def has_batches_out(wiring: RunWiring) -> bool:
    """Whether calls of the run are out in batches, without opening its ledger."""
    return bool(log_reader.read_ledger(wiring.run.ledger_file).submitted)


@contextmanager
def open_lane(
    wiring: RunWiring, *, sends: bool, notify: Callable[[str], None]
) -> Iterator[BatchSeating | None]:
    """The lane of a run while it is worked on; None where nothing is sent and nothing is out."""
    if not sends and not has_batches_out(wiring):
        yield None
        return
    batch = wiring.settings.batch
    working = batch.working or (os.cpu_count() or 1) + 1
    lane = BatchLane(
        wiring.ledger.batches,
        CollectedAnswers(wiring.run.path / "batch-answers.jsonl"),
        service=cache(lambda name: _known_service(wiring.settings, name)),
        rates=batch_rates_of(wiring.header),
        lockstep=Lockstep(working),
        times=LaneTimes(gather=batch.gather_seconds, poll=batch.poll_seconds),
        stopping=wiring.run.stopping,
        guard=_guard(breaker_of(wiring.run, wiring.header, notify=notify), notify),
        notify=notify,
    )
    with lane:
        yield BatchSeating(lane, sends, batch.live_after_hours * 3600, working)
    lane.require_sound()


def bare_lane(
    settings: Settings,
    ledger: Ledger,
    folder: Path,
    rates: Mapping[str, PriceRate],
    stopping: Callable[[], bool],
    notify: Callable[[str], None],
) -> BatchLane:
    """A lane of calls that belong to no run; what it collects for nobody is kept in ``folder``."""
    batch = settings.batch
    return BatchLane(
        ledger.batches,
        CollectedAnswers(folder / "batch-answers.jsonl"),
        service=cache(lambda name: _known_service(settings, name)),
        rates=rates,
        lockstep=Lockstep((os.cpu_count() or 1) + 1),
        times=LaneTimes(gather=batch.gather_seconds, poll=batch.poll_seconds),
        stopping=stopping,
        notify=notify,
    )


def _known_service(settings: Settings, name: str) -> BatchService:
    found = batch_service(settings, name)
    if found is None:
        raise UsageError(f"tier {name!r} takes no batches any more, and calls of it are out")
    return found


@dataclass(frozen=True)
class _Refusal:
    """An answer of the provider that is an error of the call's own."""

    error: ModelError


def _guard(
    breaker: Breaker, notify: Callable[[str], None]
) -> Callable[[str, Callable[[], Any]], Any]:
    """Requests to a tier's provider that wait while it is away, as its live calls do.

    That it is busy is no outage: a batch can wait.
    """

    def guarded(tier: str, call: Callable[[], Any]) -> Any:
        def refusals_as_values() -> Any:
            try:
                return call()
            except ModelError as error:
                if error.says_nothing_of_instance:
                    raise
                return _Refusal(error)

        made = breaker.call_when_available(
            service_name(tier), refusals_as_values, instance_id=SESSION, on_pause=notify
        )
        if isinstance(made, _Refusal):
            raise made.error
        return made

    return guarded


def instances_at_once(header: Header, owed: int) -> int:
    """Instances that a run with batches has under way at a time."""
    return max(1, min(header.settings.batch.instances, owed))
