"""What a call costs: a rate with its source and date, exact usage to USD, and its upper bound."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterable, Mapping
from decimal import ROUND_UP, Decimal, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from swe_router import assets
from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module
from swe_router.records import FrozenRecord, ReturnedCost, Usage, Usd

if TYPE_CHECKING:
    import genai_prices
    from genai_prices import data_snapshot, types
else:
    genai_prices = deferred_module("genai_prices")
    data_snapshot = deferred_module("genai_prices.data_snapshot")
    types = deferred_module("genai_prices.types")

MILLION = Decimal(1_000_000)
USD_QUANTUM = Decimal("0.000000001")
Service = Literal["standard", "batch"]
"""How a provider is asked to serve a call: at once, or within a day at a lower price."""

_PROVIDER_OF_DIALECT = {"anthropic": "anthropic", "openai": "openai"}
_EXTRA_CHARGES = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Prices that our usage could not be multiplied with: such a model counts as unpriced."""
_WRITE, _WRITE_1H = "cache_write_mtok", "cache_write_1h_mtok"
_IN_BATCHES = {"processing": "batch"}
"""How genai-prices names the service whose answers come within a day."""
_TIMES_OF_DAY = tuple(datetime.time(hour, minute) for hour in range(24) for minute in (0, 30))


class PriceBand(FrozenRecord):
    """USD per million tokens for calls whose prompt is longer than ``above`` tokens.

    The band of a call prices all its tokens, those below the threshold included.
    """

    above: int = Field(default=0, ge=0)
    input: Usd
    output: Usd
    cache_read: Usd
    cache_write: Usd
    cache_write_1h: Usd | None = Field(default=None, exclude_if=lambda price: price is None)
    """Of what is kept for an hour; None: as ``cache_write``. Runs from before had one price."""

    @property
    def price_of_1h_write(self) -> Decimal:
        """USD per million tokens that are written into the cache for an hour."""
        return self.cache_write if self.cache_write_1h is None else self.cache_write_1h

    @property
    def max_input_price(self) -> Decimal:
        """The highest price that an input token can have in this band."""
        return self.max_price(hour=True)

    def max_price(self, *, hour: bool) -> Decimal:
        """The highest price of an input token; without ``hour`` nothing is kept for an hour."""
        usual = max(self.input, self.cache_read, self.cache_write)
        return max(usual, self.price_of_1h_write) if hour else usual


class PriceRate(FrozenRecord):
    """The price of a tier, whole: from this and a recorded usage a replay recomputes every USD.

    ``bands[0]`` holds from the first token on; later ones take over above their threshold.
    """

    bands: tuple[PriceBand, ...] = Field(min_length=1)
    per_second: Usd = Decimal(0)
    """USD per wall second of a call, for a rented GPU."""
    source: str
    date: datetime.date
    """Day whose prices these are."""
    service: Service = Field(default="standard", exclude_if=lambda name: name == "standard")

    @model_validator(mode="after")
    def _check_band_order(self) -> PriceRate:
        starts = [band.above for band in self.bands]
        if starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("bands must start at 0 and rise")
        return self

    @property
    def by_the_token(self) -> bool:
        """Some token has a price."""
        return any(band.max_input_price or band.output for band in self.bands)

    def band_of(self, prompt_tokens: int) -> PriceBand:
        """The band that prices a call with so long a prompt."""
        return [self.bands[0], *(b for b in self.bands[1:] if prompt_tokens > b.above)][-1]

    def usd(self, usage: Usage) -> Decimal:
        """USD of one call (never of a sum of calls: bands go by the call), rounded up to 1e-9."""
        band = self.band_of(usage.prompt_tokens)
        with localcontext(prec=60):
            tokens = (
                usage.input_tokens * band.input
                + usage.cache_read_tokens * band.cache_read
                + usage.cache_write_5m_tokens * band.cache_write
                + usage.cache_write_1h_tokens * band.price_of_1h_write
                + usage.output_tokens * band.output
            )
            exact = tokens / MILLION + Decimal(str(usage.seconds)) * self.per_second
            return exact.quantize(USD_QUANTUM, rounding=ROUND_UP)

    def max_usd(
        self, input_tokens: int, output_tokens: int, seconds: float, *, hour: bool = True
    ) -> Decimal:
        """Upper bound in USD of any call that stays within these tokens and seconds.

        Holds for every split of the input among uncached, cache read and cache write, and for
        every band that a prompt of at most ``input_tokens`` can fall in. Without ``hour`` the call
        asks for nothing to be kept for an hour.
        """
        reachable = [b for b in self.bands if b.above == 0 or input_tokens > b.above]
        with localcontext(prec=60):
            tokens = max(
                input_tokens * band.max_price(hour=hour) + output_tokens * band.output
                for band in reachable
            )
            exact = tokens / MILLION + Decimal(str(seconds)) * self.per_second
            return exact.quantize(USD_QUANTUM, rounding=ROUND_UP)

    def max_usage(
        self, input_tokens: int, output_tokens: int, seconds: float, *, hour: bool = True
    ) -> Usage:
        """The dearest usage within these limits: what is charged when the provider gives none."""
        band = self.band_of(input_tokens)
        kinds = {
            "input_tokens": band.input,
            "cache_read_tokens": band.cache_read,
            "cache_write_tokens": band.cache_write,
            **({"cache_write_1h_tokens": band.price_of_1h_write} if hour else {}),
        }
        dearest = max(kinds, key=lambda kind: kinds[kind])
        counts = {dearest: input_tokens}
        if dearest == "cache_write_1h_tokens":
            counts["cache_write_tokens"] = input_tokens
        return Usage(**counts, output_tokens=output_tokens, seconds=seconds)


