"""Trajectories of mini-swe-agent: formats "mini-swe-agent-1" and "mini-swe-agent-1.1"."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swe_router.candidates.trajectory import (
    ForeignTrajectory,
    arguments_of,
    bash,
    dollars,
    exit_of,
    integer,
    items,
    natural,
    seconds,
    step_of,
    table,
    text_of,
    usage_of,
)
from swe_router.records import Action, Step, Trajectory, Usage

_BLOCK = re.compile(r"```(?:bash|mswea_bash_command|sh)\s*?\n(.*?)\n?```", re.DOTALL)
_ROLES = frozenset(("system", "developer", "user", "tool", "exit"))
_CODE = re.compile(r"\s*<returncode>\s*(-?\d{1,9})\s*</returncode>\n?")
_OUTPUT = re.compile(r"\s*<output>\n?(.*)</output>\s*\Z", re.DOTALL)


def read_mini_swe_agent(tree: Mapping[str, Any], instance_id: str, name: str) -> ForeignTrajectory:
    """One run, from the JSON of its ``.traj.json``; fields that are missing are left out.

    Format 1 has its command in the text of a message and its exit code in that of the next;
    format 1.1 has both in ``extra``. Of the classes for the Responses API a turn is the raw
    response. A call whose answer had no usable command stands in the message that says so, and is
    a step too. What of it was not read stands in ``remark``.
    """
    info = table(tree.get("info"))
    stats = table(info.get("model_stats"))
    submission = text_of(info.get("submission"))
    messages = [table(one) for one in items(tree.get("messages"))]
    steps = _steps(messages)
    calls = natural(stats.get("api_calls"))
    usd = dollars(stats.get("instance_cost"))
    limit = dollars(table(table(info.get("config")).get("agent")).get("cost_limit"))
    model = table(table(info.get("config")).get("model")).get("model_name")
    status = info.get("exit_status")
    trajectory = Trajectory(
        exit=exit_of(status, submission, cost_limit=bool(limit) and usd >= limit),
        steps=calls or len(steps),
        usage=sum((step.completion.usage for step in steps), Usage()),
        usd=usd,
        why=str(status or "")[:200],
    )
    return ForeignTrajectory(
        instance_id=instance_id,
        name=name,
        trajectory=trajectory,
        steps=steps,
        submission=submission,
        model=model if isinstance(model, str) else "",
        remark=_unread(messages, calls, len(steps)),
    )


def usages(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The provider's count of tokens for each call of the run that has one, as it stands there."""
    found = (_turn(table(one)) for one in items(tree.get("messages")))
    return [turn.usage for turn in found if turn is not None and turn.usage]


def _unread(messages: Sequence[Mapping[str, Any]], calls: int, read: int) -> str:
    """A remark on calls that were not read; a failed call leaves no message."""
    strange = sum(_turn(one) is None and not _is_no_turn(one) for one in messages)
    if not strange and calls - read < 2:
        return ""
    remark = f"it reports {calls or 'some'} model calls and {read} steps were read"
    if strange:
        remark += f"; {strange} of its {len(messages)} messages are of a form that is not known"
    return remark


@dataclass(frozen=True)
class _MiniTurn:
    """One answer of the model, wherever it stands."""

    content: str
    calls: Sequence[tuple[str, str]]
    """Call id (or empty) and command of all that it asked for."""
    usage: Mapping[str, Any]
    usd: object


def _turn(message: Mapping[str, Any]) -> _MiniTurn | None:
    """The model's answer that a message is, or tells of; None for any other message."""
    extra = table(message.get("extra"))
    answer = table(extra.get("response"))
    cost = extra.get("cost")
    if message.get("object") == "response" or _spoke(message):
        content, calls = _responded(message)
        own = table(message.get("usage")) or table(answer.get("usage"))
        return _MiniTurn(
            content, _acted(extra) or calls, own, own.get("cost") if cost is None else cost
        )
    usage = table(answer.get("usage"))
    cost = usage.get("cost") if cost is None else cost
    if message.get("role") == "assistant":
        content = text_of(message.get("content"))
        return _MiniTurn(content, _acted(extra) or _called(message, content), usage, cost)
    if "response" in extra or extra.get("interrupt_type") == "FormatError":
        # Of an answer that could not be carried out only this word of it is kept.
        choice = table(next(iter(items(answer.get("choices"))), None))
        content = text_of(table(choice.get("message")).get("content")) or _responded(answer)[0]
        return _MiniTurn(content or text_of(extra.get("model_response")), (), usage, cost)
    return None


