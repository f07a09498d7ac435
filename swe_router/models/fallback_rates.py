"""One rate for a tier whose gateway may let another model answer: the dearest of them all."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.prices import PriceBand, PriceRate


def dearest_rate(rates: Sequence[PriceRate]) -> PriceRate:
    """A rate that no call of any of ``rates`` costs more than, at every length of its prompt.

    The source names that of each.
    """
    if len(rates) == 1:
        return rates[0]
    starts = sorted({band.above for rate in rates for band in rate.bands})
    return PriceRate(
        bands=tuple(_dearest_band(rates, start) for start in starts),
        per_second=max(rate.per_second for rate in rates),
        source="dearest of " + "; ".join(dict.fromkeys(rate.source for rate in rates)),
        date=rates[0].date,
        service=rates[0].service,
    )


def _dearest_band(rates: Sequence[PriceRate], start: int) -> PriceBand:
    # A band holds for prompts longer than its start.
    bands = [rate.band_of(start + 1) for rate in rates]
    return PriceBand(
        above=start,
        input=max(band.input for band in bands),
        output=max(band.output for band in bands),
        cache_read=max(band.cache_read for band in bands),
        cache_write=max(band.cache_write for band in bands),
        cache_write_1h=max(band.price_of_1h_write for band in bands),
    )
