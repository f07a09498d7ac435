"""Doubles for one attempt: a sandbox in a temporary folder, a scripted model, a context."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router import toolcalls
from swe_router.agents.dialogue import ModelRequest
from swe_router.records import Completion, Instance, Message, Result, Step, ToolCall, Usage
from swe_router.seams import AttemptContext

INSTANCE = Instance(
    id="demo__calc-1", repo="demo/calc", base_commit="", problem="add() subtracts.\n"
)
BROKEN = b"def add(a, b):\n    return a - b\n"


class TempSandbox:
    """A Sandbox over a folder: /bin/sh, no isolation; counts what it was asked."""

    identity = "test:temp"
    workdir = "/testbed"

    def __init__(self, folder: Path, files: Mapping[str, bytes] | None = None) -> None:
        self.tree = folder / "testbed"
        self.tree.mkdir(parents=True)
        self.ran: list[str] = []
        self.timeouts: list[float] = []
        for path, data in (files or {"calc.py": BROKEN}).items():
            self.write(f"/testbed/{path}", data)

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        self.ran.append(command)
        self.timeouts.append(timeout)
        env = {"PATH": os.environ["PATH"], "HOME": str(self.tree.parent), "LANG": "C.UTF-8"}
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self._inside(cwd),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode("utf-8", "replace")
            return Result(exit_code=124, output=said, timed_out=True)
        return Result(exit_code=done.returncode, output=done.stdout.decode("utf-8", "replace"))

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        data = self._inside(path).read_bytes()
        if len(data) > limit:
            raise ValueError(path)
        return data

    def write(self, path: str, data: bytes) -> None:
        self._inside(path).parent.mkdir(parents=True, exist_ok=True)
        self._inside(path).write_bytes(data)

    def close(self) -> None:
        pass

    def _inside(self, path: str) -> Path:
        return self.tree / path.removeprefix("/testbed").lstrip("/")


def call(name: str, /, **arguments: Any) -> ToolCall:
    return ToolCall(id="", name=name, arguments=arguments)


def answer(*calls: ToolCall, say: str = "", text: bool = False, **fields: Any) -> Completion:
    """An answer with native calls, or with the same calls as text."""
    if text:
        content = "\n\n".join(part for part in (say, toolcalls.render_calls(calls)) if part)
        return Completion(message=Message(role="assistant", content=content), **fields)
    numbered = tuple(
        one.model_copy(update={"id": one.id or f"n{number}"}) for number, one in enumerate(calls)
    )
    message = Message(role="assistant", content=say, tool_calls=numbered)
    return Completion(message=message, **fields)


FIX = call("edit", action="replace", path="calc.py", old="a - b", new="a + b")
LOOK = call("bash", command="cat calc.py")
SUBMIT = call("submit")


class PlayedModel:
    """Plays answers in order, or raises those that are errors; a token is four bytes."""

    def __init__(self, *plays: Completion | Exception, measured: bool = True) -> None:
        self.plays, self.measured = plays, measured
        self.requests: list[ModelRequest] = []

    def complete(self, messages, tools=(), *, limits) -> Completion:
        request = ModelRequest(tuple(messages), tuple(tools), limits)
        play = self.plays[len(self.requests)]
        self.requests.append(request)
        if isinstance(play, Exception):
            raise play
        if not self.measured or play.usage != Usage():
            return play.model_copy(update={"usd": Decimal("0.01")})
        usage = Usage(input_tokens=request.size() // 4, output_tokens=10, seconds=1.0)
        return play.model_copy(update={"usage": usage, "usd": Decimal("0.01")})


@dataclass
class Told:
    """What a scaffold recorded, with the context that it got."""

    steps: list[Step] = field(default_factory=list)
    ticks: Any = field(default_factory=lambda: itertools.count(1000))

    def context(self, **fields: Any) -> AttemptContext:
        base: dict[str, Any] = {
            "record": self.steps.append,
            "clock": lambda: float(next(self.ticks)),
        }
        return AttemptContext(**{**base, **fields})


@dataclass
class DictSearch:
    """A CodeSearch that only notes what it is told."""

    files_known: dict[str, bytes | None] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def text(self, pattern: str, *, regex: bool, path: str, limit: int) -> str:
        return "\n".join(
            f"{name}: {pattern}"
            for name, data in sorted(self.files_known.items())
            if data and pattern.encode() in data and name.startswith(path)
        )

    def files(self, pattern: str, *, limit: int) -> str:
        return "\n".join(name for name in sorted(self.files_known) if pattern in name)

    def symbol(self, name: str, *, kind: str, limit: int) -> str:
        return f"{kind} {name}"

    def changed(self, path: str, content: bytes | None) -> None:
        self.told.append(path)
        self.files_known[path] = content
