"""What other tiers than its arm's had in an attempt: calls, tokens and USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from swe_router.records.conversation import Step, Usage
from swe_router.records.frozen import FrozenRecord, Usd


class TierShare(FrozenRecord):
    """The calls of one tier in an attempt."""

    calls: int = 0
    usage: Usage = Usage()
    usd: Usd = Decimal(0)


def tier_shares(steps: Sequence[Step]) -> Mapping[str, TierShare]:
    """Tier -> its share, of those that are not the attempt's own (``Completion.tier``)."""
    shares: dict[str, TierShare] = {}
    for step in steps:
        answer = step.completion
        if answer.tier:
            was = shares.get(answer.tier, TierShare())
            shares[answer.tier] = TierShare(
                calls=was.calls + 1, usage=was.usage + answer.usage, usd=was.usd + answer.usd
            )
    return shares
