"""A tier whose calls go in batches, and live where no batch answers them in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

from swe_router import model_abilities
from swe_router.errors import (
    BatchGone,
    BoundaryError,
    LedgerRefused,
    ModelError,
    NotProcessed,
)
from swe_router.ledger import CallLedger
from swe_router.model_abilities import BatchItem
from swe_router.models.batches.batch_lane import BatchLane
from swe_router.models.batches.lane_calls import LaneCall, LaneEnd
from swe_router.models.batches.lockstep import Member
from swe_router.models.metered import MeteredModel
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.seams import Model

TICK_SECONDS = 0.25
"""Seconds between two looks at the deadline of a call."""


class BatchItemMaker(Protocol):
    """The part of ``model_abilities.BatchService`` that knows one conversation."""

    def item(
        self,
        custom_id: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        limits: CallLimits,
    ) -> BatchItem:
        """See ``BatchService.item``."""
        ...


@dataclass(frozen=True)
class BatchSeat:
    """What one instance has of the lane."""

    lane: BatchLane
    member: Member
    sends: bool = True
    """False: only what earlier processes sent is collected, everything else goes live."""
    live_after: float = 86_400.0
    """Seconds after which a call that no batch has answered is made live."""


@dataclass
class BatchedModel:
    """See the module. ``live`` is the same tier, called at once, metered and retried.

    ``stop_clock``: while it is entered, no time limit of the instance counts. ``report_wait``
    receives why a call waits. The money of a live call is reserved anew, at the live price; where
    it does not fit, the call goes on waiting for its batch.
    """

    metered: MeteredModel
    live: Model
    seat: BatchSeat
    items: BatchItemMaker
    booking: CallLedger
    tier: str
    retries: int
    stop_clock: Callable[[], AbstractContextManager[None]]
    report_wait: Callable[[str], None] = lambda why: None

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``. Raises ``StillAway`` when the run stops: the batch stays out."""
        known = self.metered.known_answer(messages, tools, limits)
        if known is not None:
            return known
        request = self.metered.request_digest(messages, tools, limits)
        claimed = self.seat.lane.state.claim(self.booking.key, request)
        asked = _BatchedCall(self, messages, tools, limits, request)
        if isinstance(claimed, tuple):
            return asked.kept(*claimed)
        if claimed is None and not self.seat.sends:
            return self.live.complete(messages, tools, limits=limits)
        return asked.answered(claimed)

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``."""
        return model_abilities.gives_logprobs(self.live)


@dataclass
class _BatchedCall:
    """One call, through as many batches as it takes."""

    model: BatchedModel
    messages: Sequence[Message]
    tools: Sequence[ToolSpec]
    limits: CallLimits
    request: str
    tries: int = field(default=0, init=False)
    may_go_live: bool = field(default=True, init=False)

    def answered(self, call: LaneCall | None) -> Completion:
        """The answer. Raises ``ModelError``, ``LedgerRefused`` or ``StillAway``."""
        lane = self.model.seat.lane
        begun = call.asked_at if call else lane.clock()
        deadline = begun + self.model.seat.live_after
        while True:
            if call is None:
                call = self._put()
            result = self._end_of(call, deadline)
            if result is not None:
                if isinstance(result.outcome, Completion):
                    return self._settled(call, result, result.outcome)
                call = None
                if not self._goes_live(result):
                    continue
            elif lane.state.withdraw(call):
                call = None
            try:
                return self._live(call)
            except LedgerRefused:
                if not self.may_go_live or not self.model.seat.sends:
                    raise
                self.may_go_live = False

    def _put(self) -> LaneCall:
        model = self.model
        lane, limits = model.seat.lane, self.limits
        # What goes in a batch is kept for an hour.
        bound = replace(model.metered.bound(self.messages, self.tools, limits), hour=True)
        usd = bound.max_usd(lane.rates[model.tier])

        def make_item(name: str) -> BatchItem:
            return model.items.item(name, self.messages, self.tools, limits=limits)

        now = lane.clock()
        pause = lane.retry_seconds(self.tries) if self.tries else 0.0
        call = LaneCall(
            model.tier,
            model.booking.key,
            self.request,
            model.booking.reserve(usd, batched=True),
            bound,
            make_item,
            now,
            not_before=now + pause,
        )
        lane.state.put(call)
        return call

    def _end_of(self, call: LaneCall, deadline: float) -> LaneEnd | None:
        """How the call ended; None when its time is over."""
        model, lane = self.model, self.model.seat.lane
        if call.result is None:
            with ExitStack() as stack:
                stack.enter_context(model.stop_clock())
                stack.enter_context(model.seat.member.idle())
                while not call.ended.wait(TICK_SECONDS):
                    if self.may_go_live and lane.clock() >= deadline:
                        break
        return call.result

    def _goes_live(self, result: LaneEnd) -> bool:
        """Whether a call without an answer is made live; raises its error where that is final."""
        error = result.outcome
        assert isinstance(error, BoundaryError)
        if not isinstance(error, ModelError):
            raise error  # the run stops, or gave the provider up: the call is owed
        self.tries += 1
        again = self.tries <= self.model.retries and self.model.seat.sends
        if result.learned and again:
            return False
        if result.end in ("expired", "absent") or isinstance(error, BatchGone) or error.for_people:
            if not self.may_go_live and (not again or error.for_people):
                raise error
            return self.may_go_live
        if error.counts or not (error.retry or isinstance(error, NotProcessed)):
            raise error
        if not again and not self.may_go_live:
            raise error
        return not again

    def _live(self, call: LaneCall | None) -> Completion:
        """The answer of a live call; one that is still out in a batch is waited for no longer."""
        model = self.model
        model.report_wait("no batch answered in time: a live call")
        try:
            answer = model.live.complete(self.messages, self.tools, limits=self.limits)
        except LedgerRefused:
            raise
        except BaseException:
            self._leave(call)
            raise
        self._leave(call)
        return answer

    def _leave(self, call: LaneCall | None) -> None:
        lane = self.model.seat.lane
        came = lane.state.leave(call) if call else None
        if call and came and isinstance(came.outcome, Completion):
            lane.state.settle_unused(call, came)
        lane.cancel_unwanted()

    def _settled(self, call: LaneCall, result: LaneEnd, answer: Completion) -> Completion:
        """The answer, on disk before it is settled and before anything is done with it."""
        booking, answer = self.model.booking, self.model.metered.signed(answer)
        try:
            self._keep(call.reservation, answer)
        finally:
            booking.settle(call.reservation, answer.usd, answer.usage, result.note)
        return self._remembered(answer)

    def kept(self, reservation: str, answer: Completion) -> Completion:
        """An answer that was collected and settled before anybody asked for it again."""
        answer = self.model.metered.signed(answer)
        self._keep(reservation, answer)
        self.model.seat.lane.state.used(reservation)
        return self._remembered(answer)

    def _keep(self, reservation: str, answer: Completion) -> None:
        metered = self.model.metered
        metered.keep(self.messages, self.tools, self.limits, reservation, answer)

    def _remembered(self, answer: Completion) -> Completion:
        self.model.metered.remember(self.messages, self.tools, answer)
        return answer
