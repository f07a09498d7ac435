"""Cost of a verifier's own calls, recorded however it ends: a failed verdict has a cost too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from swe_router import model_abilities
from swe_router.records import CallLimits, Completion, Message, ToolSpec, Verdict
from swe_router.seams import Model, VerificationContext


@dataclass(frozen=True)
class CallTally:
    """A model whose paid answers are noted while one verdict is made."""

    model: Model
    calls: list[dict[str, Any]] = field(default_factory=list)

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        answer = self.model.complete(messages, tools, limits=limits)
        self.calls.append(
            {
                "sample": limits.seed or 1,
                "usd": str(answer.usd),
                "usage": answer.usage.model_dump(mode="json"),
                **answer.returned_facts,
            }
        )
        return answer

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``."""
        return model_abilities.gives_logprobs(self.model)


def with_call_tally(
    context: VerificationContext,
) -> tuple[VerificationContext, list[dict[str, Any]]]:
    """The context for one verdict, and the list that its paid calls will stand in."""
    calls: list[dict[str, Any]] = []
    writer = CallTally(context.writer, calls) if context.writer is not None else None
    judge = CallTally(context.judge, calls) if context.judge is not None else None
    return replace(context, writer=writer, judge=judge), calls


def with_costs(
    verdict: Verdict, attempt_id: str, context: VerificationContext, calls: Sequence[dict[str, Any]]
) -> Verdict:
    """The verdict with all that it paid for, however it ended.

    Counted are ``calls``, those of this process, and what an earlier one noted for this attempt.
    """
    noted = _noted_calls(verdict.verifier, attempt_id, context)
    paid = [*noted, *(call for call in calls if call not in noted)]
    if not paid:
        return verdict
    usd = sum((Decimal(str(call["usd"])) for call in paid), Decimal(0))
    facts = {name: what for name, what in verdict.evidence.items() if name != "paid_before"}
    return verdict.model_copy(update={"evidence": {**facts, "usd": str(usd), "calls": paid}})


def costs_nothing_again(
    verifier: str, attempt_id: str, context: VerificationContext, calls: Sequence[dict[str, Any]]
) -> bool:
    """Whether the verifier noted each answer of ``calls``, so that it does not ask for it twice."""
    noted = _noted_calls(verifier, attempt_id, context)
    return all(call in noted for call in calls)


def _noted_calls(
    verifier: str, attempt_id: str, context: VerificationContext
) -> list[dict[str, Any]]:
    """The paid calls that the verifier's notes charge to the attempt."""
    noted: list[dict[str, Any]] = []
    for key in context.notes:
        note = context.notes[key] if key.startswith(f"{verifier}:") else None
        if isinstance(note, Mapping) and note.get("charged_to") == attempt_id:
            paid = {name: note[name] for name in ("returned",) if name in note}
            paid = {"sample": 1, "usd": note.get("usd"), "usage": note.get("usage"), **paid}
            noted.append(dict(note.get("call") or paid))
    return noted
