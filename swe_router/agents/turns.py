"""One turn of a conversation as messages, with its observations or with markers in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from swe_router import toolcalls
from swe_router.records import Action, Message, ToolCall

NOT_DONE = "Not carried out."
"""Reported for a call that came after the last one that was."""
NOT_DONE_AFTER = (
    "Not carried out: this call was written before it was known that one before it in the same"
    " answer could not be carried out. Look at that first."
)
EMPTY_ANSWER = "(empty answer)"
SHORT = 300
"""Bytes up to which an observation stays when older ones are elided."""


@dataclass(frozen=True)
class DialogueTurn:
    """An answer and what is reported to the model."""

    answer: Message
    native: bool
    """The calls came as tool calls, so each is answered by a ``tool`` message."""
    observed: tuple[tuple[ToolCall, str], ...]
    reply: str
    """The reply to an answer without calls."""
    after: str = ""
    """A message after it all, where another model goes on."""

    @classmethod
    def of(
        cls,
        answer: Message,
        calls: Sequence[ToolCall],
        actions: Sequence[Action],
        reply: str,
        rest: str = NOT_DONE,
    ) -> DialogueTurn:
        """A turn; calls without an action are answered with ``rest``, as providers demand."""
        texts = [action.observation for action in actions]
        texts += [rest] * (len(calls) - len(texts))
        observed = tuple(zip(calls, texts, strict=False))
        if not answer.tool_calls and not answer.content.strip():
            # Providers refuse a conversation that holds an empty turn.
            answer = answer.model_copy(update={"content": EMPTY_ANSWER})
        return cls(answer, bool(answer.tool_calls), observed, reply)

    @cached_property
    def whole(self) -> tuple[Message, ...]:
        """The turn as it stands in a request; the same objects in each."""
        return self._messages(elided=False)

    @cached_property
    def elided(self) -> tuple[Message, ...]:
        """The turn with markers in the place of long observations."""
        return self._messages(elided=True)

    def for_other_model(self, *, text: bool) -> DialogueTurn:
        """The turn as a model of another tier is shown it; ``text``: in the text form of calls.

        What only its own provider can read of the answer (thoughts, signatures) is left out.
        """
        answer, native = self.answer.model_copy(update={"kept": ()}), self.native
        calls = [call for call, _ in self.observed]
        if text and native:
            written = toolcalls.render_calls([call for call in calls if not call.error])
            parts = [part for part in (answer.content.strip(), written) if part]
            content = "\n\n".join(parts) or EMPTY_ANSWER
            answer = answer.model_copy(update={"content": content, "tool_calls": ()})
            native = False
        elif not text and not native and calls and not any(call.error for call in calls):
            prose = toolcalls.parse_calls(answer.content).say.strip()
            answer = answer.model_copy(update={"content": prose, "tool_calls": tuple(calls)})
            native = True
        return DialogueTurn(answer, native, self.observed, self.reply)

    def _messages(self, *, elided: bool) -> tuple[Message, ...]:
        messages = self._bare_messages(elided=elided)
        return (*messages, Message(role="user", content=self.after)) if self.after else messages

    def _bare_messages(self, *, elided: bool) -> tuple[Message, ...]:
        if not self.observed:
            return self.answer, Message(role="user", content=self.reply)
        shown = [(call, _elided(text) if elided else text) for call, text in self.observed]
        if self.native:
            return self.answer, *(
                Message(role="tool", content=text, tool_call_id=call.id) for call, text in shown
            )
        parts = [f"{call.name or 'call'} ({call.id}):\n{text}" for call, text in shown]
        return self.answer, Message(role="user", content="\n\n".join(parts))


def _elided(text: str) -> str:
    size = len(text.encode("utf-8", "replace"))
    if size <= SHORT:
        return text
    return f"[{size} bytes were shown here and are left out now; look again if you need them]"
