"""The calls of a run that are out in batches: on the books by batch, so that no crash loses one.

A batch is named by a token before it is sent, and by its provider's id from then on. Its calls stay
reserved, whatever becomes of the process that sent them: the next one collects them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from swe_router.errors import JournalError
from swe_router.ledger.log import Entry, LedgerLog
from swe_router.ledger.sent_batch import SentBatch, SubmittedCall
from swe_router.ledger.state import CallState, LedgerState
from swe_router.records import Completion, Usage


class BatchBook:
    """The batches of one ledger; made by ``Ledger.batches``."""

    def __init__(
        self,
        log: LedgerLog,
        state: LedgerState,
        entry: Callable[..., Entry],
        owner: Callable[[], str],
    ) -> None:
        self._log, self._state, self._entry, self._owner = log, state, entry, owner

    def send(self, token: str, tier: str, calls: Mapping[str, Mapping[str, Any]]) -> None:
        """Note that a batch is about to be sent; durable when it returns.

        ``calls``: reservation -> what a later process must know of it (``SubmittedCall.known``).
        Raises ``JournalError`` for a reservation that is not open.
        """
        with self._log.locked():
            for name in calls:
                self._state.call(name, "open")
            rows = {name: dict(known) for name, known in calls.items()}
            self._log.append(
                self._entry("send", token=token, tier=tier, party=self._owner(), calls=rows)
            )

    def submitted(self, token: str, batch_id: str) -> None:
        """Note the id that the provider gave a batch."""
        with self._log.locked():
            self._require_sent(token)
            self._log.append(self._entry("submit", token=token, batch=batch_id))

    def unsend(self, token: str) -> None:
        """The batch was provably not made: its calls are as they were before ``send``."""
        with self._log.locked():
            self._require_sent(token)
            self._log.append(self._entry("unsend", token=token, party=self._owner()))

    def adopt(self) -> tuple[SentBatch, ...]:
        """Take over every batch that is out: the calling thread will collect them."""
        with self._log.locked():
            out = self._state.batches_out()
            if out:
                self._log.append(self._entry("adopt", party=self._owner()))
            return out

    def out(self) -> tuple[SentBatch, ...]:
        """Batches with calls that are not settled yet."""
        with self._log.locked():
            return self._state.batches_out()

    def finish(self, ends: Sequence[CallEnd]) -> None:
        """Settle, void or lose many calls at once; durable when it returns.

        One that is finished already, as by a process that died since, is passed over.
        """
        with self._log.locked():
            calls = self._state.calls
            entries = [
                self._entry(end.op, id=end.reservation, **end.fields)
                for end in ends
                if calls[end.reservation].fate in ("submitted", "lost", "open")
            ]
            if entries:
                self._log.append(*entries)

    def settle_kept(self, reservation: str, answer: Completion) -> None:
        """Settle a call whose answer is on its attempt's disk, if its process died before that."""
        with self._log.locked():
            call = self._state.calls.get(reservation)
            if call is not None and call.fate == "submitted":
                end = CallEnd.settled(reservation, answer.usd, answer.usage)
                self._log.append(self._entry(end.op, id=reservation, **end.fields))
            elif call is not None and call.unused:
                self._log.append(self._entry("use", id=reservation))

    def used(self, reservation: str) -> None:
        """A call that was settled as unused serves somebody after all."""
        with self._log.locked():
            if self._state.calls[reservation].unused:
                self._log.append(self._entry("use", id=reservation))

    def state_of(self, reservation: str) -> CallState:
        """A call as it stands."""
        with self._log.locked():
            return self._state.calls[reservation]

    def _require_sent(self, token: str) -> None:
        if token not in self._state.batches:
            raise JournalError(f"no batch {token} was sent")


class CallEnd:
    """How one call of a batch ended."""

    def __init__(self, op: str, reservation: str, **fields: Any) -> None:
        self.op, self.reservation, self.fields = op, reservation, fields

    @classmethod
    def settled(
        cls, reservation: str, usd: Decimal, usage: Usage, note: str = "", *, unused: bool = False
    ) -> CallEnd:
        """It was answered at this price; ``unused``: nobody waited for it, and no step holds it."""
        row = usage.model_dump(mode="json")
        more = {"unused": True} if unused else {}
        return cls("settle", reservation, usd=str(usd), usage=row, note=note, **more)

    @classmethod
    def void(cls, reservation: str) -> CallEnd:
        """It was provably not billed."""
        return cls("void", reservation)

    @classmethod
    def lost(cls, reservation: str, why: str) -> CallEnd:
        """It may have been billed, and no answer came."""
        return cls("lose", reservation, why=why)


def calls_out(batches: Iterable[SentBatch]) -> list[SubmittedCall]:
    """All calls of these batches."""
    return [call for batch in batches for call in batch.calls]
