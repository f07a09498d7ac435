"""Which calls wait for a batch and which are out: every change under one lock, and on the books."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from swe_router.errors import BoundaryError, NotProcessed, StillAway
from swe_router.ledger import BatchBook
from swe_router.model_abilities import BatchAnswer, BatchItem
from swe_router.models.answer_prices import AnswerPricer
from swe_router.models.batches.lane_calls import (
    BatchUnderWay,
    LaneCall,
    LaneEnd,
    custom_id,
    priced_end,
    settlement,
)
from swe_router.prices import PriceRate
from swe_router.records import Completion


class AnswersOnFile(Protocol):
    """Answers that nobody waited for, durable: an attempt that asks again gets them."""

    def add(self, rows: Sequence[tuple[str, str, str, Completion]]) -> None:
        """Keep answers as (key, request, reservation, answer); durable when it returns."""
        ...

    def take(self, key: str, request: str) -> tuple[str, Completion] | None:
        """Reservation and answer for this request, once."""
        ...


class LaneState:
    """The calls of one lane. ``changed`` is its lock, and wakes all that wait for a change."""

    def __init__(
        self,
        book: BatchBook,
        answers: AnswersOnFile,
        rates: Mapping[str, PriceRate],
        clock: Callable[[], float],
    ) -> None:
        self._book, self._answers, self.clock = book, answers, clock
        self._pricers = {tier: AnswerPricer(rate) for tier, rate in rates.items()}
        self.changed = threading.Condition()
        self.pending: list[LaneCall] = []
        self.out: dict[str, BatchUnderWay] = {}
        self.closed_by = ""
        """Why nothing is taken any more; empty while the lane is open."""

    def wake(self) -> None:
        """Something changed."""
        with self.changed:
            self.changed.notify_all()

    def put(self, call: LaneCall) -> None:
        """A call that waits for a batch. Raises ``StillAway`` once the lane is closed."""
        with self.changed:
            if self.closed_by:
                self._book.finish([settlement(call, not_sent())])
                raise StillAway(self.closed_by)
            self.pending.append(call)
            self.changed.notify_all()

    def claim(self, key: str, request: str) -> LaneCall | tuple[str, Completion] | None:
        """A call that an earlier process sent, or its reservation and paid answer; None for none.

        The caller settles the call once it has ended.
        """
        with self.changed:
            for batch in self.out.values():
                for call in batch.calls.values():
                    left = call.make_item is None and not call.waited_for
                    if left and (call.key, call.request) == (key, request):
                        call.waited_for = True
                        return call
            return self._answers.take(key, request)

    def withdraw(self, call: LaneCall) -> bool:
        """Take back a call that was not sent; False where it was."""
        with self.changed:
            if call not in self.pending:
                return False
            self.pending.remove(call)
            self._book.finish([settlement(call, not_sent())])
            return True

    def leave(self, call: LaneCall) -> LaneEnd | None:
        """Wait no longer for a call that is out; its end, if it came by now."""
        with self.changed:
            if not call.ended.is_set():
                call.waited_for = False
            return call.result

    def settle_unused(self, call: LaneCall, result: LaneEnd) -> None:
        """The answer of a call whose caller has another one."""
        self._book.finish([settlement(call, result)])

    def used(self, reservation: str) -> None:
        """An answer that nobody had waited for serves a step."""
        self._book.used(reservation)

    def idle_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``condition`` holds, so many seconds at most; whether it does."""
        end = time.monotonic() + seconds
        with self.changed:
            while not condition() and not self.closed_by and time.monotonic() < end:
                self.changed.wait(0.1)
            return condition()

    def take_over(self) -> None:
        """The batches of earlier processes are this lane's from here on."""
        with self.changed:
            for sent in self._book.adopt():
                calls = {
                    custom_id(sent.token, one.reservation): LaneCall.of_earlier_process(
                        sent.tier, one, sent.at
                    )
                    for one in sent.calls
                }
                batch = BatchUnderWay(sent.token, sent.tier, sent.at, calls, sent.batch_id)
                self.out[sent.token] = batch

    def send(self, batch: BatchUnderWay, items: Sequence[BatchItem]) -> list[BatchItem]:
        """Note a batch before it is sent; what is left of it once withdrawn calls are gone."""
        with self.changed:
            waiting = set(map(id, self.pending))
            for name in [n for n, call in batch.calls.items() if id(call) not in waiting]:
                del batch.calls[name]
            left = [item for item in items if item.custom_id in batch.calls]
            if left:
                known = {call.reservation: call.known() for call in batch.calls.values()}
                self._book.send(batch.token, batch.tier, known)
                batch.sent = {item.custom_id: item for item in left}
                self.out[batch.token] = batch
                gone = set(map(id, batch.calls.values()))
                self.pending = [call for call in self.pending if id(call) not in gone]
            return left

    def made(self, batch: BatchUnderWay, batch_id: str, look_at: float) -> None:
        """The provider gave a batch its id."""
        with self.changed:
            self._book.submitted(batch.token, batch_id)
            batch.batch_id, batch.look_at, batch.failed_looks = batch_id, look_at, 0

    def return_calls(self, batch: BatchUnderWay, *, after: float = 0.0, max_batch: int = 0) -> None:
        """The batch does not exist: those of its calls that can be sent wait for the next one."""
        with self.changed:
            self._book.unsend(batch.token)
            del self.out[batch.token]
            for call in batch.calls.values():
                if call.make_item is None or not call.waited_for:
                    self._end(call, not_sent())
                    continue
                call.not_before = self.clock() + after
                call.max_batch = max(1, max_batch) if max_batch else call.max_batch
                self.pending.append(call)
            self.changed.notify_all()

    def end_unsent(self, batch: BatchUnderWay, error: BoundaryError) -> None:
        """The batch does not exist, and its calls end with an error."""
        with self.changed:
            self._book.unsend(batch.token)
            self._end_all(batch, error)

    def lose(self, batch: BatchUnderWay, error: BoundaryError) -> None:
        """The provider knows nothing of a batch: its calls stay charged."""
        with self.changed:
            self._end_all(batch, error)

    def _end_all(self, batch: BatchUnderWay, error: BoundaryError) -> None:
        for call in batch.calls.values():
            self._end(call, LaneEnd("absent", error))
        self.out.pop(batch.token, None)
        self.changed.notify_all()

    def _end(self, call: LaneCall, result: LaneEnd) -> None:
        self._book.finish([settlement(call, result)])
        call.finish(result)

    def abandon(self, batch: BatchUnderWay, error: StillAway) -> None:
        """Nobody is answered from this batch by this process: it stays out."""
        with self.changed:
            for call in batch.calls.values():
                if call.waited_for:
                    call.waited_for = False
                    call.finish(LaneEnd("cancelled", error))

    def hand_out(self, batch: BatchUnderWay, answers: Sequence[BatchAnswer]) -> None:
        """Each end to the one that waits for it; the answers that nobody waits for are kept."""
        with self.changed:
            found = [(one, batch.calls.get(one.custom_id)) for one in answers]
            priced = [
                (call, priced_end(one, call, self._pricers[call.tier]))
                for one, call in found
                if call
            ]
            kept = [
                (call.key, call.request, call.reservation, end.outcome)
                for call, end in priced
                if isinstance(end.outcome, Completion) and not call.waited_for
            ]
            if kept:
                self._answers.add(kept)
            # An answer that somebody waits for is settled once it is on that one's disk.
            self._book.finish(
                [
                    settlement(call, end)
                    for call, end in priced
                    if not (call.waited_for and isinstance(end.outcome, Completion))
                ]
            )
            for one in answers:
                batch.calls.pop(one.custom_id, None)
            for call, end in priced:
                call.finish(end)
            if not batch.calls:
                self.out.pop(batch.token, None)
            self.changed.notify_all()

    def close(self, why: str) -> None:
        """Nothing is sent or handed out any more: what waits is owed, what is out stays out."""
        with self.changed:
            self.closed_by = why
            for call in self.pending:
                self._book.finish([settlement(call, not_sent())])
                call.finish(LaneEnd("cancelled", StillAway(why)))
            self.pending.clear()
            for batch in self.out.values():
                name = batch.batch_id or batch.token
                words = f"{why}; the call is out in batch {name}, and `resume` collects it"
                for call in batch.calls.values():
                    call.waited_for = False
                    call.finish(LaneEnd("cancelled", StillAway(words)))
            self.changed.notify_all()


def not_sent() -> LaneEnd:
    """The end of a call that was never sent."""
    return LaneEnd("cancelled", NotProcessed("the call was not sent"))
