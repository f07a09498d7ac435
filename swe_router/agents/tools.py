"""The four tools as a model sees them, and whether a call fits them; one table, both dialects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from swe_router import suggest, toolcalls
from swe_router.records import FrozenRecord, ToolCall, ToolSpec

SUBMIT = "submit"


def _spec(name: str, description: str, required: Sequence[str], **properties: Any) -> ToolSpec:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return ToolSpec(name=name, description=description, parameters=parameters)


def _text(description: str, *choices: str) -> dict[str, Any]:
    enum = {"enum": list(choices)} if choices else {}
    return {"type": "string", "description": description, **enum}


WORKDIR = "{workdir}"
"""What stands in a description for the work folder of the instance."""
SEARCH = _spec(
    "search",
    "Find code. Sees the files as they are now.",
    ["query"],
    query=_text("Text, regular expression, file name or glob, or symbol name."),
    kind=_text(
        "text (default) or regex: lines of files; files: file names;"
        " definition or reference: of a function, class, method or variable.",
        "text",
        "regex",
        "files",
        "definition",
        "reference",
    ),
    path=_text("File or folder to look in, for text and regex. Default: everywhere."),
)
EDIT = _spec(
    "edit",
    "Change a file. create: a new file at path that holds new. replace: the one place where old"
    " occurs, blanks and line ends included, becomes new; old must be unique in the file."
    " insert: new goes in as whole lines after line number line (0: at the top). An edit that"
    " would add a syntax error to a Python file is refused.",
    ["action", "path"],
    action=_text("What to do.", "create", "replace", "insert"),
    path=_text(f"The file, relative to {WORKDIR}."),
    old=_text("For replace: the text to be replaced, exactly as it stands in the file."),
    new=_text("The new text."),
    line={"type": "integer", "description": "For insert: the line number to insert after."},
)
BASH = _spec(
    "bash",
    f"Run a shell command at {WORKDIR}; shows its output and exit code.",
    ["command"],
    command=_text("The command, or a script of several lines."),
    timeout={"type": "number", "description": "Seconds after which it is killed."},
)
SUBMIT_SPEC = _spec(SUBMIT, "Hand in the files as they are now. Ends the work.", [])
TABLE: Mapping[str, ToolSpec] = {spec.name: spec for spec in (SEARCH, EDIT, BASH, SUBMIT_SPEC)}
EXAMPLE = ToolCall(id="", name="bash", arguments={"command": "ls"})
"""What a model that wrote no call is shown."""


class Toolset(FrozenRecord):
    """The tools and how they are taught as text: fixed for a run when it begins."""

    specs: Mapping[str, ToolSpec]
    """Name -> the tool as it is shown to a model."""
    lesson: str
    """How a call is written as text."""
    taught: Mapping[str, str]
    """Name -> the tool as it is described in text."""
    example: str
    """A call as text."""

    @classmethod
    def of_today(cls) -> Toolset:
        """The tools as they are now."""
        return cls(
            specs=TABLE,
            lesson=toolcalls.describe_tools(()),
            taught={name: toolcalls.describe_tool(spec) for name, spec in TABLE.items()},
            example=toolcalls.render_calls([EXAMPLE]),
        )

    def at(self, workdir: str) -> Toolset:
        """The tools with the work folder in the place of its name."""
        text = self.model_dump_json()
        if WORKDIR not in text:
            return self  # of a run in whose tools the folder stands as such
        return type(self).model_validate_json(text.replace(WORKDIR, workdir))

    def describe(self, names: Sequence[str]) -> str:
        """The text that teaches these tools."""
        return "\n\n".join((self.lesson, *(self.taught[name] for name in names)))


def tool_specs(names: Sequence[str]) -> tuple[ToolSpec, ...]:
    """The tools of a manifest, in its order."""
    return tuple(TABLE[name] for name in names)


def checked_call(call: ToolCall, offered: Sequence[ToolSpec]) -> ToolCall:
    """The call with its arguments in their types, or with an ``error`` that says what is wrong."""
    if call.error:
        return call
    names = [spec.name for spec in offered]
    if call.name not in names:
        error = toolcalls.unknown_tool(call.name, names)
        return call.model_copy(update={"error": error})
    schema = offered[names.index(call.name)].parameters
    properties = schema["properties"]
    given = {key: value for key, value in call.arguments.items() if value is not None}
    arguments, faults = dict[str, Any](), list[str]()
    for key, value in given.items():
        if key in properties:
            arguments[key], fault = _fitted(key, value, properties[key])
            faults += [fault] if fault else []
        else:
            faults.append(_unknown(call.name, key, list(properties)))
    missing = [key for key in schema["required"] if key not in given]
    faults += [f"{call.name} needs the argument {key}." for key in missing]
    if faults:
        return call.model_copy(update={"error": " ".join(faults)})
    same = len(arguments) == len(call.arguments)
    if same and all(call.arguments[key] is value for key, value in arguments.items()):
        return call
    return call.model_copy(update={"arguments": arguments})


def _unknown(tool: str, key: str, known: list[str]) -> str:
    has = ", ".join(known) or "none"
    hint = suggest.did_you_mean_question(key, known)
    return f"{tool} has no argument {key!r}; its arguments are: {has}.{hint}"


def _fitted(key: str, value: Any, schema: Mapping[str, Any]) -> tuple[Any, str]:
    """The value in the type that the schema wants: weak models quote numbers and bare words."""
    kind = schema["type"]
    if kind == "string":
        return _fitted_text(key, value, schema.get("enum"))
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        return value, f"{key} must be a number, not {value!r}."
    if kind == "integer" and not number.is_integer():
        return value, f"{key} must be a whole number, not {value!r}."
    return (int(number) if kind == "integer" else number), ""


def _fitted_text(key: str, value: Any, choices: Sequence[str] | None) -> tuple[Any, str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return value, f"{key} must be a text, not {type(value).__name__}."
    if choices and value.strip() not in choices:
        hint = suggest.did_you_mean_question(value, choices)
        return value, f"{key} must be one of {', '.join(choices)}, not {value!r}.{hint}"
    return (value.strip() if choices else value), ""
