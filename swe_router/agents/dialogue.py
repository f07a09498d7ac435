"""The conversation as a pure value machine: live, after a crash and in a replay it is the same.

It is append-only: each request begins with the whole request before it, so that prompt caches
hold. When the window nears, old observations give way in one step, and it is append-only again.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from swe_router import toolcalls
from swe_router.agents import loop_rules, prompts, tools
from swe_router.agents.manifest import Manifest
from swe_router.agents.turns import NOT_DONE, NOT_DONE_AFTER, DialogueTurn
from swe_router.records import (
    Action,
    CallLimits,
    Completion,
    Exit,
    Instance,
    Message,
    PhaseChoice,
    ToolCall,
    ToolSpec,
)
from swe_router.records.requests import RequestDigests
from swe_router.seams import AttemptContext

BYTES_PER_TOKEN = 3
"""A low estimate for text that no usage has measured yet, so that tokens come out high."""
ToolChoice = Literal["auto", "required"]
_CUT = frozenset({"length", "window"})
MIN_OBSERVATION = 1000
"""Bytes below which an observation is not worth cutting."""
ROOMY = 0.7
"""Share of the window that an elision aims for, so that it is not needed again at once."""


@dataclass(frozen=True)
class DialogueSetup:
    """What shapes the requests of an attempt: its context, and the run's limits of a command."""

    context: AttemptContext
    command_timeout: float = 120.0
    """Seconds of a command that asks for no other limit."""
    command_timeout_max: float = 600.0
    """The most seconds that a command can ask for."""


