"""A tier's share of an attempt's money: no phase of an attempt spends what is another's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from swe_router.errors import LedgerRefused
from swe_router.ledger.holds import Hold
from swe_router.records import Usage


class HoldShare:
    """A part of a hold for the calls of one tier; booked under that tier (``CallLedger``)."""

    def __init__(self, hold: Hold, tier: str, limit: Decimal, taken: Callable[[], Decimal]) -> None:
        """``limit``: USD of the attempt for this tier.

        ``taken``: USD that its calls cost or reserve so far, those of earlier processes included.
        """
        self._hold, self._tier, self._limit, self._taken = hold, tier, limit, taken

    @property
    def key(self) -> str:
        """What the hold was taken for: the attempt."""
        return self._hold.key

    def reserve(self, usd: Decimal, *, batched: bool = False) -> str:
        """See ``CallLedger.reserve``."""
        left = self._limit - self._taken()
        if usd > left:
            raise LedgerRefused(
                f"a call needs {usd} USD; of the {self._limit} that tier {self._tier} may cost in"
                f" its attempt {left} is left"
            )
        return self._hold.reserve(usd, batched=batched, tier=self._tier)

    def settle(self, reservation: str, usd: Decimal, usage: Usage, note: str = "") -> None:
        """See ``CallLedger.settle``."""
        self._hold.settle(reservation, usd, usage, note)

    def void(self, reservation: str) -> None:
        """See ``CallLedger.void``."""
        self._hold.void(reservation)

    def lose(self, reservation: str, why: str = "") -> None:
        """See ``CallLedger.lose``."""
        self._hold.lose(reservation, why)
