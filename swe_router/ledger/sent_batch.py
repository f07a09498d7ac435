"""A batch of calls as the ledger knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class SubmittedCall:
    """A call that is out in a batch."""

    reservation: str
    key: str
    usd: Decimal
    """Reserved for it."""
    known: Mapping[str, Any]
    """What its sender noted of it: ``request``, the digest, and what its answer is read with."""


@dataclass(frozen=True)
class SentBatch:
    """A batch that was sent, with those of its calls that are not settled yet."""

    token: str
    """Names it before it has an id."""
    tier: str
    at: float
    """Unix seconds at which it was about to be sent."""
    batch_id: str
    """The provider's; empty while nobody knows whether it was made."""
    calls: tuple[SubmittedCall, ...]

    @property
    def usd(self) -> Decimal:
        """USD that are reserved for its calls."""
        return sum((call.usd for call in self.calls), Decimal(0))


@dataclass
class BatchEntry:
    """A batch as the entries tell of it."""

    token: str
    tier: str
    at: float
    calls: Mapping[str, Mapping[str, Any]]
    """Reservation -> what its sender noted of it."""
    batch_id: str = ""
