"""The conversation with a model: messages, tools, usage, and the steps of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, model_validator

from swe_router.records.frozen import FrozenRecord, Usd, digest_of
from swe_router.records.phases import PhaseChoice

AnswerEnd = Literal["end", "tool", "length", "window", "refusal"]
"""Why an answer ended; ``length`` is the output cap, ``window`` a window with no room left."""


class Usage(FrozenRecord):
    """Tokens of one or more calls; the four kinds are disjoint."""

    input_tokens: int = Field(default=0, ge=0)
    """Uncached input."""
    cache_read_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)
    """All that was written into the cache, for whatever time."""
    cache_write_1h_tokens: int = Field(default=0, ge=0, exclude_if=lambda tokens: not tokens)
    """Part of ``cache_write_tokens`` that is kept for an hour. Left out of records while 0, so
    that those of earlier versions stay what they were."""
    output_tokens: int = Field(default=0, ge=0)
    """Output, reasoning included."""
    reasoning_tokens: int = Field(default=0, ge=0)
    """Part of ``output_tokens`` that was reasoning, where the provider says so."""
    seconds: float = Field(default=0.0, ge=0)
    """Wall seconds of the calls: what a GPU-hour price is multiplied with."""

    @model_validator(mode="after")
    def _check_1h_part(self) -> Usage:
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise ValueError("more tokens are kept for an hour than were written into the cache")
        return self

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            seconds=self.seconds + other.seconds,
        )

    @property
    def cache_write_5m_tokens(self) -> int:
        """What was written into the cache for its usual time."""
        return self.cache_write_tokens - self.cache_write_1h_tokens

    @property
    def prompt_tokens(self) -> int:
        """All input, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


class ToolCall(FrozenRecord):
    """A tool the model asked for; ``error`` is set when the call could not be parsed."""

    id: str
    name: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    error: str = ""


class ImageLink(FrozenRecord):
    """A picture that a model is shown by its address."""

    url: str
    """``https:`` or ``data:``."""
    max_tokens: int = Field(gt=0)
    """Most prompt tokens that the tier counts for it: what a reservation is made for."""


class Message(FrozenRecord):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    """For role ``tool``: the call that this answers."""
    images: tuple[ImageLink, ...] = Field(default=(), exclude_if=lambda images: not images)
    """For role ``user``: pictures that go before the text."""
    repeats: int = Field(default=0, ge=0, exclude=True)
    """For role ``user``: characters at the beginning of ``content`` that other requests begin with
    too, as the judge's instructions and the issue do. It says where a cache is worth having, and
    is no part of a message's identity."""
    kept: tuple[Mapping[str, Any], ...] = Field(default=(), exclude_if=lambda kept: not kept)
    """For role ``assistant``: what the provider wants back with this answer as it gave it, in its
    own form (thinking with its signature, encrypted reasoning). Left out of records and digests
    where there is none, so that those of earlier versions stay what they were."""


class ToolSpec(FrozenRecord):
    """A tool as shown to a model: name, description and JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class TokenLogprobs(FrozenRecord):
    """One token of an answer, with the likeliest tokens at its place."""

    token: str
    top: tuple[tuple[str, float], ...] = ()
    """Token and natural logarithm of its probability, as the server gives them."""


class CallLimits(FrozenRecord):
    """Limits of one model call."""

    max_output_tokens: int = Field(gt=0)
    timeout: float = Field(default=600.0, gt=0)
    """Wall seconds for the answer."""
    within: float | None = Field(default=None, gt=0, exclude=True)
    """Wall seconds that are left for it by the clock, where that may be less. It changes from one
    moment to the next, so it is no part of a request's identity."""
    gaps: tuple[float, ...] = Field(default=(), exclude=True)
    """Seconds from each earlier call of the conversation to the next, as recorded: they say how
    late the next one may come. No part of a request's identity."""
    temperature: float | None = None
    seed: int | None = None
    tool_choice: Literal["auto", "required"] = "auto"
    top_logprobs: int = Field(default=0, ge=0, le=20, exclude_if=lambda count: not count)
    """Likeliest tokens to report for each token of the answer; 0 asks for none. Left out of
    records and digests while 0, so that those of earlier versions stay what they were."""
    answer_schema: Mapping[str, Any] | None = Field(
        default=None, exclude_if=lambda schema: schema is None
    )
    """JSON schema that the server is asked to force upon the answer, where the dialect has that
    (Chat Completions, vLLM); others answer as they like. Left out of records and digests likewise.
    """

    @property
    def seconds(self) -> float:
        """Wall seconds that are really waited for the answer."""
        return self.timeout if self.within is None else min(self.timeout, self.within)


