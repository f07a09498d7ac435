"""Recorded runs as conversations to send again, as they were and changed; for caching.py."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swe_router.records import Message, ToolCall

WINDOW, ANSWER, KEPT_TURNS, MARKER_TOKENS = 32_768, 8_192, 6, 25
"""Of the scenario with a small window: tokens, tokens, turns that stay whole, tokens of what stands
in the place of an observation."""
_COMMAND = re.compile(r"```(?:bash)?\n(.*?)\n```", re.DOTALL)


@dataclass
class Call:
    """One request of a conversation: when, what, and the tokens that came back."""

    at: float
    messages: list[Message]
    output_tokens: int


@dataclass
class Talk:
    """One recorded run."""

    calls: list[Call] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    """Text of a block -> its tokens."""
    cached: int = 0
    """Prompt tokens that the real provider read from its cache."""
    prompt: int = 0


def read_talk(path: Path) -> Talk:
    """A recorded run; its commands as calls of a tool."""
    raw: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["messages"]
    talk, messages = Talk(), []
    spoken = [at for at, one in enumerate(raw) if one["role"] == "assistant"]
    for one in raw[: spoken[0]]:
        messages.append(Message(role=one["role"], content=one["content"]))
    measured = 0
    sizes: list[tuple[str, int]] = [(one.content, len(one.content)) for one in messages]
    for number, at in enumerate(spoken):
        response = raw[at]["extra"]["response"]
        usage = response["usage"]
        _share(talk.tokens, sizes, max(1, usage["prompt_tokens"] - measured))
        measured = max(measured, usage["prompt_tokens"])
        output = int(usage["completion_tokens"])
        talk.calls.append(Call(float(response["created"]), list(messages), output))
        talk.prompt += usage["prompt_tokens"]
        talk.cached += usage["prompt_tokens_details"]["cached_tokens"]
        turn = _turn(raw, at, number)
        messages += turn
        sizes = [(text, len(text)) for one in turn for text in _texts(one)]
    return talk


def _turn(raw: Sequence[dict[str, Any]], at: int, number: int) -> list[Message]:
    text = raw[at]["content"]
    found = _COMMAND.search(text)
    seen = raw[at + 1]["content"] if at + 1 < len(raw) else "(over)"
    if found is None:
        return [Message(role="assistant", content=text), Message(role="user", content=seen)]
    call = ToolCall(id=f"c{number}", name="bash", arguments={"command": found[1]})
    thought = text[: found.start()].strip() or "Next."
    return [
        Message(role="assistant", content=f"{thought} [{number}]", tool_calls=(call,)),
        Message(role="tool", content=seen or "(empty)", tool_call_id=call.id),
    ]


def _texts(message: Message) -> list[str]:
    """Texts of the blocks that a message becomes."""
    return [message.content, *(f"{c.id} {c.arguments['command']}" for c in message.tool_calls)]


def _share(tokens: dict[str, int], sizes: Sequence[tuple[str, int]], whole: int) -> None:
    """Give the tokens that a request counted more than the last to what is new in it, by length."""
    length = sum(size for _, size in sizes) or 1
    for text, size in sizes:
        tokens[text] = max(1, round(whole * size / length))


def many_calls(talk: Talk, per_turn: int = 12) -> Talk:
    """The same work with ``per_turn`` calls in each turn."""
    head = list(talk.calls[0].messages)
    rest = talk.calls[-1].messages[len(head) :]
    made = Talk(tokens=talk.tokens)
    for start in range(0, len(talk.calls), per_turn):
        group = talk.calls[start : start + per_turn]
        made.calls.append(Call(group[0].at, list(head), sum(c.output_tokens for c in group)))
        steps = rest[2 * start : 2 * (start + per_turn)]
        calls = tuple(call for one in steps for call in one.tool_calls)
        said = next((one.content for one in steps if one.role == "assistant"), "")
        head.append(Message(role="assistant", content=said, tool_calls=calls))
        head += [one for one in steps if one.role == "tool"]
        if not calls:
            head += [
                Message(role="user", content=one.content) for one in steps if one.role == "user"
            ]
    return made


def slow_commands(talk: Talk, every: int = 8, seconds: float = 400.0) -> Talk:
    """The same conversation in which each ``every``th command takes ``seconds`` longer."""
    calls = [
        Call(one.at + seconds * (number // every), one.messages, one.output_tokens)
        for number, one in enumerate(talk.calls)
    ]
    return Talk(calls, talk.tokens)


def small_window(talk: Talk) -> Talk:
    """The same conversation in a window of 32,768 tokens: old observations give way in one step."""
    made, gone = Talk(tokens=dict(talk.tokens)), 0
    made.tokens["[left out]"] = MARKER_TOKENS
    for call in talk.calls:
        messages = _elided(call.messages, gone)
        if _prompt_tokens(messages, made.tokens) > WINDOW - ANSWER:
            seen = sum(one.role == "tool" for one in call.messages)
            gone = max(gone, seen - KEPT_TURNS)
            messages = _elided(call.messages, gone)
        made.calls.append(Call(call.at, messages, call.output_tokens))
    return made


def _elided(messages: Sequence[Message], count: int) -> list[Message]:
    made, left = [], count
    for one in messages:
        if one.role == "tool" and left > 0:
            made.append(one.model_copy(update={"content": "[left out]"}))
            left -= 1
        else:
            made.append(one)
    return made


def _prompt_tokens(messages: Sequence[Message], tokens: dict[str, int]) -> int:
    return sum(tokens.get(text, 1) for one in messages for text in _texts(one))


Scenario = Callable[[Talk], Talk]
SCENARIOS: dict[str, Scenario] = {
    "as recorded": lambda talk: talk,
    "12 calls in a turn": many_calls,
    "each 8th command 400 s": slow_commands,
    "a window of 32,768": small_window,
}
