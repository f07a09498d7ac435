"""A model from another package: it writes one file with the shell and submits."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.records import CallLimits, Completion, Message, ToolCall, ToolSpec, Usage
from swe_router.settings import Tier

CALLS = (
    ToolCall(id="1", name="bash", arguments={"command": "echo outside-model > outside_model.txt"}),
    ToolCall(id="2", name="submit"),
)


class NoteTaker:
    """Answers by the number of its earlier answers, so that a resume goes on where it stopped."""

    def __init__(self, tier: Tier, *, session: str, key: str) -> None:
        self.name, self.session = tier.model, session

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        turn = sum(message.role == "assistant" for message in messages)
        call = CALLS[min(turn, len(CALLS) - 1)]
        return Completion(
            message=Message(role="assistant", content="outside-model", tool_calls=(call,)),
            usage=Usage(input_tokens=100, output_tokens=10),
            stop="tool",
            model=f"outside-model:{self.name}",
            request_id=f"{self.session}/{turn}",
        )
