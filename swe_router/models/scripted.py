"""A model that plays a recording: real bytes, real costs, no network."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from swe_router import assets, errors, toolcalls
from swe_router.errors import ContextTooLong, ModelError, Refused
from swe_router.models import call_options
from swe_router.models.metered import message_bytes
from swe_router.records import (
    CallLimits,
    Completion,
    FrozenRecord,
    Message,
    ToolCall,
    ToolSpec,
    Usage,
)
from swe_router.records.requests import RunningSum
from swe_router.settings import Tier

BYTES_PER_TOKEN = 4
OPTIONS = ("recordings", "prompt_tokens_per_second", "output_tokens_per_second")
PROMPT_TOKENS_PER_SECOND = 2000.0
OUTPUT_TOKENS_PER_SECOND = 50.0
OVER = "The recording is over."


class _ScriptStep(FrozenRecord):
    """One recorded answer, or the error that a broken provider gave instead."""

    say: str = ""
    call: tuple[Mapping[str, Any], ...] = ()
    raw: str | None = None
    error: str = ""
    message: str = ""


class _Recording(FrozenRecord):
    """A recording file: its steps in order."""

    note: str = ""
    """For the reader of the file."""
    step: tuple[_ScriptStep, ...] = Field(default=())


class ScriptedModel:
    """Plays ``{options.recordings}/{instance id}.toml`` (attempt 2 and later: ``ID.n.toml`` first).

    Which step is played is the number of assistant turns in the conversation, so a resumed
    attempt goes on where it stopped. A step with ``error`` raises that ``ModelError`` each time
    it is asked: the conversation does not advance, so retries meet it again and then give up.
    A token is 4 bytes, rounded up; what the previous turn already sent is a cache read, what is
    new a cache write. ``Usage.seconds`` is what a server of ``prompt_tokens_per_second`` and
    ``output_tokens_per_second`` (both options) would have needed.
    """

    def __init__(self, tier: Tier, *, session: str, key: str = "") -> None:
        call_options.check_options(tier, OPTIONS)
        self._tier = tier
        self._instance, _, attempt = session.rpartition("#")
        self._attempt = attempt
        if not self._instance:
            self._instance, self._attempt = session, "1"
        self._bytes = RunningSum(message_bytes)
        self._turns = RunningSum(lambda message: int(message.role == "assistant"))

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``. ``Refused`` when there is no recording or it cannot be read."""
        turn = self._turns.of(messages)
        steps = self._recording.step
        step = steps[turn] if turn < len(steps) else _ScriptStep(raw=OVER)
        if step.error:
            raise _failure(step)
        message = self._answer(turn, step)
        usage = self._usage(messages, message)
        if usage.prompt_tokens > self._tier.window:
            raise ContextTooLong(f"{usage.prompt_tokens} tokens do not fit {self._tier.window}")
        if usage.output_tokens > limits.max_output_tokens:
            raise Refused(
                f"recorded step {turn + 1} is longer than {limits.max_output_tokens} tokens"
            )
        return Completion(
            message=message,
            usage=usage,
            stop="tool" if message.tool_calls else "end",
            model=f"recording:{self._tier.model}",
            request_id=f"{self._instance}#{self._attempt}/{turn + 1}",
        )

    @cached_property
    def _recording(self) -> _Recording:
        folder = self._tier.options.get("recordings")
        if not folder:
            raise Refused(f"tier option 'recordings' is not set for {self._tier.model!r}")
        base = Path(str(folder)).expanduser()
        base = base if base.is_absolute() else assets.assets_root() / base
        names = [f"{self._instance}.toml"]
        if self._attempt not in {"", "1"}:
            names.insert(0, f"{self._instance}.{self._attempt}.toml")
        path = next((base / name for name in names if (base / name).is_file()), None)
        if path is None:
            raise Refused(f"there is no recording of {self._instance!r} in {folder}")
        return _read(path)

    def _answer(self, turn: int, step: _ScriptStep) -> Message:
        if step.raw is not None:
            return Message(role="assistant", content=step.raw)
        calls = tuple(_call(turn, n, table) for n, table in enumerate(step.call))
        if self._tier.tools == "native" or not calls:
            return Message(role="assistant", content=step.say, tool_calls=calls)
        parts = [part for part in (step.say, toolcalls.render_calls(calls)) if part]
        return Message(role="assistant", content="\n\n".join(parts))

    def _usage(self, messages: Sequence[Message], answer: Message) -> Usage:
        last = len(messages) - 1
        while last >= 0 and messages[last].role != "assistant":
            last -= 1
        before = _tokens(self._bytes.of(messages, max(0, last)))
        prompt, output = _tokens(self._bytes.of(messages)), _tokens(message_bytes(answer))
        options = self._tier.options
        reading = float(options.get("prompt_tokens_per_second", PROMPT_TOKENS_PER_SECOND))
        writing = float(options.get("output_tokens_per_second", OUTPUT_TOKENS_PER_SECOND))
        return Usage(
            cache_read_tokens=before,
            cache_write_tokens=prompt - before,
            output_tokens=output,
            seconds=round((prompt - before) / reading + output / writing, 6),
        )


def _tokens(size: int) -> int:
    """Tokens of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)


def _call(turn: int, number: int, table: Mapping[str, Any]) -> ToolCall:
    arguments = {name: value for name, value in table.items() if name != "tool"}
    return ToolCall(
        id=f"call_{turn + 1}_{number + 1}", name=str(table["tool"]), arguments=arguments
    )


def _failure(step: _ScriptStep) -> ModelError:
    kind = getattr(errors, step.error, None)
    if not (isinstance(kind, type) and issubclass(kind, ModelError)):
        return Refused(f"the recording names an unknown error {step.error!r}")
    return kind(step.message or f"recorded {step.error}")


def _read(path: Path) -> _Recording:
    try:
        recording = _Recording.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise Refused(f"the recording {path.name} cannot be read: {error}") from None
    for number, step in enumerate(recording.step, 1):
        if any("tool" not in table for table in step.call):
            raise Refused(f"the recording {path.name}, step {number}: a call names no tool")
    return recording
