"""A provider that keeps a bill of its own, and a sandbox that answers at once."""

from __future__ import annotations

import os
from pathlib import Path

from swe_router.records import Completion, Message, Result, ToolCall, Usage
from swe_router.records.requests import request_digest


class Talker:
    """A model that asks for one command after another; the same request has the same answer.

    ``bill`` receives a line a call: the digest of what was asked, once the answer is made.
    """

    def __init__(self, bill: Path | None = None, message: type[Message] = Message) -> None:
        self.bill, self.message = bill, message

    def complete(self, messages, tools=(), *, limits) -> Completion:
        turn = sum(message.role == "assistant" for message in messages)
        call = ToolCall(id=f"c{turn}", name="bash", arguments={"command": f"echo {turn}"})
        if self.bill is not None:
            fd = os.open(self.bill, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(fd, (request_digest(messages, tools, limits) + "\n").encode())
            os.close(fd)
        return Completion(
            message=self.message(role="assistant", tool_calls=(call,)),
            usage=Usage(input_tokens=10 * len(messages), output_tokens=5, seconds=1.0),
        )


class QuickSandbox:
    """A sandbox in which every command says the same at once."""

    identity = "test:quick"
    workdir = "/testbed"

    def run(self, command, *, timeout, cwd="") -> Result:
        return Result(exit_code=0, output="x" * 50)
