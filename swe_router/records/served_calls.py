"""What the gateways of an attempt's calls reported, summed over the calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import Field

from swe_router.records.conversation import Completion, ReturnedCost
from swe_router.records.frozen import FrozenRecord


class ServedCalls(FrozenRecord):
    """Who answered the calls of an attempt, and what that cost by their own word."""

    by: Mapping[str, int] = Field(default_factory=dict)
    """Of gateways: the model and who served it -> calls."""
    returned: ReturnedCost | None = None
    """Sums over the calls whose cost a gateway gave."""
    usage_unknown: int = 0
    """Calls whose tokens nobody counted."""

    @classmethod
    def of(cls, answers: Sequence[Completion]) -> ServedCalls | None:
        """Of these answers; None where there is nothing to say."""
        names = [f"{one.model} by {one.served_by}" for one in answers if one.served_by]
        given = [one.returned for one in answers if one.returned is not None]
        cost = ReturnedCost(
            usd=sum((one.usd for one in given), Decimal(0)),
            listed=sum((one.listed for one in given), Decimal(0)),
        )
        unknown = sum(one.usage_unknown for one in answers)
        if not (names or given or unknown):
            return None
        by = {name: names.count(name) for name in dict.fromkeys(names)}
        return cls(by=by, returned=cost if given else None, usage_unknown=unknown)
