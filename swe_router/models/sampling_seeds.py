"""Independent answers of one tier to the same question: each seed is a session of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from swe_router import model_abilities
from swe_router.model_abilities import BatchItem, BatchService, HasBatches
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.seams import Model
from swe_router.settings import Tier


class SamplingSeeds:
    """A tier as verifiers ask it: its own caps and temperature, one fresh session a seed.

    ``made`` gives the bare model of a session name ``INSTANCE#SEED``. The seed itself is sent
    only to tiers that have a temperature of their own: others answer without, and differ anyway.
    """

    def __init__(self, tier: Tier, made: Callable[[str], Model], instance_id: str) -> None:
        self._tier, self._made, self._instance = tier, made, instance_id
        self._sessions: dict[int, Model] = {}

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        session, own = self._session(limits.seed or 1), self._own_limits(limits)
        return session.complete(messages, tools, limits=own)

    def item(
        self,
        custom_id: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
        *,
        limits: CallLimits,
    ) -> BatchItem:
        """See ``model_abilities.BatchService``; only where the tier takes batches."""
        service = _batches_of(self._session(limits.seed or 1))
        assert service is not None, "asked of a tier that takes no batches"
        return service.item(custom_id, messages, tools, limits=self._own_limits(limits))

    @property
    def takes_batches(self) -> bool:
        """Whether its calls can go in batches."""
        return _batches_of(self._session(1)) is not None

    def _own_limits(self, limits: CallLimits) -> CallLimits:
        """The limits of a call within those of its tier."""
        tier = self._tier
        warm = tier.temperature is not None
        return limits.model_copy(
            update={
                "max_output_tokens": min(limits.max_output_tokens, tier.max_output_tokens),
                "timeout": min(limits.timeout, tier.timeout),
                "temperature": tier.temperature if warm else limits.temperature,
                "seed": limits.seed if warm else None,
            }
        )

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``."""
        return model_abilities.gives_logprobs(self._session(1))

    def _session(self, seed: int) -> Model:
        if seed not in self._sessions:
            self._sessions[seed] = self._made(f"{self._instance}#{seed}")
        return self._sessions[seed]


def _batches_of(model: Model) -> BatchService | None:
    return model.batches() if isinstance(model, HasBatches) else None
