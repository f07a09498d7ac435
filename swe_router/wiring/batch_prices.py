"""What calls in batches cost: as the price list says, half where the price is the user's own."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal

from swe_router import prices
from swe_router.errors import UsageError
from swe_router.journal.header import Header
from swe_router.models import cache_lifetime
from swe_router.prices import PriceBand, PriceRate
from swe_router.settings import Settings

BATCH_SHARE = Decimal("0.5")
"""Of the live price of every kind of token, as Anthropic and OpenAI charge in batches."""


def batch_rates(settings: Settings, rates: Mapping[str, PriceRate]) -> dict[str, PriceRate]:
    """Tier -> the rate of its calls in batches; without tiers that have no such price.

    ``rates`` are the live ones; their days hold.
    """
    found = {}
    for name, rate in rates.items():
        if settings.tiers[name].price != "table":
            found[name] = half_of(rate)
        elif (listed := _listed_rate(settings, name, rate.date)) is not None:
            found[name] = listed
    return found


def _listed_rate(settings: Settings, name: str, on: datetime.date) -> PriceRate | None:
    tier = settings.tiers[name]
    try:
        return prices.rate_for(
            tier.model,
            dialect=tier.dialect,
            base_url=tier.base_url,
            on=on,
            service="batch",
            hour=cache_lifetime.may_take_an_hour(tier),
            tier=name,
        )
    except UsageError:
        return None


def half_of(rate: PriceRate) -> PriceRate:
    """A rate at half of each price."""
    bands = tuple(_half_band(band) for band in rate.bands)
    source = f"{rate.source}, half in batches"
    return rate.model_copy(update={"bands": bands, "source": source, "service": "batch"})


def _half_band(band: PriceBand) -> PriceBand:
    halved = {
        name: value * BATCH_SHARE for name, value in band if name != "above" and value is not None
    }
    return band.model_copy(update=halved)


def batch_rates_of(header: Header) -> Mapping[str, PriceRate]:
    """Those of a run: as sealed with it, else half of the live rates that were.

    A run that began without batches may be resumed with them; no later price list changes it.
    """
    return header.batch_rates or {name: half_of(rate) for name, rate in header.rates.items()}