@dataclass(frozen=True)
class ModelRequest:
    """What is sent to the model."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    limits: CallLimits
    digests: RequestDigests = field(default_factory=RequestDigests, compare=False, repr=False)
    """Of the conversation that this is a request of, so that only what is new is read."""

    def digest(self) -> str:
        """SHA-256 of messages, tools and limits: ``Step.request``."""
        return self.digests.of(self.messages, self.tools, self.limits)

    def size(self) -> int:
        """UTF-8 bytes of all that the model reads."""
        return sum(map(prompts.message_bytes_of, self.messages)) + sum(
            map(prompts.message_bytes_of, self.tools)
        )


def call_limits(
    context: AttemptContext, tool_choice: ToolChoice = "auto", gaps: tuple[float, ...] = ()
) -> CallLimits:
    """The limits of a call as the tier of an attempt has them; ``gaps``: see ``CallLimits``."""
    return CallLimits(
        max_output_tokens=context.max_output_tokens,
        timeout=context.timeout,
        gaps=gaps,
        temperature=context.temperature,
        seed=context.seed,
        tool_choice=tool_choice,
    )


def last_call_failed(actions: Sequence[Action]) -> bool:
    """Whether the last call could not be read, or was refused."""
    return bool(actions) and (actions[-1].refused or bool(actions[-1].call.error))


class Dialogue:
    """One conversation; ``room``, ``request``, ``calls`` and ``add`` are called once a turn.

    Its tier is the attempt's own in every call: see ``phased_dialogue`` for what else there is.
    """

    tier, only_helps = "", False
    phase: PhaseChoice | None = None

    def __init__(self, manifest: Manifest, instance: Instance, setup: DialogueSetup) -> None:
        manifest, context = manifest.at(instance.workdir), setup.context
        self._manifest, self._context = manifest, context
        self._rules = loop_rules.rules_of(manifest.rules)
        self._window = context.window
        """Tokens: the tier's, or fewer where the server had no more; 0 is unknown."""
        self._full = False
        self.offered = manifest.offered
        self._head = prompts.opening_messages(
            manifest,
            instance,
            text=context.text_tools,
            timeouts=(setup.command_timeout, setup.command_timeout_max),
            handover=context.handover,
            continued=context.continued,
            variant=context.variant,
            image_tokens=context.image_tokens,
            work_plan=context.work_plan,
        )
        self._turns: list[DialogueTurn] = []
        self._gaps: list[float] = []
        """Seconds from each call to the next, without the times in which a service was away."""
        self._elided = 0
        self._messages: list[Message] = list(self._head)
        self._digests = RequestDigests()
        self._size = self.request().size()
        """UTF-8 bytes of the next request; kept up, like ``_messages``, with what is added."""
        self._measured: tuple[int, int, int] | None = None
        """Prompt tokens, bytes and elision of the last request that a usage measured."""
        self._read: tuple[Completion, tuple[ToolCall, ...]] | None = None
        """The answer that was read last, and what it asks for."""
        self._malformed = self._silent = 0
        self.ended: tuple[Exit, str] | None = None
        """How the model's own doing ended the attempt, once it did."""

    @property
    def observation_bytes(self) -> int:
        """Bytes of one observation: the manifest's, or what a small window bears."""
        most = self._manifest.limits.observation_bytes
        if not self._context.window:
            return most
        free = self._context.window - self._context.max_output_tokens
        # A third of the room, at three bytes a token.
        room = free - math.ceil(sum(map(prompts.message_bytes_of, self._head)) / BYTES_PER_TOKEN)
        return max(MIN_OBSERVATION, min(most, room))

    def request(self) -> ModelRequest:
        """The next request."""
        context = self._context
        limits = call_limits(
            context,
            "auto" if context.text_tools else self._manifest.tool_choice,
            tuple(self._gaps),
        )
        return ModelRequest(tuple(self._messages), self._sent, limits, self._digests)

    @property
    def _sent(self) -> tuple[ToolSpec, ...]:
        """The tools of a request."""
        return () if self._context.text_tools else self.offered

    def own_action(self, call: ToolCall) -> Action | None:
        """What comes of a call that no tool carries out; None for all others."""
        return None

    def ends_turn(self, call: ToolCall) -> bool:
        """Whether nothing behind this call is carried out."""
        return False

    def refused(self, why: str) -> bool:
        """Whether the attempt goes on, though its next call cannot be made."""
        return False

    def recall(self, phase: PhaseChoice | None) -> None:
        """Take in what a recorded step says that was refused before it."""

    @property
    def turns(self) -> Sequence[DialogueTurn]:
        """All turns so far, oldest first."""
        return self._turns

    def estimated_tokens(self) -> int:
        """Tokens of the next request, measured where a usage is known."""
        return self._estimate()

    def adopt(self, turn: DialogueTurn, seconds: float = 0.0) -> None:
        """Add a turn that a model of another tier made, in ``seconds`` with what it asked for."""
        if self._gaps:
            self._gaps[-1] += seconds
        self._append(turn.for_other_model(text=self._context.text_tools))

    def say_after(self, text: str) -> None:
        """Say something after the last turn, before the next answer; needs a turn."""
        self._turns[-1] = replace(self._turns[-1], after=text)
        added = Message(role="user", content=text)
        self._messages.append(added)
        self._size += prompts.message_bytes_of(added)

    def copy(self) -> Dialogue:
        """The same conversation, to go on with apart from this one."""
        twin = copy.copy(self)
        twin._turns, twin._messages = list(self._turns), list(self._messages)
        twin._gaps = list(self._gaps)
        twin._digests = RequestDigests()
        return twin

    def make_room(self) -> str:
        """Elide if the next request nears the window; the note for the step, empty if not.

        Sets ``ended`` when even that does not make it fit.
        """
        limit = self._window - self._context.max_output_tokens
        before, full = self._estimate(), self._full
        self._full = False
        if not self._window or (before <= limit and not full):
            return ""
        keep, old = self._manifest.limits.keep_turns, self._elided
        while keep:
            self._elide(max(old, len(self._turns) - keep))
            keep = keep // 2 if self._estimate() > limit * ROOMY else 0
        after = self._estimate()
        if after > limit:
            self.ended = (
                "gave_up",
                f"the conversation (about {after} tokens) and an answer of"
                f" {self._context.max_output_tokens} do not fit the window of"
                f" {self._window} tokens, even without old observations",
            )
        return (
            f"elided the observations of turns {old + 1} to {self._elided}:"
            f" about {before} tokens became {after}, of {limit}"
        )

    def _elide(self, turns: int) -> None:
        """Put markers in the place of the observations of the first ``turns`` turns."""
        self._elided = turns
        old = (one for turn in self._turns[:turns] for one in turn.elided)
        new = (one for turn in self._turns[turns:] for one in turn.whole)
        self._messages = [*self._head, *old, *new]
        self._size = self.request().size()

    def _estimate(self) -> int:
        """Tokens of the next request: the last measured ones and the bytes added since."""
        size = self._size
        if self._measured is None:
            return math.ceil(size / BYTES_PER_TOKEN)
        tokens, measured, elided = self._measured
        if elided == self._elided:
            # A conversation that was dense so far, as of hex dumps, is taken to go on so.
            dense = min(BYTES_PER_TOKEN, measured / tokens)
            return tokens + math.ceil((size - measured) / dense)
        return math.ceil(size * tokens / measured * 1.05)

    def calls(self, completion: Completion) -> tuple[ToolCall, ...]:
        """What the answer asks for, checked; text is read where there is no native call."""
        if self._read is None or self._read[0] is not completion:
            self._read = completion, self._calls(completion)
        return self._read[1]

    def _calls(self, completion: Completion) -> tuple[ToolCall, ...]:
        found, cut = completion.message.tool_calls, completion.stop in _CUT
        if not found:
            parsed = toolcalls.parse_calls(
                completion.message.content, self.offered, strays=self._rules.strays_stop
            )
            found = parsed.calls
            cut = cut and (parsed.unclosed or any(call.error for call in found))
        calls = [tools.checked_call(call, self.offered) for call in found]
        if calls and cut:
            # A cut-off call may be complete JSON and still lack half of its text.
            error = self._cut_off(completion, call=True)
            calls[-1] = calls[-1].model_copy(update={"error": error})
        return tuple(calls)

    def corrective(self, call: ToolCall) -> Action:
        """The answer to a call that is not carried out because of its ``error``."""
        text = self._manifest.say(self._manifest.prompts.malformed, error=call.error)
        return Action(call=call, observation=text)

    def add(self, completion: Completion, actions: Sequence[Action]) -> None:
        """The answer and what came of it; sets ``ended`` when that ends the attempt."""
        tokens = completion.usage.prompt_tokens
        if tokens:
            self._measured = (tokens, self._size, self._elided)
        if self._is_full(completion):
            self._full = True
            held = tokens + completion.usage.output_tokens if tokens else 0
            self._window = min(filter(None, (self._window, held)), default=0)
        calls = self.calls(completion)
        reply = "" if calls else self._nudge(completion)
        waits = self._rules.rest_waits and last_call_failed(actions)
        rest = NOT_DONE_AFTER if waits else NOT_DONE
        turn = DialogueTurn.of(completion.message, calls, actions, reply, rest)
        self._append(turn)
        self._gaps.append(completion.usage.seconds + sum(action.seconds for action in actions))
        self.ended = self._ending(completion, calls, actions)

    def _append(self, turn: DialogueTurn) -> None:
        self._turns.append(turn)
        self._messages += turn.whole
        self._size += sum(map(prompts.message_bytes_of, turn.whole))

    def _nudge(self, completion: Completion) -> str:
        names = self._manifest.prompts
        if completion.stop in _CUT:
            return self._cut_off(completion, call=False)
        example = self._manifest.toolset.example
        return self._manifest.say(names.nudge, text=self._context.text_tools, example=example)

    def _is_full(self, completion: Completion) -> bool:
        return completion.stop == "window" and self._rules.window_reported

    def _cut_off(self, completion: Completion, *, call: bool) -> str:
        name, most = self._manifest.prompts.cut_off, self._context.max_output_tokens
        full = self._is_full(completion)
        return self._manifest.say(name, max_output_tokens=most, call=call, window_full=full)

    def _ending(
        self, completion: Completion, calls: Sequence[ToolCall], actions: Sequence[Action]
    ) -> tuple[Exit, str] | None:
        done = [action for action in actions if not action.call.error]
        if done and done[-1].call.name == tools.SUBMIT:
            return "submitted", "the model called submit"
        if completion.stop == "refusal" and not calls:
            return "gave_up", "the model refused to go on"
        limits = self._manifest.limits
        self._silent = 0 if calls else self._silent + 1
        if calls:
            readable = any(not call.error for call in calls)
            self._malformed = 0 if readable else self._malformed + 1
        if self._silent >= limits.silent:
            return "gave_up", f"{self._silent} answers in a row held no tool call"
        if self._malformed >= limits.malformed:
            return "gave_up", f"{self._malformed} answers in a row held only malformed tool calls"
        return None
