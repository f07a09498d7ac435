"""Where calls are booked: in the money of one attempt, or against the run itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol, Self

from swe_router.errors import LedgerRefused
from swe_router.ledger.state import HoldState
from swe_router.records import Usage


class CallLedger(Protocol):
    """Where calls are booked: an attempt's ``Hold``, or the run itself (``Overhead``)."""

    @property
    def key(self) -> str:
        """What the calls are for: ``INSTANCE/ATTEMPT``, ``INSTANCE/verify:ATTEMPT``."""
        ...

    def reserve(self, usd: Decimal, *, batched: bool = False) -> str:
        """Reserve the worst case of a call; durable when it returns the reservation's id.

        ``batched``: nothing is sent before ``BatchBook.send`` names it. Raises ``LedgerRefused``
        when the money is not there.
        """
        ...

    def settle(self, reservation: str, usd: Decimal, usage: Usage, note: str = "") -> None:
        """Charge what the answer cost, above the reservation too (an overrun)."""
        ...

    def void(self, reservation: str) -> None:
        """The call was provably not billed: nothing is charged."""
        ...

    def lose(self, reservation: str, why: str = "") -> None:
        """The answer never came: the reservation stays charged until ``Ledger.reconcile``."""
        ...


class LedgerBackend(Protocol):
    """The part of the ledger that bookings go through."""

    def reserve_in(  # noqa: D102
        self, hold: HoldState, usd: Decimal, *, batched: bool = False, tier: str = ""
    ) -> str: ...

    def reserve_overhead(  # noqa: D102
        self, key: str, usd: Decimal, cap: Decimal | None = None, *, batched: bool = False
    ) -> str: ...

    def spent_by(self, key: str) -> Decimal: ...  # noqa: D102

    def submitted_by(self, key: str) -> Decimal: ...  # noqa: D102

    def finish(self, op: str, reservation: str, **fields: Any) -> None: ...  # noqa: D102

    def release(self, hold: HoldState) -> None: ...  # noqa: D102


class _CallBooking:
    """What ``Hold`` and ``Overhead`` share: the fate of a reservation."""

    def __init__(self, ledger: LedgerBackend) -> None:
        self._ledger = ledger

    def settle(self, reservation: str, usd: Decimal, usage: Usage, note: str = "") -> None:
        """See ``CallLedger.settle``. Raises ``JournalError`` for a second settlement."""
        check_amount(usd)
        self._ledger.finish(
            "settle", reservation, usd=str(usd), usage=usage.model_dump(mode="json"), note=note
        )

    def void(self, reservation: str) -> None:
        """See ``CallLedger.void``."""
        self._ledger.finish("void", reservation)

    def lose(self, reservation: str, why: str = "") -> None:
        """See ``CallLedger.lose``."""
        self._ledger.finish("lose", reservation, why=why)


class Hold(_CallBooking):
    """The dollar limit of one attempt; as a context manager it releases what remains at its end."""

    def __init__(self, ledger: LedgerBackend, state: HoldState) -> None:
        super().__init__(ledger)
        self._state = state

    @property
    def id(self) -> str:
        """The hold's id in the ledger."""
        return self._state.id

    @property
    def key(self) -> str:
        """What it was taken for: the attempt."""
        return self._state.key

    @property
    def spent(self) -> Decimal:
        """USD charged to this hold so far, lost calls included."""
        return self._state.spent

    @property
    def remaining(self) -> Decimal:
        """USD that calls may still reserve."""
        return self._state.remaining

    def reserve(self, usd: Decimal, *, batched: bool = False, tier: str = "") -> str:
        """See ``CallLedger.reserve``; never waits: nobody else can free an attempt's own money.

        ``tier``: whose call it is, where that is not the hold's.
        """
        return self._ledger.reserve_in(self._state, usd, batched=batched, tier=tier)

    def release(self) -> None:
        """Give the unspent rest back; an unanswered call is lost. Safe to call twice."""
        self._ledger.release(self._state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Overhead(_CallBooking):
    """Calls outside an attempt: booked under tier ``overhead`` against the run's budget.

    ``limit``: USD that calls under this key may cost, those of earlier processes included; None
    is no limit of its own. ``cap``: USD that its instance may cost in all.
    """

    def __init__(
        self,
        ledger: LedgerBackend,
        key: str,
        limit: Decimal | None = None,
        cap: Decimal | None = None,
    ) -> None:
        super().__init__(ledger)
        self._key, self._limit, self._cap = key, limit, cap

    @property
    def key(self) -> str:
        """Names the owner of its calls."""
        return self._key

    def reserve(self, usd: Decimal, *, batched: bool = False) -> str:
        """See ``CallLedger.reserve``; waits while others hold what could be freed."""
        if self._limit is not None:
            left = self._limit - self._ledger.spent_by(self._key)
            left -= self._ledger.submitted_by(self._key)
            if usd > left:
                raise LedgerRefused(
                    f"a call needs {usd} USD; {left} of {self._limit} is left for {self._key}"
                )
        return self._ledger.reserve_overhead(self._key, usd, self._cap, batched=batched)


def check_amount(usd: Decimal) -> None:
    """Raise ``ValueError`` for an amount that is negative or not finite."""
    if not (usd.is_finite() and usd >= 0):
        raise ValueError(f"{usd} is no amount of money")