def _spoke(message: Mapping[str, Any]) -> bool:
    """An answer of the Responses API that lost its ``object``."""
    return "role" not in message and isinstance(message.get("output"), list) and (
        message.get("type") != "function_call_output"
    )  # fmt: skip


def _responded(message: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """What a response says, and the commands that it calls for."""
    content, calls = [], []
    for item in map(table, items(message.get("output"))):
        if item.get("type") == "message":
            content.append(text_of(item.get("content")))
        command = arguments_of(item.get("arguments")).get("command")
        if item.get("type") == "function_call" and isinstance(command, str):
            calls.append((str(item.get("call_id") or item.get("id") or ""), text_of(command)))
    return "\n".join(content), calls


def _is_no_turn(message: Mapping[str, Any]) -> bool:
    """Whether a message is one that stands between the model's turns."""
    role, kind = message.get("role"), message.get("type")
    return str(role) in _ROLES or kind in ("function_call_output", "message")


def _steps(messages: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for place, message in enumerate(messages):
        turn = _turn(message)
        if turn is None:
            continue
        actions = _actions(turn, _answers(messages[place + 1 :]), len(steps))
        usage, usd = usage_of(turn.usage), dollars(turn.usd)
        steps.append(step_of(len(steps), turn.content, actions, usage, usd))
    return tuple(steps)


def _answers(rest: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages up to the model's next turn."""
    return list(itertools.takewhile(lambda message: _turn(message) is None, rest))


def _actions(turn: _MiniTurn, after: Sequence[Mapping[str, Any]], index: int) -> list[Action]:
    by_call = {name: one for one in after if (name := _answered(one))}
    spoken = [one for one in after if one.get("role") in ("user", "tool") or _answered(one)]
    made = []
    for number, (call, command) in enumerate(turn.calls):
        answer = by_call.get(call) or (spoken[number] if number < len(spoken) else {})
        text, code = _observed(answer)
        took = seconds(table(answer.get("extra")).get("execution_time"))
        made.append(bash(call or f"{index}.{number}", command, text, code, took))
    return made


def _answered(message: Mapping[str, Any]) -> str:
    """Id of the call that a message answers; empty for none."""
    found = (message.get("tool_call_id"), message.get("call_id"))
    return next((one for one in found if isinstance(one, str)), "")


def _acted(extra: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Call id and command of what mini-swe-agent itself read out of the turn."""
    return [
        (str(one.get("tool_call_id") or ""), text_of(one["command"]))
        for one in map(table, items(extra.get("actions")))
        if isinstance(one.get("command"), str)
    ]


def _called(message: Mapping[str, Any], content: str) -> list[tuple[str, str]]:
    """Call id (or empty) and command of everything that a chat message asks for."""
    named = []
    for call in map(table, items(message.get("tool_calls"))):
        command = arguments_of(table(call.get("function")).get("arguments")).get("command")
        if isinstance(command, str):
            named.append((str(call.get("id") or ""), text_of(command)))
    if named:
        return named
    # mini-swe-agent carries out a turn only when it holds exactly one block.
    blocks = _BLOCK.findall(content)
    return [("", blocks[0].strip())] if len(blocks) == 1 else []


def _observed(answer: Mapping[str, Any]) -> tuple[str, int | None]:
    """The shown output of a command, and its exit code where the message has one."""
    extra = table(answer.get("extra"))
    text = text_of(answer.get("content", answer.get("output")))
    code = _CODE.match(text)
    if code is not None:
        inner = _OUTPUT.match(text, code.end())
        text = inner.group(1) if inner else text[code.end() :]
    code_given = integer(extra.get("returncode"))
    if isinstance(extra.get("raw_output"), str):
        text = text_of(extra["raw_output"])
    return text, code_given if code_given is not None else int(code.group(1)) if code else None
