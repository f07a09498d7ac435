"""No call without its worst case reserved, no answer without its price."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from swe_router import model_abilities
from swe_router.errors import ModelError
from swe_router.ledger import CallLedger
from swe_router.models import cache_lifetime
from swe_router.models.answer_prices import AnswerPricer, CallBound
from swe_router.prices import PriceRate
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.records.requests import RequestDigests, RunningSum, shared_prefix
from swe_router.seams import Model

MESSAGE_TOKENS = 16
"""Allowance for what a chat template puts around each message and each call."""
TOOLS_TOKENS = 1024
"""Allowance for the system text that a provider adds when there are tools."""


def message_bytes(message: Message) -> int:
    """UTF-8 bytes of a message as sent: no tokenizer makes more tokens than there are bytes.

    A picture counts for the most tokens that it may take.
    """
    calls = [[call.id, call.name, dict(call.arguments)] for call in message.tool_calls]
    size = len(message.content.encode("utf-8", "replace")) + len(message.tool_call_id)
    size += sum(image.max_tokens for image in message.images)
    kept = [dict(item) for item in message.kept]
    return size + sum(len(json.dumps(part, default=str)) for part in (calls, kept) if part)


def input_bound(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> int:
    """Most prompt tokens that these messages and tools can be, with nothing measured."""
    return sum(map(_bound_of, messages)) + _tools_bound(tools) + MESSAGE_TOKENS


def _bound_of(message: Message) -> int:
    return message_bytes(message) + MESSAGE_TOKENS * (1 + len(message.tool_calls))


def _tools_bound(tools: Sequence[ToolSpec]) -> int:
    if not tools:
        return 0
    return TOOLS_TOKENS + sum(len(json.dumps(t.model_dump(), default=str)) for t in tools)


def _new(messages: Sequence[Message], known: Sequence[Message]) -> Sequence[Message]:
    """The messages that are not among the known ones; after an elision these are but a few."""
    # What both begin with is mostly the same objects, and then it is not looked into.
    same = shared_prefix(messages, known)
    messages, known = messages[same:], known[same:]
    if tuple(messages[: len(known)]) == tuple(known):
        return messages[len(known) :]
    left = Counter(message.fingerprint() for message in known)
    found = []
    for message in messages:
        mark = message.fingerprint()
        if left[mark]:
            left[mark] -= 1
        else:
            found.append(message)
    return found


class AnswerStore(Protocol):
    """The durable memory of one attempt's last paid answer."""

    def paid_answer(self, request: str) -> Completion | None:
        """The answer that was kept for this request and not used yet, once."""
        ...

    def keep(self, request: str, reservation: str, answer: Completion) -> None:
        """Remember an answer; durable when it returns."""
        ...


@dataclass(frozen=True)
class _MeasuredRequest:
    """What the provider counted for a conversation that later requests begin with."""

    messages: tuple[Message, ...]
    """The request, with its answer."""
    tools: tuple[ToolSpec, ...]
    tokens: int
    """Prompt and answer."""


