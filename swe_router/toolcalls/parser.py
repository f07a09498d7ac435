"""Reads calls in the text of models, well-formed or not; never raises, never guesses to harm."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swe_router import suggest
from swe_router.records import Message, ToolCall, ToolSpec
from swe_router.toolcalls.markers import BARE, NO_NEWLINE
from swe_router.toolcalls.missed_calls import first_missed_call

_QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_OPENER = re.compile(r"^[ \t]*(?:<call(?=[\s:>/]|\Z)[^\n]*|<tool_call>)", re.MULTILINE)
_HEAD = re.compile(
    rf"[ \t]*<call[ \t:]+(?:name[ \t]*=[ \t]*)?({BARE}|{_QUOTED})[ \t]*(/?)>\s*+(</call>)?\s*+"
)
_KEY = re.compile(rf"\s*({BARE}|{_QUOTED})")
_HEREDOC = re.compile(rf"\s*+[:=]?\s*+<<-?\s*+(['\"]?)(\w+)\1\s*+({re.escape(NO_NEWLINE)})?\s*+")
_FENCE = re.compile(r"\s*(?:```|~~~)\S*\s*")
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
# Possessive: models run into blanks by the thousand, and backtracking over them takes minutes.
_OBJECT = re.compile(r"^[ \t]*+(?:\[\s*+)?(?=\{)", re.MULTILINE)
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True)
class ParsedText:
    """The prose of a text, and its calls."""

    say: str
    calls: tuple[ToolCall, ...]
    """Numbered ``call_1``, ``call_2`` …; a malformed one is the last, with its ``error``."""
    unclosed: bool = False
    """The last call has no end marker: harmless, unless the answer was cut off."""


class _Malformed(Exception):
    """A call that cannot be read; the text goes to the model."""


def parse_calls(text: str, tools: Sequence[ToolSpec] = (), *, strays: bool = False) -> ParsedText:
    """The calls in a model's text; never raises.

    Reads ``<call …>`` blocks, ``<tool_call>`` JSON and, if there is neither, bare JSON objects
    that call one of ``tools``. Nothing after a malformed call is read; with ``strays`` nothing
    after one that stands in another form or place either (``missed_calls.first_missed_call``).
    """
    names = [tool.name for tool in tools]
    thought = _THOUGHT.match(text)
    start = at = thought.end() if thought else 0
    prose, calls, closed = [text[:start]], list[ToolCall](), True
    known = names if strays else []
    while opener := _OPENER.search(text, at):
        prose.append(text[at : opener.start()])
        try:
            (name, arguments), at, closed = _block(text, opener.start())
            error = "" if not names or name in names else unknown_tool(name, names)
        except _Malformed as malformed:
            name, arguments, error = "", {}, str(malformed)
        calls.append(_numbered(len(calls), name, arguments, error))
        if error:
            return _stopped(ParsedText(_without_fences(prose), tuple(calls)), prose[1:], known)
    prose.append(text[at:])
    if not calls:
        return _bare_json(text, start, names, known)
    read = ParsedText(_without_fences(prose), tuple(calls), unclosed=not closed)
    return _stopped(read, prose[1:], known)


def plain_answer(message: Message) -> str:
    """What an answer says, without the calls in its text."""
    text = message.content
    return (text if message.tool_calls else parse_calls(text).say).strip()


def _stopped(read: ParsedText, before: Sequence[str], names: Sequence[str]) -> ParsedText:
    """Without the calls behind one that was meant and not read, which is reported instead."""
    at, error = first_missed_call(before[: len(read.calls)], names)
    if at < 0:
        return read
    return ParsedText(read.say, (*read.calls[:at], _numbered(at, "", {}, error)))


def unknown_tool(name: str, names: Sequence[str]) -> str:
    """What to tell a model that called a tool there is not."""
    hint = suggest.did_you_mean_question(name, names)
    return f"There is no tool named {name!r}; the tools are {', '.join(names)}.{hint}"


def _numbered(before: int, name: str, arguments: Mapping[str, Any], error: str = "") -> ToolCall:
    return ToolCall(id=f"call_{before + 1}", name=name, arguments=arguments, error=error)


_Call = tuple[str, dict[str, Any]]


def _block(text: str, at: int) -> tuple[_Call, int, bool]:
    """One call at ``at``: what it is, where it ends, and whether its end was marked."""
    line, after = _line(text, at)
    if line.strip().startswith("<tool_call>"):
        return _tagged_json(text, text.index("<tool_call>", at) + len("<tool_call>"))
    head = _HEAD.fullmatch(line)
    if head is None:
        raise _Malformed(f"{line.strip()!r} does not start a call: write <call NAME> on its line.")
    name = _unquoted(head[1])
    if head[2] or head[3]:
        return (name, {}), after, True
    arguments, end, closed = _arguments(text, after)
    return (name, arguments), end, closed


def _arguments(text: str, at: int) -> tuple[dict[str, Any], int, bool]:
    found: dict[str, Any] = {}
    while at < len(text):
        line, after = _line(text, at)
        if line.strip() == "</call>":
            return found, after, True
        if _OPENER.match(line):
            return found, at, False
        if line.strip() and not _FENCE.fullmatch(line):
            key, value, after = _argument(text, at, line, after)
            if key in found:
                raise _Malformed(f"The argument {key} is given twice in one call.")
            found[key] = value
        at = after
    return found, at, False


def _argument(text: str, at: int, line: str, after: int) -> tuple[str, Any, int]:
    key = _KEY.match(line)
    if key is None:
        raise _not_an_argument(line)
    name, rest = _unquoted(key[1]), line[key.end() :]
    if heredoc := _HEREDOC.fullmatch(rest):
        body, after = _heredoc(text, after, name, heredoc[2])
        return name, body[:-1] if heredoc[3] else body, after
    value = rest.strip()
    if value[:1] not in (":", "=") or not value[1:].strip():
        raise _not_an_argument(line)
    value = value[1:].strip()
    return name, *_value(text, text.index(value, at + key.end()), value, after)


def _not_an_argument(line: str) -> _Malformed:
    return _Malformed(
        f"This line inside the call is no argument: {line.strip()[:120]!r}. Write"
        " `name: JSON value`, or for several lines `name <<WORD`, the text, and a line WORD."
    )


def _heredoc(text: str, at: int, name: str, word: str) -> tuple[str, int]:
    start = at
    while at < len(text):
        line, after = _line(text, at)
        if line.strip() == word:
            return text[start:at], after
        at = after
    # A model that forgot the WORD but closed the call as the last thing it wrote meant this.
    tail = re.search(r"^[ \t]*</call>\s*(?:```\s*)?\Z", text[start:], re.MULTILINE)
    if tail is None:
        raise _Malformed(f"The text of {name} has no end: no line after it holds only {word}.")
    return text[start : start + tail.start()], start + tail.start()


def _value(text: str, start: int, line: str, after: int) -> tuple[Any, int]:
    """A value on its line, or JSON that runs over several lines, or bare words."""
    try:
        return json.loads(line, strict=False), after
    except (ValueError, RecursionError):
        pass
    try:
        value, end = _DECODER.raw_decode(text, start)
        rest, beyond = _line(text, end)
        if not rest.strip():
            return value, beyond
    except (ValueError, RecursionError):
        pass
    if line.startswith('"') and line.count('"') == 1:
        raise _Malformed(
            f"The quoted value {line[:120]!r} has no closing quote; use `name <<WORD`."
        )
    single = re.fullmatch(r"'([^'\\]*)'", line)
    return (single[1] if single else line), after


def _tagged_json(text: str, at: int) -> tuple[_Call, int, bool]:
    at += len(text[at:]) - len(text[at:].lstrip())
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise _Malformed(f"The text after <tool_call> is not valid JSON: {error}.") from None
    call = _as_call(value)
    if call is None:
        raise _Malformed('A <tool_call> must hold {"name": NAME, "arguments": {…}}.')
    close = re.compile(r"\s*</tool_call>[ \t]*\n?").match(text, end)
    return call, close.end() if close else end, close is not None


def _as_call(value: Any) -> _Call | None:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, strict=False)
        except (ValueError, RecursionError):
            return None
    return (value["name"], arguments) if isinstance(arguments, dict) else None


def _bare_json(
    text: str, start: int, names: Sequence[str], known_names: Sequence[str]
) -> ParsedText:
    """Objects that start a line and call a known tool; other JSON is just talk."""
    prose, calls, at = [text[:start]], list[ToolCall](), start
    before: list[str] = []
    gap = start
    while brace := _OBJECT.search(text, at):
        try:
            value, end = _DECODER.raw_decode(text, brace.end())
        except (ValueError, RecursionError):
            value, end = None, _line(text, brace.end())[1]
        call = _as_call(value)
        known = call is not None and call[0] in names
        prose.append(text[at : brace.start() if known else end])
        if call is not None and known:
            calls.append(_numbered(len(calls), *call))
            before.append(text[gap : brace.start()])
            gap = end
        at = end
    prose.append(text[at:])
    return _stopped(ParsedText(_without_fences(prose), tuple(calls)), before, known_names)


def _line(text: str, at: int) -> tuple[str, int]:
    """The line from ``at`` without its newline, and where the next one starts."""
    end = text.find("\n", at)
    return (text[at:], len(text)) if end < 0 else (text[at:end], end + 1)


def _unquoted(word: str) -> str:
    if not word.startswith('"'):
        return word
    try:
        return str(json.loads(word, strict=False))
    except ValueError:
        raise _Malformed(f"{word} is not a valid JSON string.") from None


def _without_fences(prose: Sequence[str]) -> str:
    """The prose around the calls, without the code fences around a call."""
    if len(prose) == 1:
        return prose[0].strip()
    parts = [_less_fence(part, last=True) for part in prose[:-1]]
    parts = [parts[0], *(_less_fence(part, last=False) for part in [*parts[1:], prose[-1]])]
    return "\n".join(part.strip() for part in parts if part.strip())


def _less_fence(part: str, *, last: bool) -> str:
    """The text without its last (or first) line where that is a code fence."""
    lines = part.strip().split("\n")
    edge = lines[-1 if last else 0]
    if not _FENCE.fullmatch(edge) or (not last and edge.strip().strip("`~")):
        return part
    return "\n".join(lines[:-1] if last else lines[1:])