def charged_usd(rate: PriceRate, usage: Usage, returned: ReturnedCost | None) -> Decimal:
    """USD that a call is charged: what a gateway says that it cost, else by the rate.

    A gateway that says 0 of a model with a price does not know that price. Where the price is
    yours to say (a GPU by the hour, free) no gateway's guess replaces it.
    """
    listed = rate.usd(usage)
    if returned is None or not rate.by_the_token or (not returned.usd and listed):
        return listed
    return returned.usd if returned.cap is None else min(returned.usd, returned.cap)


def flat_rate(
    price_input: Decimal,
    price_output: Decimal,
    *,
    cache_read: Decimal | None = None,
    cache_write: Decimal | None = None,
    source: str,
    on: datetime.date,
) -> PriceRate:
    """A rate of one band, USD per million tokens; unset cache prices are as ``price_input``."""
    band = PriceBand(
        input=price_input,
        output=price_output,
        cache_read=price_input if cache_read is None else cache_read,
        cache_write=price_input if cache_write is None else cache_write,
    )
    return PriceRate(bands=(band,), source=source, date=on)


def free_rate(on: datetime.date) -> PriceRate:
    """The rate of a tier of which the user says that it costs nothing."""
    return flat_rate(Decimal(0), Decimal(0), source="free (tiers.NAME.price)", on=on)


def gpu_hour_rate(
    usd_per_hour: Decimal, concurrency: int, on: datetime.date, what: str = "GPU-hour"
) -> PriceRate:
    """The rate of a GPU that ``concurrency`` calls share: wall seconds of the call.

    ``what``: whose hour it is, for people.
    """
    nothing = PriceBand(
        input=Decimal(0), output=Decimal(0), cache_read=Decimal(0), cache_write=Decimal(0)
    )
    shown = usd_per_hour.quantize(Decimal("0.0001")) if what != "GPU-hour" else usd_per_hour
    source = f"{shown} USD per {what}, shared by {concurrency}"
    with localcontext(prec=60):
        per_second = (usd_per_hour / (3600 * concurrency)).quantize(
            USD_QUANTUM * USD_QUANTUM, rounding=ROUND_UP
        )
    return PriceRate(bands=(nothing,), per_second=per_second, source=source, date=on)


def rate_for(
    model: str,
    *,
    dialect: str = "",
    base_url: str = "",
    on: datetime.date,
    service: Service = "standard",
    hour: bool = False,
    table: Path | None = None,
    tier: str = "NAME",
) -> PriceRate:
    """The list price of a model on a day: eval/prices.toml first, else genai-prices.

    Where a provider's price varies over the day the dearest hour is taken, so that a budget
    holds whenever the call is made. ``hour``: calls may ask that their prompt is kept for an hour,
    so the price of that is in the bound of a call. ``tier`` is only named in the message. Raises
    ``UsageError`` for a model that has no price, or none for its calls in batches.
    """
    if service == "batch":
        return _batch_rate(model, dialect, base_url, on, hour, tier)
    own = _rate_from_table(
        table or assets.assets_root() / "eval" / "prices.toml", model, dialect, on
    )
    if own is not None:
        return own
    found = _listed_model(model, dialect, base_url)
    prices = [] if found is None else list(_prices_of_day(found, on, {}))
    known = [price for price in prices if _is_fully_priced(price)]
    if not known:
        raise UsageError(
            f"tier {tier!r}: no price is known for model {model!r} on {on}: give one with"
            f" tiers.{tier}.price = {{ input = …, output = … }} (USD per million tokens),"
            f' or say tiers.{tier}.price = "free"'
        )
    return PriceRate(
        bands=_price_bands(known, hour),
        source=f"genai-prices {genai_prices.__version__}",
        date=on,
    )