class MeteredModel:
    """A model whose every call is reserved in a book, settled there and priced.

    ``rate`` prices a call. Raises ``LedgerRefused`` when the worst case of a call does not fit,
    before anything is sent.
    ``by_gaps``: the model asks for an hour of cache where ``CallLimits.gaps`` show a late call, and
    only there (``cache_lifetime.chosen_ttl``), so no other call is reserved for at that price.
    With ``receipts`` an answer is on disk before it is settled and before anything is done
    with it, so a resumed attempt reuses it without paying twice.
    """

    def __init__(
        self,
        model: Model,
        book: CallLedger,
        rate: PriceRate,
        *,
        receipts: AnswerStore | None = None,
        tier: str = "",
        by_gaps: bool = False,
    ) -> None:
        """``tier``: for ``Completion.tier``, where it is not the attempt's arm."""
        self._model, self._book, self._rate, self._tier = model, book, rate, tier
        self._by_gaps = by_gaps
        self._receipts = receipts
        self._measured: _MeasuredRequest | None = None
        self._pricer = AnswerPricer(rate)
        self._outputs: dict[str, int] = {}
        """Fingerprint of an answer -> its output tokens, reasoning included."""
        self._digests = RequestDigests()
        self._cold = RunningSum(self._cold_of)
        self._tools: tuple[Sequence[ToolSpec], int] = ((), 0)
        """Tools, and what they are bounded by: those of an attempt stay."""

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``; ``Completion.usd`` is set."""
        known = self.known_answer(messages, tools, limits)
        if known is not None:
            return known
        bound = self.bound(messages, tools, limits)
        reservation = self._book.reserve(bound.max_usd(self._rate))
        try:
            answer = self._model.complete(messages, tools, limits=limits)
        except ModelError as error:
            if error.billed:
                self._book.lose(reservation, f"{type(error).__name__}: {error}")
            else:
                self._book.void(reservation)
            raise
        except BaseException as error:
            self._book.lose(reservation, type(error).__name__)
            raise
        priced, note = self._pricer.priced(answer, bound)
        priced = self.signed(priced)
        try:
            self.keep(messages, tools, limits, reservation, priced)
        finally:
            self._book.settle(reservation, priced.usd, priced.usage, note)
        self.remember(messages, tools, priced)
        return priced

    def signed(self, answer: Completion) -> Completion:
        """The answer with the tier that gave it, where that is not the attempt's arm."""
        return answer.model_copy(update={"tier": self._tier}) if self._tier else answer

    def request_digest(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], limits: CallLimits
    ) -> str:
        """The digest of a request, as ``Step.request``."""
        return self._digests.of(messages, tools, limits)

    def known_answer(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], limits: CallLimits
    ) -> Completion | None:
        """The answer to this request that was paid for before a crash, once."""
        if not self._receipts:
            return None
        known = self._receipts.paid_answer(self.request_digest(messages, tools, limits))
        if known is not None:
            self.remember(messages, tools, known)
        return known

    def keep(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        limits: CallLimits,
        reservation: str,
        answer: Completion,
    ) -> None:
        """Put a paid answer on disk, before it is settled or acted upon."""
        if self._receipts:
            self._receipts.keep(self.request_digest(messages, tools, limits), reservation, answer)

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``."""
        return model_abilities.gives_logprobs(self._model)

    def worst(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], limits: CallLimits
    ) -> Decimal:
        """USD that this call would reserve."""
        return self.bound(messages, tools, limits).max_usd(self._rate)

    def bound(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], limits: CallLimits
    ) -> CallBound:
        """What this call can use at most."""
        prompt = self._bound(messages, tools)
        hour = not self._by_gaps or cache_lifetime.saw_late_call(limits.gaps)
        dearer = self._pricer.dearer
        return CallBound(prompt, limits.max_output_tokens, limits.seconds, hour, dearer)

    def _bound(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> int:
        """Most prompt tokens of this request: what was measured, and the bytes added since."""
        if tuple(tools) != tuple(self._tools[0]):
            self._tools = tuple(tools), _tools_bound(tools)
        cold = self._cold.of(messages) + self._tools[1] + MESSAGE_TOKENS
        # The window is no bound: what the tier says of it may be less than the server takes.
        known = self._measured
        if known is None or tuple(tools) != known.tools:
            return cold
        return min(cold, known.tokens + input_bound(_new(messages, known.messages), ()))

    def _cold_of(self, message: Message) -> int:
        """Most prompt tokens of one message."""
        # A client may hand the model its hidden reasoning back: it is input, and in no message.
        spoke = message.role == "assistant"
        hidden = self._outputs.get(message.fingerprint(), 0) if spoke else 0
        return _bound_of(message) + hidden

    def remember(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], answer: Completion
    ) -> None:
        """What an answer tells of the size of the requests that go on from it."""
        self._pricer.learn(answer.returned)
        self._outputs[answer.message.fingerprint()] = answer.usage.output_tokens
        if answer.usage.prompt_tokens:
            tokens = answer.usage.prompt_tokens + answer.usage.output_tokens
            self._measured = _MeasuredRequest((*messages, answer.message), tuple(tools), tokens)
