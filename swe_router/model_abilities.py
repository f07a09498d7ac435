"""What a model may be able to do beyond ``complete``, each an optional Protocol.

They are asked by ``isinstance``, of the bare model: wrappers that meter, retry and wait pass on
``GivesLogprobs`` alone.

* ``HasBatches``: its calls may be sent in batches, for answers within a day at a lower price.
* ``GivesLogprobs``: it tells how likely the tokens of an answer were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from swe_router.errors import ModelError
from swe_router.records import CallLimits, Completion, Message, ToolSpec

BatchPhase = Literal["running", "cancelling", "ended"]
ItemEnd = Literal["answered", "errored", "expired", "cancelled", "absent"]
"""``absent``: the batch ended, and its results do not mention the item."""


@dataclass(frozen=True)
class BatchItem:
    """One call of a batch, ready to be sent.

    A resume that has only the id and the output cap of an item gives just these to ``collect``:
    the answer is the same, only what a refusal means may be read less well.
    """

    custom_id: str
    """Letters, digits, ``_`` and ``-``, 64 at most; unique over all batches of the account, so that
    ``find`` can tell its batch: begin it with the batch's token."""
    max_output_tokens: int
    body: Mapping[str, Any] = field(default_factory=dict)
    """The request as a live call sends it, in the form of the provider."""
    size: int = 0
    """Bytes that the item takes in its batch."""


@dataclass(frozen=True)
class BatchSizes:
    """What one batch holds at most."""

    items: int
    size: int
    """Bytes of all items together."""


@dataclass(frozen=True)
class BatchState:
    """A batch as its provider describes it."""

    batch_id: str
    phase: BatchPhase
    """Results are there to collect once it is ``ended``, whatever ended it."""
    total: int = 0
    done: int = 0
    """Items that have ended; some providers count them only once all have."""
    expires: float = 0.0
    """Unix seconds at which what is not done expires; 0: the provider does not say."""
    created: float = 0.0
    """Unix seconds; 0: the provider does not say."""
    status: str = ""
    """The provider's own word, for people."""
    failed: str = ""
    """Why the provider refused the batch as a whole: then every item was refused, unbilled."""


@dataclass(frozen=True)
class BatchAnswer:
    """What became of one item."""

    custom_id: str
    end: ItemEnd
    outcome: Completion | ModelError
    """The answer (its ``service`` is ``batch``, its ``usd`` is 0), or the error that a live call
    would have raised: ``billed`` says what it may have cost."""
    learned: bool = False
    """The refusal taught the client what this server wants: build the item anew, send it again."""


@dataclass(frozen=True)
class BatchSearch:
    """Where a batch is whose ``submit`` was not answered."""

    batch_id: str = ""
    """The batch that was made; empty where there is none, or none is known yet."""
    undecided: Sequence[str] = ()
    """Batches that may be it and tell only once they have ended: search again then."""


class BatchService(Protocol):
    """Batches of one tier: the calls of all its attempts may go in one.

    Every method but ``item`` raises ``ModelError``, and never retries: what says nothing of the
    batch (no connection, 429, 5xx, a page in HTML, a stall) is worth asking again, and
    ``BatchGone`` says that the provider has no batch of this id, or not its results any more.
    """

    @property
    def sizes(self) -> BatchSizes:
        """What the provider takes in one batch."""
        ...

    def item(
        self,
        custom_id: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        limits: CallLimits,
    ) -> BatchItem:
        """A call as ``complete`` would send it; of the model whose conversation it is."""
        ...

    def submit(self, items: Sequence[BatchItem], *, token: str) -> str:
        """Make one batch of these items and give its id.

        ``token`` is letters and digits, 32 at most, and names the batch before it has an id. An
        error with ``billed`` set means that the batch may exist: ``find`` tells. Any other means
        that there is none.
        """
        ...

    def find(self, items: Sequence[BatchItem], *, token: str, since: float) -> BatchSearch:
        """The batch that a ``submit`` with this token made at or after ``since`` (Unix seconds)."""
        ...

    def poll(self, batch_id: str) -> BatchState:
        """How far a batch is; costs nothing."""
        ...

    def collect(self, batch_id: str, items: Sequence[BatchItem]) -> Iterator[BatchAnswer]:
        """What became of each of these items of a batch that has ended: one answer each, any order.

        It can be asked again, as after an error that broke it off: what was given by then stands.
        """
        ...

    def cancel(self, batch_id: str) -> BatchState:
        """Ask for a batch to end early; items that are being worked on are still billed."""
        ...


@runtime_checkable
class HasBatches(Protocol):
    """A model whose provider takes batches."""

    def batches(self) -> BatchService | None:
        """The batches of its tier; None where its server has none, as vLLM. Touches no network."""
        ...


@runtime_checkable
class GivesLogprobs(Protocol):
    """A model that fills ``Completion.logprobs`` when ``CallLimits.top_logprobs`` asks for them."""

    @property
    def gives_logprobs(self) -> bool:
        """Whether the tier's API has them; a server may leave them out all the same."""
        ...


def gives_logprobs(model: object) -> bool:
    """Whether a model can be asked for the probabilities of its tokens."""
    return isinstance(model, GivesLogprobs) and model.gives_logprobs