def _batch_rate(
    model: str, dialect: str, base_url: str, on: datetime.date, hour: bool, tier: str
) -> PriceRate:
    """The listed price of a model's calls in batches, which a list must name as such."""
    found = _listed_model(model, dialect, base_url)
    named = found is not None and any(v.when == _IN_BATCHES for v in found.price_variants or ())
    prices = list(_prices_of_day(found, on, _IN_BATCHES)) if found is not None and named else []
    known = [price for price in prices if _is_fully_priced(price)]
    if not known:
        raise UsageError(
            f"tier {tier!r}: no price in batches is known for model {model!r} on {on}:"
            " run without --batch"
        )
    return PriceRate(
        bands=_price_bands(known, hour),
        source=f"genai-prices {genai_prices.__version__}, in batches",
        date=on,
        service="batch",
    )


def _listed_model(model: str, dialect: str, base_url: str) -> types.ModelInfo | None:
    """The model in genai-prices; a vLLM server of one's own is nobody's list price."""
    if dialect == "vllm":
        return None
    provider = _PROVIDER_OF_DIALECT.get(dialect) if not base_url else None
    snapshot = data_snapshot.get_snapshot()
    for url in dict.fromkeys((base_url or None, None)):
        try:
            return snapshot.find_provider_model(model, None, provider, url)[1]
        except LookupError:
            continue
    return None


def listed_window(model: str, dialect: str, base_url: str) -> int | None:
    """Tokens of a model's context window as genai-prices has it; None when it does not say.

    Of a vLLM server of one's own nothing is known: it says at its start how much it holds.
    """
    known = _listed_model(model, dialect, base_url)
    return None if known is None else known.context_window


def _is_fully_priced(price: types.ModelPrice) -> bool:
    """Input and output are all that is billed, and they are not given away by a list."""
    prices = (price.input_mtok, price.output_mtok)
    extra = (getattr(price, name, None) for name in _EXTRA_CHARGES)
    return None not in prices and any(prices) and not any(extra)


def _prices_of_day(
    model: types.ModelInfo, on: datetime.date, context: Mapping[str, str]
) -> Iterable[types.ModelPrice]:
    for slot in _TIMES_OF_DAY:
        yield model.get_prices(datetime.datetime.combine(on, slot, datetime.UTC), dict(context))


def _price_bands(prices: list[types.ModelPrice], hour: bool) -> tuple[PriceBand, ...]:
    fields = ("input_mtok", "output_mtok", "cache_read_mtok", _WRITE, _WRITE_1H)
    starts = {0}
    for price in prices:
        for value in (getattr(price, name, None) for name in fields):
            if isinstance(value, types.TieredPrices):
                starts |= {step.start for step in value.tiers}
    return tuple(_price_band(prices, hour, start) for start in sorted(starts))


def _price_band(prices: list[types.ModelPrice], hour: bool, start: int) -> PriceBand:
    def dearest(name: str) -> Decimal:
        # A kind of input without a price of its own costs what uncached input costs.
        given = (getattr(price, name, None) for price in prices)
        return max(
            _price_above(price.input_mtok if value is None else value, start)
            for value, price in zip(given, prices, strict=True)
        )

    has_1h = hour and any(getattr(price, _WRITE_1H, None) is not None for price in prices)
    return PriceBand(
        above=start,
        input=dearest("input_mtok"),
        output=dearest("output_mtok"),
        cache_read=dearest("cache_read_mtok"),
        cache_write=dearest(_WRITE),
        cache_write_1h=dearest(_WRITE_1H) if has_1h else None,
    )


def _price_above(value: Any, start: int) -> Decimal:
    """A price for prompts just above ``start`` tokens."""
    if not isinstance(value, types.TieredPrices):
        return Decimal(value)
    reached = [step.price for step in value.tiers if step.start <= start and start > 0]
    return reached[-1] if reached else value.base


class _PriceRow(FrozenRecord):
    """One row of eval/prices.toml."""

    model: str
    dialect: str = ""
    since: datetime.date
    source: str
    input: Usd
    output: Usd
    cache_read: Usd | None = None
    cache_write: Usd | None = None


def _rate_from_table(path: Path, model: str, dialect: str, on: datetime.date) -> PriceRate | None:
    rows = [
        row
        for row in _table_rows(path)
        if row.model == model and row.since <= on and row.dialect in ("", dialect)
    ]
    if not rows:
        return None
    row = max(rows, key=lambda row: row.since)
    return flat_rate(
        row.input,
        row.output,
        cache_read=row.cache_read,
        cache_write=row.cache_write,
        source=f"{path.name}: {row.source}, since {row.since}",
        on=on,
    )


def _table_rows(path: Path) -> list[_PriceRow]:
    try:
        tree: Mapping[str, Any] = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
        return [_PriceRow.model_validate(row) for row in tree.get("price", [])]
    except OSError as error:
        raise UsageError(f"cannot read the price table {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise UsageError(f"{path} is not a price table: {error}") from None
