"""For how long Anthropic's cache is asked to keep a prompt: five minutes, or an hour at a price.

What is kept for an hour is written at twice the price of input, for five minutes at 1.25 times,
and read at a tenth of it. Each read starts the time anew. An hour is worth its price where the
next call is likely to come late enough that the whole prompt would have to be written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from swe_router.prices import PriceRate
from swe_router.records import Message
from swe_router.settings import Tier

Ttl = Literal["5m", "1h"]
SECONDS = {"5m": 300.0, "1h": 3600.0}
WRITE = {"5m": 1.25, "1h": 2.0}
"""Price of a written token over that of an input token, as Anthropic's price page has it."""
READ = 0.1
PRIOR_CALLS, PRIOR_LATE = 10.0, 0.05
"""What is expected before anything was seen, as if of so many calls so many had come late. Of
2,990 calls in 65 recorded runs of mini-swe-agent none came over five minutes after the last."""
BATCH_TTL: Ttl = "1h"
"""In batches: the answers of most come within an hour, and of few within five minutes."""


def may_take_an_hour(tier: Tier) -> bool:
    """Whether prompts of a tier may be kept for an hour: its price must be known and reserved."""
    return tier.dialect == "anthropic" and tier.options.get("cache_ttl") != "5m"


def priced_tier(tier: Tier, rate: PriceRate) -> Tier:
    """The tier, kept to five minutes where its rate has no price of an hour.

    So have runs that were sealed before there was a choice, and tiers with a price of their own.
    """
    unpriced = all(band.cache_write_1h is None for band in rate.bands)
    if not unpriced or not may_take_an_hour(tier) or "cache_ttl" in tier.options:
        return tier
    return tier.model_copy(update={"options": {**tier.options, "cache_ttl": "5m"}})


def chooses_by_gaps(tier: Tier) -> bool:
    """Whether the live calls of a tier take an hour where ``saw_late_call`` holds, never else."""
    return tier.dialect == "anthropic" and "cache_ttl" not in tier.options


def saw_late_call(gaps: Sequence[float]) -> bool:
    """Whether some call of the conversation came after five minutes and within an hour."""
    return any(SECONDS["5m"] < gap <= SECONDS["1h"] for gap in gaps)


def late_share(gaps: Sequence[float]) -> float:
    """The chance that the next call comes after five minutes and within an hour.

    ``gaps`` are the seconds from each call of the conversation so far to the next one.
    """
    late = sum(SECONDS["5m"] < gap <= SECONDS["1h"] for gap in gaps)
    return (late + PRIOR_LATE) / (len(gaps) + PRIOR_CALLS)


def chosen_ttl(messages: Sequence[Message], gaps: Sequence[float]) -> Ttl:
    """The lifetime that costs less by what is expected of the next call; 5m where none was late."""
    if not saw_late_call(gaps):
        return "5m"
    sizes = [len(message.content) for message in messages]
    answers = [at for at, message in enumerate(messages) if message.role == "assistant"]
    new = sum(sizes[answers[-1] :]) if answers else sum(sizes)
    loses = late_share(gaps) * sum(sizes) * (WRITE["5m"] - READ)
    return "1h" if loses > new * (WRITE["1h"] - WRITE["5m"]) else "5m"