class ReturnedCost(FrozenRecord):
    """What a gateway says of what calls cost, and what the price table says of the same calls."""

    usd: Usd
    """As the replies have it."""
    listed: Usd = Decimal(0)
    """By the tier's price; 0 where the usage is unknown."""
    cap: Usd | None = Field(default=None, exclude_if=lambda cap: cap is None)
    """Of one call: what was reserved, where the gateway says more. No more than that is charged."""


class Completion(FrozenRecord):
    """A model's answer, what it used and what that cost."""

    message: Message
    usage: Usage = Usage()
    stop: AnswerEnd = "end"
    usd: Usd = Decimal(0)
    """Set by the meter; 0 from a bare model."""
    model: str = ""
    """The model id that the provider says it was."""
    served_by: str = Field(default="", exclude_if=lambda served_by: not served_by)
    """Of a gateway: its name, the provider that worked for it, and a fallback, as it says."""
    returned: ReturnedCost | None = Field(default=None, exclude_if=lambda cost: cost is None)
    """What the gateway says that the call cost; None where it says nothing."""
    usage_unknown: bool = Field(default=False, exclude_if=lambda unknown: not unknown)
    """Nobody counted the tokens: ``usage`` is nothing, or the upper bound that was charged for."""
    request_id: str = ""
    service: Literal["standard", "batch"] = Field(
        default="standard", exclude_if=lambda service: service == "standard"
    )
    """The provider's service that made it, and whose price it has. Left out of records while it is
    the standard one, so that those of earlier versions stay what they were."""
    logprobs: tuple[TokenLogprobs, ...] = Field(default=(), exclude_if=lambda tokens: not tokens)
    """Of each token of the answer, where ``CallLimits.top_logprobs`` asked and the server gave."""
    tier: str = Field(default="", exclude_if=lambda tier: not tier)
    """Tier that answered, where it is not the attempt's arm (``Plan.phases``); set by the meter."""

    @property
    def returned_facts(self) -> dict[str, Any]:
        """``returned`` for evidence of a paid call: JSON, nothing where there is none."""
        given = self.returned
        return {} if given is None else {"returned": given.model_dump(mode="json")}


class Result(FrozenRecord):
    """What a command did. A non-zero exit is an ordinary result, a dead sandbox is not."""

    exit_code: int
    output: str
    """Standard output and error as they came, head and tail kept when capped."""
    dropped: int = 0
    """Bytes left out of ``output``."""
    timed_out: bool = False
    seconds: float = 0.0


class Action(FrozenRecord):
    """One tool call carried out, and what the agent was shown."""

    call: ToolCall
    observation: str
    exit_code: int | None = None
    seconds: float = 0.0
    refused: bool = Field(default=False, exclude_if=lambda refused: not refused)
    """The call could be read, and was not carried out: an edit of text that is not there."""


UNUSED_ANSWER = "the attempt ended before this answer, paid before a crash, was acted on"
"""Note of a last step without actions."""


class Step(FrozenRecord):
    """One turn of an attempt: a request, its answer, and what was done about it."""

    index: int
    request: str
    """SHA-256 of the request as sent (messages, tools, limits)."""
    completion: Completion
    actions: tuple[Action, ...] = ()
    note: str = ""
    """What the loop did to the conversation before this request, e.g. an elision."""
    phase: PhaseChoice | None = Field(default=None, exclude_if=lambda phase: phase is None)
    """Of an attempt with phases: who makes this call and why, where that was decided anew."""
    seal: str = ""
    """SHA-256 chain over this step and the one before it; see ``Step.sealed``."""

    def sealed(self, before: str) -> Step:
        """This step with its seal set, chained to the ``before`` step's seal."""
        bare = {**self.model_dump(mode="json"), "seal": ""}
        return self.model_copy(update={"seal": digest_of([before, bare])})
