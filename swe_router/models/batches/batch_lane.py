"""The lane: calls of many instances collected into batches, sent, looked at and handed back.

One thread does all that touches a provider. A batch is on the books before it is sent and under its
id afterwards, so whatever dies in between, the next process finds it, collects it and pays it once.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swe_router.errors import BatchGone, ModelError, NotProcessed, StillAway
from swe_router.ledger import BatchBook
from swe_router.model_abilities import BatchItem, BatchService
from swe_router.models.batches.lane_calls import BatchUnderWay, LaneCall, custom_id
from swe_router.models.batches.lane_state import AnswersOnFile, LaneState
from swe_router.models.batches.lockstep import Lockstep
from swe_router.prices import PriceRate

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LaneTimes:
    """How long the lane waits; seconds."""

    quiet: float = 0.05
    """For which nobody must have worked before a batch is sent."""
    gather: float = 300.0
    """After which a call is sent though others still work."""
    poll: float = 30.0
    """Between two looks at a batch, at most."""
    search: float = 60.0
    """For which a batch whose sending was not answered must not be found before it is sent again.
    """


class BatchLane:
    """All calls of a process that go in batches; ``with`` it while instances are worked on.

    ``service`` gives the batches of a tier, ``rates`` the batch price of each tier, ``guard`` makes
    a request to a tier's provider and waits while that is away (raising ``StillAway`` when it is
    given up). ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        book: BatchBook,
        answers: AnswersOnFile,
        *,
        service: Callable[[str], BatchService],
        rates: Mapping[str, PriceRate],
        lockstep: Lockstep,
        times: LaneTimes = LaneTimes(),
        stopping: Callable[[], bool] = lambda: False,
        guard: Callable[[str, Callable[[], Any]], Any] = lambda tier, call: call(),
        notify: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.time,
        new_token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.state = LaneState(book, answers, rates, clock)
        self._service, self.rates, self.clock = service, rates, clock
        self.lockstep, self._times, self._stopping = lockstep, times, stopping
        self._guard, self._notify, self._new_token = guard, notify, new_token
        self._closing = False
        self._fault: BaseException | None = None
        self._thread: threading.Thread | None = None
        lockstep.on_idle = self.state.wake

    def __enter__(self) -> BatchLane:
        self.state.take_over()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; what is out stays out."""
        self._closing = True
        self.state.wake()
        if self._thread is not None:
            self._thread.join()

    def require_sound(self) -> None:
        """Raise what broke the lane, if anything did."""
        if self._fault is not None:
            raise self._fault

    def retry_seconds(self, tries: int) -> float:
        """Seconds before a call that was not answered goes into another batch."""
        return self._times.poll / 15 * 2.0 ** min(tries - 1, 6)

    def cancel_unwanted(self, *, wanted_too: bool = False) -> None:
        """Ask for the end of batches that nobody waits for."""
        with self.state.changed:
            for batch in self.state.out.values():
                wanted = any(call.waited_for for call in batch.calls.values())
                if not batch.cancelled and (wanted_too or not wanted):
                    batch.cancelled, batch.look_at = True, 0.0
            self.state.changed.notify_all()

    def _run(self) -> None:
        state = self.state
        try:
            while not self._closing and not self._stopping():
                self._turn()
                with state.changed:
                    if not self._closing:
                        state.changed.wait(self._pause())
        except BaseException as error:
            _log.exception("the lane of batches broke")
            self._fault = error
        finally:
            state.close(self._end_reason())

    def _end_reason(self) -> str:
        if self._fault is not None:
            return f"the lane of batches broke: {type(self._fault).__name__}: {self._fault}"
        return "the run was asked to stop" if self._stopping() else "the run has ended"

    def _pause(self) -> float:
        """Seconds until there may be something to do."""
        now = self.clock()
        looks = [batch.look_at - now for batch in self.state.out.values()]
        quick = self._times.quiet if self.state.pending else 0.25
        return max(0.005, min([quick, *looks, 0.25]))

    def _turn(self) -> None:
        for calls in self._ready():
            self._send(calls)
        for batch in list(self.state.out.values()):
            if batch.look_at <= self.clock() and not self._stopping():
                self._look(batch)

    def _ready(self) -> list[list[LaneCall]]:
        """Calls to be sent now, by tier."""
        with self.state.changed:
            now = self.clock()
            due = [call for call in self.state.pending if call.not_before <= now]
            everybody_waits = self.lockstep.idle_seconds() >= self._times.quiet
            old = any(now - call.asked_at >= self._times.gather for call in due)
            tiers: dict[str, list[LaneCall]] = {}
            for call in due if everybody_waits or old else ():
                tiers.setdefault(call.tier, []).append(call)
            return list(tiers.values())

    def _send(self, calls: Sequence[LaneCall]) -> None:
        """Calls of one tier, in as few batches as it takes."""
        rest = list(calls)
        while rest and not self._stopping():
            batch, items = self._filled_batch(rest)
            rest = rest[len(batch.calls) :]
            items = self.state.send(batch, items)
            if items:
                self._submit(batch, items)

    def _filled_batch(self, calls: Sequence[LaneCall]) -> tuple[BatchUnderWay, list[BatchItem]]:
        """As many of these calls as one batch holds, and as its provider takes them."""
        tier, token = calls[0].tier, self._new_token()
        sizes = self._service(tier).sizes
        batch = BatchUnderWay(token, tier, self.clock(), {})
        items: list[BatchItem] = []
        size, most = 0, sizes.items
        for call in calls:
            assert call.make_item is not None  # whatever is pending was made here
            name = custom_id(token, call.reservation)
            item = call.make_item(name)
            most = min(most, call.max_batch)
            if items and (len(items) >= most or size + item.size > sizes.size):
                break
            batch.calls[name] = call
            items.append(item)
            size += item.size
        return batch, items

    def _submit(self, batch: BatchUnderWay, items: Sequence[BatchItem]) -> None:
        service = self._service(batch.tier)
        try:
            found = self._guard(batch.tier, lambda: service.submit(items, token=batch.token))
        except StillAway as error:
            self.state.end_unsent(batch, error)
        except ModelError as error:
            self._submit_failed(batch, error)
        else:
            self._made(batch, found)

    def _made(self, batch: BatchUnderWay, batch_id: str) -> None:
        self.state.made(batch, batch_id, self.clock() + self._next_look(batch))
        self._notify(f"batch {batch_id}: {len(batch.calls)} calls sent to tier {batch.tier}")

    def _submit_failed(self, batch: BatchUnderWay, error: ModelError) -> None:
        """A batch that was refused, or whose sending was not answered."""
        if error.billed:  # it may exist
            batch.look_at = self.clock()
            self._notify(f"a batch for tier {batch.tier} was not confirmed ({error}): looking")
        elif _is_busy(error):
            wait = self._busy_wait(batch, error)
            self._notify(f"tier {batch.tier} takes no batch ({error}): again in {wait:.0f} s")
            self.state.return_calls(batch, after=wait)
        elif len(batch.calls) > 1 and not error.for_people:
            # One of its calls may be the reason: halves tell which.
            self.state.return_calls(batch, max_batch=len(batch.calls) // 2)
        else:
            self.state.end_unsent(batch, error)

    def _busy_wait(self, batch: BatchUnderWay, error: ModelError) -> float:
        tries = max((self.clock() - call.asked_at for call in batch.calls.values()), default=0.0)
        usual = min(self._times.poll, max(self._times.poll / 10, tries))
        return max(usual, error.after or 0.0)

    # Batches that are out.

    def _look(self, batch: BatchUnderWay) -> None:
        try:
            self._look_once(batch)
        except BatchGone as error:
            self._notify(f"batch {batch.batch_id} is gone: {error}")
            self.state.lose(batch, error)
        except (ModelError, StillAway) as error:
            self._look_failed(batch, error)

    def _look_once(self, batch: BatchUnderWay) -> None:
        service = self._service(batch.tier)
        if not batch.batch_id:
            self._search(batch, service)
            return
        if batch.cancelled and not batch.cancel_sent:
            self._cancel(batch, service)
        state = self._guard(batch.tier, lambda: service.poll(batch.batch_id))
        batch.failed_looks = 0
        if state.phase != "ended":
            batch.look_at = self.clock() + self._next_look(batch)
            return
        self._collect(batch, service, failed=state.failed)

    def _cancel(self, batch: BatchUnderWay, service: BatchService) -> None:
        try:
            self._guard(batch.tier, lambda: service.cancel(batch.batch_id))
        except BatchGone:
            raise
        except ModelError as error:
            if _is_busy(error) or error.billed:
                raise
            self._notify(f"batch {batch.batch_id} is not cancelled ({error})")  # it has ended
        batch.cancel_sent = True

    def _next_look(self, batch: BatchUnderWay) -> float:
        """A batch that took long so far is looked at more seldom."""
        passed = self.clock() - batch.sent_at
        return min(self._times.poll, max(self._times.poll / 20, passed / 10))

    def _look_failed(self, batch: BatchUnderWay, error: ModelError | StillAway) -> None:
        batch.failed_looks += 1
        wait = min(self._times.poll * 4, self._times.poll / 10 * 2.0**batch.failed_looks)
        asked = error.after or 0.0 if isinstance(error, ModelError) else 0.0
        batch.look_at = self.clock() + max(wait, asked)
        if batch.failed_looks in (1, 10):
            self._notify(f"batch {batch.batch_id or batch.token} cannot be looked at: {error}")
        if isinstance(error, StillAway):
            self.state.abandon(batch, error)

    def _search(self, batch: BatchUnderWay, service: BatchService) -> None:
        """A batch whose sending was not answered: it was made, or it is sent again."""
        items = batch.items()
        found = self._guard(
            batch.tier, lambda: service.find(items, token=batch.token, since=batch.sent_at)
        )
        batch.failed_looks = 0
        now = self.clock()
        if found.batch_id:
            self._made(batch, found.batch_id)
        elif found.undecided:
            batch.searched_since, batch.look_at = 0.0, now + self._next_look(batch)
        elif not batch.searched_since:
            batch.searched_since = now
            batch.look_at = now + self._times.search
        elif now - batch.searched_since >= self._times.search:
            self.state.return_calls(batch)
        else:
            batch.look_at = batch.searched_since + self._times.search

    def _collect(self, batch: BatchUnderWay, service: BatchService, failed: str) -> None:
        """Hand out what a batch that has ended brings."""
        answers = []
        broken: ModelError | StillAway | None = None
        try:
            for answer in self._guard(
                batch.tier, lambda: service.collect(batch.batch_id, batch.items())
            ):
                answers.append(answer)
        except (ModelError, StillAway) as error:
            broken = error
        errors = [one.outcome for one in answers if isinstance(one.outcome, ModelError)]
        if failed and broken is None and not any(one.for_people or one.billed for one in errors):
            if any(map(_is_busy, errors)):
                self._notify(f"batch {batch.batch_id} was not taken ({failed}): sent again")
                self.state.return_calls(batch, after=self._busy_wait(batch, errors[0]))
                return
            if len(batch.calls) > 1:
                self.state.return_calls(batch, max_batch=len(batch.calls) // 2)
                return
        self.state.hand_out(batch, answers)
        if broken is not None:
            raise broken
        self._notify(f"batch {batch.batch_id} ended: {_counted_ends(answers)}")


def _is_busy(error: object) -> bool:
    """Whether a provider takes nothing now and will later."""
    if not isinstance(error, ModelError) or error.for_people or error.billed or error.counts:
        return False
    return not isinstance(error, NotProcessed) and error.retry


def _counted_ends(answers: Sequence[Any]) -> str:
    counts: dict[str, int] = {}
    for one in answers:
        counts[one.end] = counts.get(one.end, 0) + 1
    return ", ".join(f"{number} {end}" for end, number in sorted(counts.items()))
