"""Writes calls as text and teaches a model to do so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swe_router.records import ToolCall, ToolSpec
from swe_router.toolcalls.markers import BARE, NO_NEWLINE, UNPRINTABLE

_LESSON = """\
To use a tool, write a block like these, each marker on a line of its own:

<call bash>
command: "git status --short"
</call>

<call edit>
action: "replace"
path: "pkg/module.py"
old <<END
    return a - b
END
new <<END
    return a + b
END
</call>

An argument is either one line `name: JSON value`, or `name <<WORD`, then the text exactly as it
is (nothing escaped, any number of lines), then a line that holds only WORD. WORD can be any word
that is not itself a line of the text. Do not put a block inside a code fence.

The tools:"""


def render_calls(calls: Sequence[ToolCall]) -> str:
    """The calls as text; ``parse`` gives back their names and arguments exactly."""
    return "\n".join(_render_call(call) for call in calls)


def describe_tools(tools: Sequence[ToolSpec]) -> str:
    """The prompt section that names the tools and teaches the text form by example."""
    return "\n\n".join([_LESSON.strip(), *(describe_tool(tool) for tool in tools)])


def describe_tool(tool: ToolSpec) -> str:
    """One tool and its arguments, in words."""
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    required = tool.parameters.get("required", ())
    lines = [f"{tool.name}: {tool.description}"]
    for key, schema in properties.items():
        choices = " | ".join(map(json.dumps, schema.get("enum", ())))
        kind = choices or schema.get("type", "any JSON")
        need = "" if key in required else ", optional"
        lines.append(f"  {key} ({kind}{need}): {schema.get('description', '')}".rstrip(": "))
    return "\n".join(lines)


def _render_call(call: ToolCall) -> str:
    lines = [_render_argument(key, value) for key, value in call.arguments.items()]
    return "\n".join([f"<call {_word(call.name)}>", *lines, "</call>"])


def _render_argument(key: str, value: Any) -> str:
    heredoc = isinstance(value, str) and "\n" in value and not UNPRINTABLE.search(value)
    if not heredoc:
        return f"{_word(key)}: {_json(value)}"
    body, note = (value, "") if value.endswith("\n") else (value + "\n", f" {NO_NEWLINE}")
    end = _terminator(body)
    return f"{_word(key)} <<{end}{note}\n{body}{end}"


def _terminator(body: str) -> str:
    lines = {line.strip() for line in body.split("\n")}
    return next(word for word in _words() if word not in lines)


def _words() -> Iterator[str]:
    yield "END"
    number = 1
    while True:
        yield f"END{number}"
        number += 1


def _word(name: str) -> str:
    return name if re.fullmatch(BARE, name) else _json(name)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # Half a surrogate pair cannot be sent as UTF-8: such text goes escaped.
    return json.dumps(value) if UNPRINTABLE.search(text) else text
