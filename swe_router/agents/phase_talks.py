"""Conversations of an attempt with phases that are not the arm's own: planner and advisor."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from swe_router import toolcalls
from swe_router.agents.dialogue import Dialogue, DialogueSetup, ModelRequest, call_limits
from swe_router.agents.manifest import Manifest
from swe_router.agents.observation_text import sendable, shortened
from swe_router.agents.prompts import WORK_PLAN
from swe_router.agents.tools import SEARCH
from swe_router.agents.turns import DialogueTurn
from swe_router.records import Action, Completion, Instance, Message, ToolCall, ToolSpec
from swe_router.records.requests import RequestDigests

PLANNER, PLANNER_TASK, PLANNER_LAST = "planner", "planner-task", "planner-last"
ADVISOR, ADVISOR_QUESTION, ADVICE = "advisor", "advisor-question", "advice"
ASK_ADVISOR, TAKE_OVER = "ask-advisor", "take-over"
PROMPTS_OF_ROLE: Mapping[str, Sequence[str]] = {
    "planner": (PLANNER, PLANNER_TASK, PLANNER_LAST, WORK_PLAN),
    "finisher": (TAKE_OVER,),
    "advisor": (ADVISOR, ADVISOR_QUESTION, ADVICE, ASK_ADVISOR),
}
ASK = "ask_advisor"
"""Name of the tool that asks the advisor."""
MAX_SHOWN_BYTES = 1500
"""UTF-8 bytes of one observation that the advisor is shown."""
BYTES_PER_TOKEN = 3
UNKNOWN_WINDOW_BYTES = 60_000
"""Bytes of a question where the size of the advisor's window is unknown."""


def advisor_tool(manifest: Manifest, calls: int) -> ToolSpec:
    """The tool that asks the advisor, who answers at most ``calls`` times."""
    question = {"type": "string", "description": "The question, with all that it takes to answer."}
    return ToolSpec(
        name=ASK,
        description=manifest.say(ASK_ADVISOR, calls=calls).strip(),
        parameters={
            "type": "object",
            "properties": {"question": question},
            "required": ["question"],
            "additionalProperties": False,
        },
    )


def with_advisor_tool(manifest: Manifest, calls: int) -> Manifest:
    """The manifest with the advisor's tool before the last one, which submits."""
    spec, toolset = advisor_tool(manifest, calls), manifest.toolset
    specs = {**toolset.specs, ASK: spec}
    taught = {**toolset.taught, ASK: toolcalls.describe_tool(spec)}
    tools = (*manifest.tools[:-1], ASK, *manifest.tools[-1:])
    known = toolset.model_copy(update={"specs": specs, "taught": taught})
    return manifest.model_copy(update={"tools": tools, "toolset": known})


class PlannerTalk:
    """The planner looks at the repository through ``search`` and writes a work plan."""

    def __init__(
        self, manifest: Manifest, instance: Instance, setup: DialogueSetup, max_calls: int
    ) -> None:
        names = manifest.prompts.model_copy(update={"system": PLANNER, "first": PLANNER_TASK})
        sheet = manifest.model_copy(
            update={"tools": (SEARCH.name,), "prompts": names, "tool_choice": "auto"}
        )
        self._manifest = sheet.at(instance.workdir)
        self.dialogue = Dialogue(sheet, instance, setup)
        self._left = max_calls or None

    def copy(self) -> PlannerTalk:
        """The same conversation, to go on with apart from this one."""
        twin = copy.copy(self)
        twin.dialogue = self.dialogue.copy()
        return twin

    def add(self, completion: Completion, actions: Sequence[Action]) -> str | None:
        """Take an answer in: the work plan once it is written, None before."""
        self._left = self._left - 1 if self._left is not None else None
        calls = self.dialogue.calls(completion)
        if not calls or self._left == 0:
            return toolcalls.plain_answer(completion.message)
        self.dialogue.add(completion, actions)
        if self._left == 1:
            self.dialogue.say_after(self._manifest.say(PLANNER_LAST).strip())
        return "" if self.dialogue.ended else None


class AdvisorTalk:
    """Question after question to the advisor; append-only, so that its cache holds."""

    def __init__(self, manifest: Manifest, instance: Instance, setup: DialogueSetup) -> None:
        self._manifest, self._instance, self._context = manifest, instance, setup.context
        system = Message(role="system", content=manifest.say(ADVISOR).strip())
        self._messages: list[Message] = [system]
        self._digests = RequestDigests()
        self._shown_turns = 0
        """Turns of the asking conversation that it was shown."""

    def copy(self) -> AdvisorTalk:
        """The same conversation, to go on with apart from this one."""
        twin = copy.copy(self)
        twin._messages, twin._digests = list(self._messages), RequestDigests()
        return twin

    def ask(self, call: ToolCall, turns: Sequence[DialogueTurn]) -> None:
        """Put a question; ``turns``: all of the asking conversation, this one included."""
        first = len(self._messages) == 1
        new = turns[self._shown_turns :]
        self._shown_turns = len(turns)
        work = "\n\n".join(filter(None, map(_shown, new)))
        text = self._manifest.say(
            ADVISOR_QUESTION,
            repo=self._instance.repo,
            problem=self._instance.problem.strip() if first else "",
            work=shortened(work, self._room()),
            question=str(call.arguments.get("question", "")).strip(),
        )
        self._messages.append(Message(role="user", content=text.strip()))

    def request(self) -> ModelRequest:
        """The request that puts the question."""
        limits = call_limits(self._context)
        return ModelRequest(tuple(self._messages), (), limits, self._digests)

    def answered(self, completion: Completion) -> str:
        """Take the answer in: what is shown to the one who asked."""
        content = completion.message.content.strip()
        kept = completion.message.model_copy(update={"tool_calls": (), "content": content or "-"})
        self._messages.append(kept)
        return self._manifest.say(ADVICE, text=sendable(content), refused="").strip()

    def refused(self, why: str) -> str:
        """What is shown to the one who asked, where the question could not be put."""
        return self._manifest.say(ADVICE, text="", refused=why).strip()

    def _room(self) -> int:
        """UTF-8 bytes of what was done that one question may hold."""
        context = self._context
        if not context.window:
            return UNKNOWN_WINDOW_BYTES
        free = max(0, context.window - context.max_output_tokens) * BYTES_PER_TOKEN
        used = sum(len(message.content.encode("utf-8", "replace")) for message in self._messages)
        return max(MAX_SHOWN_BYTES, (free - used) // 2)


def _shown(turn: DialogueTurn) -> str:
    """A turn as the advisor reads it."""
    parts = [turn.answer.content.strip()]
    for call, observation in turn.observed:
        if turn.native and not call.error:
            parts.append(toolcalls.render_calls([call]))
        if observation:
            parts.append(f"Shown:\n{shortened(observation, MAX_SHOWN_BYTES)}")
    return "\n".join(part for part in parts if part)
