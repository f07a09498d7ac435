"""The run's breaker, and each tier's model behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from swe_router import awake
from swe_router.breaker import Breaker, Patience
from swe_router.deferred import deferred
from swe_router.journal.folder import RunFolder
from swe_router.models.held import HeldModel, service_of
from swe_router.seams import Model
from swe_router.settings import Settings, Tier

if TYPE_CHECKING:
    from swe_router.models import knock, retrying
else:
    knock = deferred("swe_router.models.knock")
    retrying = deferred("swe_router.models.retrying")


def breaker_of(run: RunFolder, settings: Settings) -> Breaker:
    """The breaker of a run; when it gives up, the run stops as if it was asked to."""
    usual = Patience(**settings.breaker.model_dump())
    own = {
        service_of(name): replace(usual, give_up_seconds=tier.give_up_seconds)
        for name, tier in settings.tiers.items()
        if tier.give_up_seconds is not None
    }
    return Breaker(
        run.path,
        lambda service: own.get(service, usual),
        stopping=run.stopping,
        gave_up=run.stop_file.touch,
        limits=awake.now,
        slept=awake.slept,
    )


def waiting(
    metered: Model,
    breaker: Breaker,
    name: str,
    tier: Tier,
    *,
    key: str,
    instance: str,
    held: Callable[[str], None],
    over: Callable[[], bool],
) -> Model:
    """A tier's metered model, retried call by call, and waited for while it is away as a whole."""
    patient = retrying.RetryingModel(
        metered,
        tier.retries,
        over=lambda: over() or breaker.is_paused(service_of(name)),
        connecting=False,
        told=held,
    )
    return HeldModel(patient, breaker, name, instance, held, lambda: knock.check(tier, key))
