"""What a trajectory file tells of one attempt: how it ended, what it did, what it handed in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from swe_router.records import (
    Action,
    AnswerEnd,
    Completion,
    Exit,
    Message,
    Step,
    ToolCall,
    Trajectory,
    Usage,
)

BASH = "bash"
_CACHES = (
    ("cache_read_input_tokens", "cache_read_tokens"),
    ("cache_creation_input_tokens", "cache_write_tokens"),
)
_WRITTEN = ("cache_creation_tokens", "cache_write_tokens", "created_cache_tokens")
MAX_USD = Decimal(100_000)
"""More than this is no cost of an attempt but a slip of the file."""


@dataclass(frozen=True)
class ForeignTrajectory:
    """One attempt of another system; nothing of it is a label."""

    instance_id: str
    name: str
    """What its file or folder calls it."""
    trajectory: Trajectory
    steps: tuple[Step, ...]
    submission: str = ""
    """The patch that it handed in, as it stands there."""
    model: str = ""
    remark: str = ""
    """What of it could not be read; empty when all was."""


EXITS: Mapping[str, Exit] = {
    "submitted": "submitted",
    "limitsexceeded": "steps",
    "costlimitexceeded": "budget",
    "exit_cost": "budget",
    "steplimitexceeded": "steps",
    "exit_context": "gave_up",
    "contextwindowexceedederror": "gave_up",
    "timeexceeded": "time",
    "exit_total_execution_time": "time",
    "exit_command_timeout": "time",
    "exit_command": "gave_up",
    "exit_forfeit": "gave_up",
    "exit_format": "gave_up",
    "repeatedformaterror": "gave_up",
    "skipped": "interrupted",
    "userinterruption": "interrupted",
}
"""Exit status of mini-swe-agent and SWE-agent in lower case -> ours; anything else broke."""


def exit_of(status: object, submission: str, *, cost_limit: bool = False) -> Exit:
    """Our word for how a foreign attempt ended.

    ``cost_limit``: it had a limit in USD and reached it, which mini-swe-agent does not tell apart
    from its limit of steps. SWE-agent's ``submitted (exit_cost)`` is its limit, not a submission.
    """
    text = str(status or "").strip().casefold()
    inner = text.partition("(")[2].rstrip(")")
    word = inner or text
    if not word:
        return "submitted" if submission.strip() else "broke"
    found = EXITS.get(word, "broke")
    return "budget" if cost_limit and word == "limitsexceeded" else found


def step_of(
    index: int,
    content: str,
    actions: Sequence[Action],
    usage: Usage | None = None,
    usd: Decimal = Decimal(0),
) -> Step:
    """One turn: the model's message, usage and actions."""
    calls = tuple(action.call for action in actions)
    message = Message(role="assistant", content=content, tool_calls=calls)
    stop: AnswerEnd = "tool" if calls else "end"
    done = Completion(message=message, usage=usage or Usage(), usd=usd, stop=stop)
    return Step(index=index, request="", completion=done, actions=tuple(actions))


def bash(
    name: str, command: str, observation: str, code: int | None, seconds: float = 0.0
) -> Action:
    """A shell command that was run, and what was seen of it."""
    call = ToolCall(id=name, name=BASH, arguments={"command": command})
    return Action(call=call, observation=observation, exit_code=code, seconds=seconds)


def sealed(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps chained to each other, which shows any later change; see ``Step.sealed``."""
    chained: list[Step] = []
    for step in steps:
        chained.append(step.sealed(chained[-1].seal if chained else ""))
    return tuple(chained)


def table(value: object) -> Mapping[str, Any]:
    """The value as an object of JSON; an empty one when it is none."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[Any]:
    """The value as a list of JSON; an empty one when it is none."""
    return value if isinstance(value, list) else ()


def text_of(value: object) -> str:
    """A message's content: a text, or the texts of its parts."""
    if isinstance(value, str):
        return _plain(value)
    parts = (table(part).get("text") for part in items(value))
    return _plain("\n".join(part for part in parts if isinstance(part, str)))


def number(value: object) -> int | float | None:
    """A number that a float can hold; None for anything else, and for a truth value."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def integer(value: object) -> int | None:
    """A whole number, as a number or as text; None when it is none."""
    if isinstance(value, str) and len(value) < 12 and value.strip().removeprefix("-").isdecimal():
        value = float(value)
    found = number(value)
    return int(found) if found is not None and abs(found) < 2**53 else None


def natural(value: object) -> int:
    """A whole number from 0; 0 when it is none."""
    return max(0, integer(value) or 0)


def dollars(value: object) -> Decimal:
    """USD, 0 when it is not an amount of money."""
    found = number(value)
    usd = Decimal(0) if found is None else Decimal(repr(found))
    return usd if 0 <= usd <= MAX_USD else Decimal(0)


def seconds(value: object) -> float:
    """Seconds from 0; 0 when it is none."""
    return max(0.0, float(number(value) or 0))


def usage_of(given: object) -> Usage:
    """Tokens of one call as any provider tells them; zeros where it tells none.

    Chat completions (``prompt_tokens``) and responses (``input_tokens`` with their details) count
    tokens read from a cache and written to one as part of the prompt, whatever names of caches
    are given separately; Anthropic's messages (``cache_read_input_tokens`` next to
    ``input_tokens``) do not.
    """
    usage = table(given)
    named = {name for names in _CACHES for name in names}
    apart = "prompt_tokens" not in usage and bool(named & usage.keys())
    read, written = (max(natural(usage.get(name)) for name in names) for names in _CACHES)
    prompt = natural(usage.get("prompt_tokens", usage.get("input_tokens")))
    details = table(usage.get("prompt_tokens_details", usage.get("input_tokens_details")))
    within = 0
    if not apart:
        read = min(natural(details.get("cached_tokens")) or read, prompt)
        counts = (natural(details.get(name)) for name in _WRITTEN)
        written = min(next(filter(None, counts), written), prompt - read)
        within = read + written
    output = natural(usage.get("completion_tokens", usage.get("output_tokens")))
    details = table(usage.get("completion_tokens_details", usage.get("output_tokens_details")))
    return Usage(
        input_tokens=prompt - within,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=min(natural(details.get("reasoning_tokens")), output),
    )


def has_both_counts(given: object) -> bool:
    """Whether a usage tells both counts, of what went in and of what came out."""
    usage = table(given)
    ins, outs = (
        next((usage[name] for name in names if name in usage), None)
        for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    )
    return integer(ins) is not None and integer(outs) is not None


def arguments_of(value: object) -> Mapping[str, Any]:
    """The arguments of a tool call: an object, or the text of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return table(value)


def _plain(text: str) -> str:
    """A lone surrogate (JSON may spell one) could be written nowhere."""
    return text.encode("utf-8", "replace").decode("utf-8")
