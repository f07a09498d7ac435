"""One call that waits where it stands while its provider is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swe_router import model_abilities
from swe_router.breaker import Breaker
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.seams import Model


@dataclass(frozen=True)
class WaitingModel:
    """A tier's model behind the run's breaker; put it around what meters and retries.

    ``instance`` is the caller, ``held`` receives why a call waits, ``check`` raises a
    ``ModelError`` when the tier's server does not answer at all, at no cost.
    """

    model: Model
    breaker: Breaker
    tier: str
    instance: str
    held: Callable[[str], None] = lambda why: None
    check: Callable[[], None] = lambda: None

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``. Raises ``StillAway`` when the run gave the tier up or stops."""
        return self.breaker.call_when_available(
            service_name(self.tier),
            lambda: self.model.complete(messages, tools, limits=limits),
            instance_id=self.instance,
            on_pause=self.held,
            check_service=self.check,
        )

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``."""
        return model_abilities.gives_logprobs(self.model)


def service_name(tier: str) -> str:
    """A tier as the breaker names it."""
    return f"tier {tier}"
