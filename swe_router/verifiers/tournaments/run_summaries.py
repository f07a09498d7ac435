"""What an attempt did, shortened: the log that a summary is made of, and the summary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from swe_router.records import Action, Step
from swe_router.verifiers.asking.json_answers import object_with_code, plain_text

FIELDS = ("cause", "change", "checked", "doubts")
MAX_FIELD_CHARS = 800
MAX_THOUGHT_CHARS, MAX_CALL_CHARS, MAX_OUTPUT_CHARS = 600, 300, 500
"""Characters that are shown of each part of a step."""
LEFT_OUT = "(steps are left out here)"


def run_log(steps: Sequence[Step], max_chars: int) -> str:
    """The steps of a run in words: the first and the last of them where not all have room."""
    parts = ["\n".join(_step_lines(step)) for step in steps]
    if sum(len(part) + 1 for part in parts) <= max_chars:
        return "\n".join(parts)
    head: list[str] = []
    tail: list[str] = []
    room = max_chars - len(LEFT_OUT) - 2
    while parts:
        # What a run ends with shows most of what came of it: two parts of the room for the end.
        take_tail = sum(map(len, tail)) <= 2 * sum(map(len, head))
        part = parts.pop() if take_tail else parts.pop(0)
        room -= len(part) + 1
        if room < 0:
            break
        if take_tail:
            tail.insert(0, part)
        else:
            head.append(part)
    return "\n".join([*head, LEFT_OUT, *tail])[:max_chars]


def _step_lines(step: Step) -> Iterator[str]:
    thought = plain_text(step.completion.message.content, MAX_THOUGHT_CHARS)
    yield f"[step {step.index + 1}] {thought}".rstrip()
    for action in step.actions:
        yield from _action_lines(action)


def _action_lines(action: Action) -> Iterator[str]:
    arguments = json.dumps(dict(action.call.arguments), ensure_ascii=False, default=str)
    yield f"  {action.call.name} {arguments}"[:MAX_CALL_CHARS]
    code = "" if action.exit_code is None else f"(exit code {action.exit_code}) "
    output = action.observation.strip()
    shown = output if len(output) <= MAX_OUTPUT_CHARS else f"... {output[-MAX_OUTPUT_CHARS:]}"
    yield "  " + f"-> {code}{shown}".replace("\n", "\n  ")


def read_summary(answer: str, code: str) -> Mapping[str, str] | None:
    """The fields of a summary; None where the answer has not the code, or says nothing."""
    found = object_with_code(answer, code)
    if found is None:
        return None
    fields = {name: plain_text(found.get(name), MAX_FIELD_CHARS) for name in FIELDS}
    return fields if any(fields.values()) else None
