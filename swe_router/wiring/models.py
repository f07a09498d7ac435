"""The one factory of models: plugin, key, meter, retries and breaker, from the inside out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

from swe_router import plugins
from swe_router.breaker import Breaker
from swe_router.ledger import Ledger
from swe_router.ledger.holds import CallLedger
from swe_router.model_abilities import HasBatches
from swe_router.models import cache_lifetime, tier_checks
from swe_router.models.batches.batched_model import BatchedModel, BatchItemMaker, BatchSeat
from swe_router.models.metered import AnswerStore, MeteredModel
from swe_router.models.retrying import RetryingModel
from swe_router.models.sampling_seeds import SamplingSeeds
from swe_router.prices import PriceRate
from swe_router.rate_limits import RatePacer
from swe_router.records import Instance
from swe_router.seams import Model
from swe_router.settings import Settings, Tier
from swe_router.wiring.service_breaker import paced_by, waiting_model

ReportWait = Callable[[str], None]
"""Receives why a call waits."""


@dataclass(frozen=True)
class ModelFactory:
    """Makes the models of one run or command; every call of theirs is booked in ``ledger``."""

    settings: Settings
    rates: Mapping[str, PriceRate]
    """Tier -> price; every tier that a model is made of needs one."""
    ledger: Callable[[], Ledger]
    stopping: Callable[[], bool]
    """True once the user asked to stop: no call is retried or waited for after it."""
    breaker: Callable[[], Breaker] | None = None
    """What waits for a tier that is away; ``for_ratings`` needs none."""
    pacer: Callable[[], RatePacer] | None = None
    """What keeps calls to the rates of their tiers; None: they go as they come."""
    paced_tiers: Callable[[], Mapping[str, Tier]] | None = None
    """The tiers with the rates that the user asked for last; None: as ``settings`` has them."""
    seat: Callable[[], BatchSeat | None] = lambda: None
    """The instance's place in the lane of batches; None where every call is live."""

    def for_attempt(
        self,
        name: str,
        instance: Instance,
        session: str,
        hold: CallLedger,
        receipts: AnswerStore,
        report_wait: ReportWait,
        max_wait_seconds: float | None,
        *,
        of_phase: bool = False,
    ) -> Model:
        """The model of one attempt, paid from its hold, waited for ``max_wait_seconds`` at most.

        ``of_phase``: its tier is not the attempt's arm, and its answers say so.
        """
        breaker = self._breaker()
        begun = breaker.now()

        def over() -> bool:
            return (
                bool(max_wait_seconds and breaker.now() - begun > max_wait_seconds)
                or self.stopping()
            )

        bare = self._bare_model_maker(name)(session)
        metered = self._metered_model(name, bare, hold, receipts, name if of_phase else "")
        live = self._waiting_model(name, metered, instance, report_wait, over)
        items = bare.batches() if isinstance(bare, HasBatches) else None
        return self._batched(name, metered, live, items, hold, report_wait)

    def for_verifier(
        self,
        name: str,
        instance: Instance,
        receipts: Callable[[str], AnswerStore | None],
        report_wait: ReportWait,
    ) -> Callable[[str], Model] | None:
        """Attempt id -> the model that verifiers ask of its candidate; None for an empty name.

        It may cost ``verify.usd`` per candidate, booked as overhead of the instance.
        """
        if not name:
            return None
        plugin = self._bare_model_maker(name)

        def model(attempt_id: str) -> Model:
            verify, limits = self.settings.verify, self.settings.limits
            account = overhead_key(instance.id, attempt_id)
            booking = self.ledger().overhead(account, verify.usd, limits.instance_usd)
            seeded = SamplingSeeds(self._tier_named(name), plugin, instance.id)
            metered = self._metered_model(name, seeded, booking, receipts(attempt_id))
            live = self._waiting_model(name, metered, instance, report_wait, self.stopping)
            items = seeded if seeded.takes_batches else None
            return self._batched(name, metered, live, items, booking, report_wait)

        return model

    def for_ratings(self, name: str, instance: Instance, seat: BatchSeat | None = None) -> Model:
        """The model that rates an issue before any run: retried, never waited for.

        ``seat``: its call goes in a batch, where the tier takes them.
        """
        booking = self.ledger().overhead(f"{instance.id}/judge")
        bare = self._bare_model_maker(name)(f"{instance.id}#1")
        metered = self._metered_model(name, bare, booking, None)
        tier, pacer = self._tier_named(name), self.pacer() if self.pacer is not None else None
        paced = paced_by(pacer, metered, name, tier, lambda why: None)
        live = RetryingModel(paced, tier.retries)
        items = bare.batches() if seat and isinstance(bare, HasBatches) else None
        if seat is None or items is None:
            return live
        return BatchedModel(metered, live, seat, items, booking, name, tier.retries, nullcontext)

    def _breaker(self) -> Breaker:
        assert self.breaker is not None, "models that wait need a breaker"
        return self.breaker()

    def _tier_named(self, name: str) -> Tier:
        return self.settings.tiers[name]

    def _bare_model_maker(self, name: str) -> Callable[[str], Model]:
        """Session -> the bare model of a tier. Raises ``UsageError`` without its key."""
        tier = cache_lifetime.priced_tier(self._tier_named(name), self.rates[name])
        key = tier_checks.key_of(name, tier, os.environ)
        kind = plugins.load_plugin("models", tier.dialect)

        def made(session: str) -> Model:
            model: Model = kind(tier, session=session, key=key)
            return model

        return made

    def _metered_model(
        self,
        name: str,
        bare: Model,
        booking: CallLedger,
        receipts: AnswerStore | None,
        signs: str = "",
    ) -> MeteredModel:
        by_gaps = cache_lifetime.chooses_by_gaps(self._tier_named(name))
        return MeteredModel(
            bare, booking, self.rates[name], receipts=receipts, tier=signs, by_gaps=by_gaps
        )

    def _batched(
        self,
        name: str,
        metered: MeteredModel,
        live: Model,
        items: BatchItemMaker | None,
        booking: CallLedger,
        report_wait: ReportWait,
    ) -> Model:
        """The model with its calls in batches, where there is a lane and the tier takes them."""
        seat = self.seat()
        if seat is None or items is None:
            return live
        clock, retries = self._breaker().stop_limit_clock, self._tier_named(name).retries
        return BatchedModel(metered, live, seat, items, booking, name, retries, clock, report_wait)

    def _waiting_model(
        self,
        name: str,
        metered: Model,
        instance: Instance,
        report_wait: ReportWait,
        is_over: Callable[[], bool],
    ) -> Model:
        tier = (self.paced_tiers() if self.paced_tiers else self.settings.tiers)[name]
        key = tier_checks.key_of(name, tier, os.environ)
        return waiting_model(
            metered,
            self._breaker(),
            name,
            tier,
            key=key,
            instance=instance.id,
            report_wait=report_wait,
            is_over=is_over,
            pacer=self.pacer() if self.pacer is not None else None,
        )


def overhead_key(instance_id: str, attempt_id: str) -> str:
    """The ledger's key for what verifiers' calls on one candidate cost."""
    return f"{instance_id}/verify:{attempt_id}"
