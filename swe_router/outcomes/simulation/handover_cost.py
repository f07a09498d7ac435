"""What a handed-over start costs in a replay: what the later run must read in addition to its own.

A recorded run began fresh. Begun with notes or going on from an earlier conversation, each of its
calls would have read that prefix too: the first at the price of input, the others at that of a
cache read, or of input where the run's own tokens show no cache. Its quality is the fresh run's.
"""

from __future__ import annotations

import contextlib
import datetime
from decimal import Decimal
from functools import lru_cache

from swe_router import assets
from swe_router.errors import UsageError
from swe_router.outcomes.tables.table import OutcomeRow
from swe_router.prices import PriceRate, rate_for
from swe_router.records import NOTES_BYTES, Handover, Usage

BYTES_PER_TOKEN = 3
"""A low estimate, so that tokens come out high."""
SURROGATE = "a fresh run's quality, with the price of the prefix added"


class Unpriced(UsageError):
    """The table does not hold what the price of a prefix needs; nothing is guessed."""


def reread(earlier: OutcomeRow, later: OutcomeRow, mode: Handover) -> Decimal:
    """Extra USD that ``later`` pays for what ``earlier`` hands over to it.

    Raises ``Unpriced`` that says which tokens, steps or price are unknown.
    """
    if mode == "fresh":
        return Decimal(0)
    prefix = -(-NOTES_BYTES // BYTES_PER_TOKEN) if mode == "notes" else last_prompt(earlier)
    if later.steps is None:
        raise Unpriced(f"tokens/price: the calls of {_named(later)} are not known")
    rate = rate_of_row(later)
    first = rate.usd(Usage(input_tokens=prefix))
    cached = rate.usd(Usage(cache_read_tokens=prefix))
    again = first if later.cache_read_tokens == 0 else cached
    return first + again * max(0, later.steps - 1)


def last_prompt(row: OutcomeRow) -> int:
    """Tokens of the last prompt of a run, from the sums that a table holds: twice the mean.

    So it is where a conversation grows evenly from nothing. In 65 recorded runs of mini-SWE-agent
    the last prompt was .85 of it (quartiles .80 and .94), so the estimate is rather too high.
    Raises ``Unpriced``.
    """
    kinds = (row.input_tokens, row.cache_read_tokens, row.cache_write_tokens)
    if row.input_tokens is None or not row.steps:
        raise Unpriced(f"tokens/price: the prompt tokens of {_named(row)} are not known")
    total = sum(kind for kind in kinds if kind is not None)
    return min(total, -(-2 * total // row.steps))


def rate_of_row(row: OutcomeRow) -> PriceRate:
    """List price of a row's model on the day of its prices. Raises ``Unpriced``."""
    if not row.model or not row.price_date:
        missing = "day of the prices" if row.model else "model"
        raise Unpriced(f"tokens/price: the {missing} of {_named(row)} is not known")
    found = _known(row.model, row.price_date)
    if found is None:
        raise Unpriced(f"tokens/price: no price of {row.model} on {row.price_date} is known")
    return found


@lru_cache(maxsize=256)
def _known(model: str, day: str) -> PriceRate | None:
    # Models of the shipped table that no provider lists: priced there with source and date.
    shipped_prices = assets.find_asset("eval/outcomes", "prices", ".toml")
    for table in (None, shipped_prices):
        with contextlib.suppress(UsageError, ValueError):
            return rate_for(model, on=datetime.date.fromisoformat(day), table=table)
    return None


def _named(row: OutcomeRow) -> str:
    return f"{row.system} on {row.instance_id}"
