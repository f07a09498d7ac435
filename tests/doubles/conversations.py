"""Conversations to send again: made ones with odd answers, and the recorded ones of others."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swe_router.records import Action, Completion, Message, ToolCall, Usage

SHARED = Path(__file__).parents[3] / "shared" / "data" / "trajectories"
Turn = tuple[Completion, tuple[Action, ...]]
_BLOCK = re.compile(r"```(?:bash)?\n(.*?)\n```", re.DOTALL)


def made_turns(seed: int, count: int = 14) -> Iterator[Turn]:
    """Answers as models give them, with what came of each; some have more calls than 20."""
    dice = random.Random(seed)
    for at in range(count):
        calls = dice.choice((1, 1, 1, 2, 3, 12, 30))
        ids = [dice.choice(("", "toolu.1", f"c{at}_{n}", "double")) for n in range(calls)]
        asked = tuple(
            ToolCall(id=name, name="bash", arguments={"command": f"echo {at} {n}"})
            for n, name in enumerate(ids)
        )
        text = dice.choice(("", " ", "Let me look.", "Étape \x00 \U0001f980"))
        kept = ({"type": "thinking", "thinking": "hm", "signature": "c2ln"},)
        message = Message(
            role="assistant",
            content=text,
            tool_calls=asked if dice.random() < 0.85 else (),
            kept=kept if dice.random() < 0.2 else (),
        )
        yield answered(message, "x" * dice.choice((0, 10, 400, 5000)), dice.uniform(0.1, 90.0))


def answered(message: Message, observation: str, seconds: float) -> Turn:
    """A turn whose every call shows the same."""
    actions = tuple(
        Action(call=call, observation=observation, seconds=seconds) for call in message.tool_calls
    )
    return Completion(message=message, usage=Usage(seconds=1.0, output_tokens=5)), actions


def shared_trajectories() -> list[Path]:
    """The recorded runs of mini-swe-agent; none where they are not."""
    return sorted(SHARED.glob("*.traj.json.gz"))


def recorded_turns(path: Path) -> Iterator[Turn]:
    """The turns of one recorded run, its commands as calls of ``bash``."""
    messages: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["messages"]
    spoken = [at for at, one in enumerate(messages) if one["role"] == "assistant"]
    for number, at in enumerate(spoken):
        text = messages[at]["content"]
        found = _BLOCK.search(text)
        calls = (
            (ToolCall(id=f"c{number}", name="bash", arguments={"command": found[1]}),)
            if found
            else ()
        )
        shown = messages[at + 1]["content"] if at + 1 < len(messages) else ""
        yield answered(Message(role="assistant", content=text, tool_calls=calls), shown, 2.0)
