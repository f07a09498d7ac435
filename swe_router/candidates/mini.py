"""Trajectories of mini-swe-agent: formats "mini-swe-agent-1" and "mini-swe-agent-1.1"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.candidates.told import (
    Told,
    arguments_of,
    bash,
    dollars,
    exit_of,
    items,
    natural,
    seconds,
    step_of,
    table,
    text_of,
    usage_of,
    whole,
)
from swe_router.records import Action, Step, Trajectory, Usage

_BLOCK = re.compile(r"```(?:bash|mswea_bash_command|sh)\s*?\n(.*?)\n?```", re.DOTALL)
_CODE = re.compile(r"\s*<returncode>\s*(-?\d{1,9})\s*</returncode>\n?")
_OUTPUT = re.compile(r"\s*<output>\n?(.*)</output>\s*\Z", re.DOTALL)


def read(tree: Mapping[str, Any], instance_id: str, name: str) -> Told:
    """One run, from the JSON of its ``.traj.json``; fields that are missing are left out.

    Format 1 has its command in the text of a message and its exit code in that of the next;
    format 1.1 has both in ``extra``. Exit codes, usage and costs stand where the file has them.
    """
    info = table(tree.get("info"))
    stats = table(info.get("model_stats"))
    submission = text_of(info.get("submission"))
    steps = _steps([table(one) for one in items(tree.get("messages"))])
    usd = dollars(stats.get("instance_cost"))
    limit = dollars(table(table(info.get("config")).get("agent")).get("cost_limit"))
    model = table(table(info.get("config")).get("model")).get("model_name")
    status = info.get("exit_status")
    trajectory = Trajectory(
        exit=exit_of(status, submission, cost_limit=bool(limit) and usd >= limit),
        steps=natural(stats.get("api_calls")) or len(steps),
        usage=sum((step.completion.usage for step in steps), Usage()),
        usd=usd,
        why=str(status or "")[:200],
    )
    return Told(
        instance_id=instance_id,
        name=name,
        trajectory=trajectory,
        steps=steps,
        submission=submission,
        model=model if isinstance(model, str) else "",
    )


def _steps(messages: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for place, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        after = _answers(messages[place + 1 :])
        extra = table(message.get("extra"))
        said = text_of(message.get("content"))
        usage = usage_of(table(extra.get("response")).get("usage"))
        usd = extra.get("cost")
        if usd is None:
            usd = table(table(extra.get("response")).get("usage")).get("cost")
        actions = _actions(message, said, after, len(steps))
        steps.append(step_of(len(steps), said, actions, usage, dollars(usd)))
    return tuple(steps)


def _answers(rest: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages up to the model's next turn."""
    found = []
    for message in rest:
        if message.get("role") == "assistant":
            break
        found.append(message)
    return found


def _actions(
    message: Mapping[str, Any], said: str, after: Sequence[Mapping[str, Any]], index: int
) -> list[Action]:
    wanted = _commands(message, said)
    by_call = {one["tool_call_id"]: one for one in after if _is_id(one.get("tool_call_id"))}
    spoken = [one for one in after if one.get("role") in ("user", "tool")]
    made = []
    for number, (call, command) in enumerate(wanted):
        answer = by_call.get(call) or (spoken[number] if number < len(spoken) else {})
        text, code = _observed(answer)
        took = seconds(table(answer.get("extra")).get("execution_time"))
        made.append(bash(call or f"{index}.{number}", command, text, code, took))
    return made


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _commands(message: Mapping[str, Any], said: str) -> list[tuple[str, str]]:
    """Call id (or empty) and command of everything that the model asked for in this turn."""
    named = []
    for one in map(table, items(table(message.get("extra")).get("actions"))):
        if isinstance(one.get("command"), str):
            named.append((str(one.get("tool_call_id") or ""), text_of(one["command"])))
    if named:
        return named
    for call in map(table, items(message.get("tool_calls"))):
        command = arguments_of(table(call.get("function")).get("arguments")).get("command")
        if isinstance(command, str):
            named.append((str(call.get("id") or ""), text_of(command)))
    if named:
        return named
    # mini-swe-agent carries out a turn only when it holds exactly one block.
    blocks = _BLOCK.findall(said)
    return [("", blocks[0].strip())] if len(blocks) == 1 else []


def _observed(answer: Mapping[str, Any]) -> tuple[str, int | None]:
    """What was shown of a command, and its exit code where that is told."""
    extra, text = table(answer.get("extra")), text_of(answer.get("content"))
    code = _CODE.match(text)
    if code is not None:
        inner = _OUTPUT.match(text, code.end())
        text = inner.group(1) if inner else text[code.end() :]
    told = whole(extra.get("returncode"))
    if isinstance(extra.get("raw_output"), str):
        text = text_of(extra["raw_output"])
    return text, told if told is not None else int(code.group(1)) if code else None
