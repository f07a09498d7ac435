"""JSON objects in the answer of a model, the last one first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MAX_READ_CHARS = 20_000
"""Characters of an answer that are read: its end, where the object stands."""
MAX_FORCED_TEXT_CHARS = 300
"""Characters of a text in a forced form: a small model would write on until its output cap."""
CODE_FIELD = "check"
"""The field that repeats the code of the request."""
_DECODER = json.JSONDecoder()


def json_objects(answer: str) -> Iterator[Mapping[str, Any]]:
    """Every object that can be read, from the one that begins last; what is none is passed over."""
    text = answer[-MAX_READ_CHARS:]
    at = text.rfind("{")
    while at >= 0:
        try:
            found, _ = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield found
        at = text.rfind("{", 0, at)


def object_with_code(answer: str, code: str) -> Mapping[str, Any] | None:
    """The last object that repeats the code of its request; None for none."""
    return next((one for one in json_objects(answer) if one.get(CODE_FIELD) == code), None)


def plain_text(value: Any, max_chars: int) -> str:
    """A text in one line of so many characters; what is no text is empty."""
    return " ".join(value.split())[:max_chars] if isinstance(value, str) else ""


def object_schema(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """JSON schema of an object with all of these fields and no others, as strict servers ask."""
    return {
        "type": "object",
        "properties": {name: dict(schema) for name, schema in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def short_text() -> dict[str, Any]:
    """JSON schema of a text of ``MAX_FORCED_TEXT_CHARS``."""
    return {"type": "string", "maxLength": MAX_FORCED_TEXT_CHARS}


def one_of(words: Iterable[str]) -> dict[str, Any]:
    """JSON schema of one of these words."""
    return {"type": "string", "enum": list(words)}
