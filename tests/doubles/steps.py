"""Steps of an agent as a trajectory tells them."""

from __future__ import annotations

from typing import Any

from swe_router.records import Action, Completion, Message, Step, ToolCall


def step(index: int, *calls: tuple[str, dict[str, Any], str, int]) -> Step:
    actions = tuple(
        Action(
            call=ToolCall(id=f"c{n}", name=name, arguments=arguments),
            observation=said,
            exit_code=code,
        )
        for n, (name, arguments, said, code) in enumerate(calls)
    )
    answer = Completion(message=Message(role="assistant"), model="agent-1")
    return Step(index=index, request="r", completion=answer, actions=actions)


def bash(*scripts: str | tuple[str, str, int]) -> list[Step]:
    """Steps that each run one script: its text, or text, output and exit code."""
    told = [one if isinstance(one, tuple) else (one, "", 0) for one in scripts]
    return [
        step(n, ("bash", {"command": text}, said, code))
        for n, (text, said, code) in enumerate(told)
    ]
