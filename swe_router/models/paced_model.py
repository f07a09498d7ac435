"""A tier's model whose calls keep to the rate that it may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swe_router import model_abilities
from swe_router.errors import RateLimited
from swe_router.models.metered import message_bytes
from swe_router.rate_limits import RateLimit, RatePacer
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.seams import Model

BYTES_PER_TOKEN = 4
"""Of a prompt, until the provider has counted it."""


@dataclass(frozen=True)
class PacedModel:
    """Put it around what meters and inside what retries: each try waits for its time, unreserved.

    ``held`` receives why a call waits. Raises ``StillAway`` when the run stops meanwhile.
    """

    model: Model
    pacer: RatePacer
    service: str
    limit: RateLimit
    held: Callable[[str], None] = lambda why: None

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        guess = sum(map(message_bytes, messages)) // BYTES_PER_TOKEN + limits.max_output_tokens
        call_id = self.pacer.admit(self.service, self.limit, guess, self.held)
        try:
            answer = self.model.complete(messages, tools, limits=limits)
        except RateLimited as error:
            self.pacer.refused(self.service, self.limit, call_id, error.after)
            raise
        except BaseException:
            self.pacer.ended(self.service, call_id)
            raise
        used = answer.usage.prompt_tokens + answer.usage.output_tokens
        self.pacer.answered(self.service, self.limit, call_id, used)
        return answer

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``."""
        return model_abilities.gives_logprobs(self.model)
