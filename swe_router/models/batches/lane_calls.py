"""What the lane of batches knows of one call and of one batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swe_router.errors import BoundaryError, ModelError
from swe_router.ledger import CallEnd, SubmittedCall
from swe_router.model_abilities import BatchAnswer, BatchItem, ItemEnd
from swe_router.models.answer_prices import AnswerPricer, CallBound
from swe_router.records import Completion

MakeItem = Callable[[str], BatchItem]
"""Custom id -> the call as its provider takes it in a batch."""


@dataclass(frozen=True)
class LaneEnd:
    """How a call of the lane ended."""

    end: ItemEnd
    outcome: Completion | BoundaryError
    """The priced answer; else why there is none: ``StillAway`` where the call is owed."""
    learned: bool = False
    """See ``BatchAnswer``."""
    note: str = ""
    """Of the settlement."""


@dataclass(eq=False)
class LaneCall:
    """One call, from the moment at which it waits for a batch until its end is known."""

    tier: str
    key: str
    """Of the ledger."""
    request: str
    """Digest."""
    reservation: str
    bound: CallBound
    make_item: MakeItem | None
    """None where an earlier process sent it: it is collected, and never sent again."""
    asked_at: float
    """Unix seconds."""
    not_before: float = 0.0
    """Unix seconds before which it is not sent."""
    max_batch: int = 1_000_000
    """Calls that its batch may hold: fewer once a batch was refused as a whole."""
    waited_for: bool = True
    """Somebody takes its answer and settles it; else the lane does."""
    result: LaneEnd | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def finish(self, result: LaneEnd) -> None:
        """Wake the one that waits."""
        self.result = result
        self.ended.set()

    def known(self) -> dict[str, Any]:
        """What a later process must know to collect it."""
        bound = self.bound
        return {
            "request": self.request,
            "prompt": bound.prompt_tokens,
            "output": bound.output_tokens,
            "seconds": bound.seconds,
        }

    @classmethod
    def of_earlier_process(cls, tier: str, call: SubmittedCall, at: float) -> LaneCall:
        """A call that an earlier process sent. Raises ``KeyError``, ``ValueError``."""
        known = call.known
        bound = CallBound(int(known["prompt"]), int(known["output"]), float(known["seconds"]))
        return cls(
            tier,
            call.key,
            str(known["request"]),
            call.reservation,
            bound,
            None,
            at,
            waited_for=False,
        )


@dataclass(eq=False)
class BatchUnderWay:
    """A batch that is out."""

    token: str
    tier: str
    sent_at: float
    """Unix seconds."""
    calls: dict[str, LaneCall]
    """Custom id -> call; those that have not ended."""
    batch_id: str = ""
    """Empty while nobody knows whether it was made."""
    look_at: float = 0.0
    """Unix seconds of the next look at it."""
    failed_looks: int = 0
    searched_since: float = 0.0
    """Unix seconds since which it is looked for and not found; 0: not yet."""
    cancelled: bool = False
    """Its end was asked for here."""
    cancel_sent: bool = False

    sent: dict[str, BatchItem] = field(default_factory=dict)
    """Custom id -> what this process sent: a refusal is read by what it refuses."""

    def items(self) -> list[BatchItem]:
        """Its calls as they were sent; of an earlier process's, what is known of them."""
        return [
            self.sent.get(name) or BatchItem(name, call.bound.output_tokens)
            for name, call in self.calls.items()
        ]


def custom_id(token: str, reservation: str) -> str:
    """The name of a call in its batch: unique, though it may be sent again in another one."""
    return f"{token}-{reservation}"


def priced_end(answer: BatchAnswer, call: LaneCall, pricer: AnswerPricer) -> LaneEnd:
    """The end of a call, its answer with what it costs in a batch."""
    outcome = answer.outcome
    if not isinstance(outcome, Completion):
        return LaneEnd(answer.end, outcome, answer.learned)
    # What a batch waits for is nobody's time: an attempt's limits count work.
    usage = outcome.usage.model_copy(update={"seconds": 0.0})
    outcome = outcome.model_copy(update={"usage": usage, "service": "batch"})
    priced, note = pricer.priced(outcome, call.bound)
    return LaneEnd(answer.end, priced, answer.learned, note)


def settlement(call: LaneCall, result: LaneEnd) -> CallEnd:
    """What the ledger gets of an end that nobody waits for."""
    outcome = result.outcome
    if isinstance(outcome, Completion):
        return CallEnd.settled(
            call.reservation, outcome.usd, outcome.usage, result.note, unused=True
        )
    if isinstance(outcome, ModelError) and outcome.billed:
        return CallEnd.lost(call.reservation, f"{type(outcome).__name__}: {outcome}")
    return CallEnd.void(call.reservation)
