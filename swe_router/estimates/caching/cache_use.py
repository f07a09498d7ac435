"""What the provider's cache saved of a run's money, and what each break of a prefix cost.

A break is a request whose prefix the request before it had made readable, and which paid for it
again: the conversation was elided, the cache had expired, or the provider did not find it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from pydantic import ValidationError

from swe_router.prices import PriceRate
from swe_router.records import Step, Usage

BreakCause = Literal["elided", "late", "not read"]
"""``late``: the next call came after the cache's life of five minutes."""
MIN_MISSED_TOKENS = 512
MIN_MISSED_SHARE = 0.1
"""Less of a prefix than this is no break: providers keep whole blocks, and nothing too short."""
CACHE_SECONDS = 300.0
"""How long a cache lives at least, unread, at the providers that say so."""
ELIDED = "elided "
"""Begins the part of a step's note that tells of an elision."""
_ZERO = Decimal(0)


@dataclass(frozen=True)
class CacheBreak:
    """A request that paid again for what it could have read."""

    tokens: int
    usd: Decimal
    cause: BreakCause


@dataclass(frozen=True)
class CacheUse:
    """Sums over calls.

    ``saved_usd`` is against no cache at the same rates: below 0 where writes cost more than reads
    saved, None where no rate is known, as of the calls of verifiers.
    """

    prompt_tokens: int = 0
    read_tokens: int = 0
    saved_usd: Decimal | None = None
    breaks: int = 0
    break_tokens: int = 0
    break_usd: Decimal = _ZERO

    @property
    def share(self) -> float | None:
        """Share of the prompt tokens that were read from a cache; None without any."""
        return self.read_tokens / self.prompt_tokens if self.prompt_tokens else None

    def __add__(self, other: CacheUse) -> CacheUse:
        known = [one.saved_usd for one in (self, other) if one.saved_usd is not None]
        return CacheUse(
            self.prompt_tokens + other.prompt_tokens,
            self.read_tokens + other.read_tokens,
            sum(known, _ZERO) if known else None,
            self.breaks + other.breaks,
            self.break_tokens + other.break_tokens,
            self.break_usd + other.break_usd,
        )


def saved_usd(usage: Usage, rate: PriceRate) -> Decimal:
    """USD of one call without any cache, less what it cost; negative where it only wrote."""
    bare = usage.model_copy(
        update={"input_tokens": usage.prompt_tokens, **dict.fromkeys(_cache_kinds(), 0)}
    )
    return rate.usd(bare) - rate.usd(usage)


def break_usd(usage: Usage, missed: int, rate: PriceRate) -> Decimal:
    """USD that one call cost more than with ``missed`` tokens read from the cache."""
    left = missed
    read = {"cache_read_tokens": usage.cache_read_tokens + missed}
    for kind in ("cache_write_tokens", "input_tokens"):
        moved = min(left, getattr(usage, kind))
        read[kind] = getattr(usage, kind) - moved
        left -= moved
    read["cache_write_1h_tokens"] = min(usage.cache_write_1h_tokens, read["cache_write_tokens"])
    return max(_ZERO, rate.usd(usage) - rate.usd(usage.model_copy(update=read)))


def _cache_kinds() -> list[str]:
    """Fields of a usage that hold cached input."""
    return [name for name in Usage.model_fields if name.startswith("cache_")]


@dataclass
class _Talk:
    """A conversation as its calls show it."""

    prompt_tokens: int = 0
    """Of its last call."""
    reads: bool = False
    """Its server reported at some time that it read from a cache."""


@dataclass
class CacheTally:
    """Calls added up as they come; ``rates`` by tier."""

    rates: Mapping[str, PriceRate]
    by_tier: dict[str, CacheUse] = field(default_factory=dict)
    by_conversation: dict[str, CacheUse] = field(default_factory=dict)
    _talks: dict[tuple[str, str], _Talk] = field(default_factory=dict)

    @property
    def whole(self) -> CacheUse:
        """Over all tiers."""
        return sum(self.by_tier.values(), CacheUse())

    def add(
        self, tier: str, conversation: str, usage: Usage, cause: BreakCause = "not read"
    ) -> CacheBreak | None:
        """Take one call in, in the order of its conversation; the break that it was, if any.

        ``cause`` is what a break of this call comes from, where the caller knows.
        """
        rate = self.rates.get(tier)
        use = CacheUse(usage.prompt_tokens, usage.cache_read_tokens)
        if rate is not None:
            use = replace(use, saved_usd=saved_usd(usage, rate))
        talk = self._talks.setdefault((tier, conversation), _Talk())
        missed = self._missed(talk, usage, rate)
        talk.prompt_tokens = usage.prompt_tokens or talk.prompt_tokens
        talk.reads = talk.reads or usage.cache_read_tokens > 0
        found = None
        if missed:
            usd = _ZERO if rate is None else break_usd(usage, missed, rate)
            found = CacheBreak(missed, usd, cause)
            use = replace(use, breaks=1, break_tokens=missed, break_usd=usd)
        self.by_tier[tier] = self.by_tier.get(tier, CacheUse()) + use
        self.by_conversation[conversation] = (
            self.by_conversation.get(conversation, CacheUse()) + use
        )
        return found

    def _missed(self, talk: _Talk, usage: Usage, rate: PriceRate | None) -> int:
        """Tokens of the prefix that were paid for again; 0 where no cache is to be expected."""
        band = None if rate is None else rate.band_of(usage.prompt_tokens)
        cheaper = band is not None and band.cache_read < band.input
        if not (cheaper or talk.reads or usage.cache_read_tokens):
            return 0
        before = min(talk.prompt_tokens, usage.prompt_tokens)
        missed = before - usage.cache_read_tokens
        least = max(MIN_MISSED_TOKENS, MIN_MISSED_SHARE * talk.prompt_tokens)
        return missed if missed > least else 0


def add_settled(tally: CacheTally, tier: str, conversation: str, usage: object) -> None:
    """Take in a call as the ledger has it; one without a usage that can be read is passed over."""
    with contextlib.suppress(ValidationError):
        tally.add(tier, conversation, Usage.model_validate(usage))


def tally_of_steps(
    steps: Sequence[Step], tier: str, rates: Mapping[str, PriceRate]
) -> tuple[CacheTally, list[CacheBreak | None]]:
    """The tally of one attempt, and the break of each step."""
    tally, found = CacheTally(rates), []
    for step, cause in zip(steps, _causes(steps), strict=True):
        found.append(tally.add(step.completion.tier or tier, "", step.completion.usage, cause))
    return tally, found


def _causes(steps: Sequence[Step]) -> Iterable[BreakCause]:
    """What a break of each step comes from, by its note and by the time since the call before."""
    gap = 0.0
    for step in steps:
        elided = any(part.startswith(ELIDED) for part in step.note.split("; "))
        yield "elided" if elided else "late" if gap > CACHE_SECONDS else "not read"
        gap = step.completion.usage.seconds + sum(action.seconds for action in step.actions)
