"""stdout carries the result, stderr the messages."""

from __future__ import annotations

import json
import os
import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from swe_router import plain_values
from swe_router.errors import UsageError
from swe_router.terminal import Console, print_message

WIDE = 160
_ORDERS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON may hold as it is and a terminal would obey."""


def emit(value: Any, *, as_json: bool, view: RenderableType | None = None) -> None:
    """The result: one JSON value, or its view for people."""
    if sys.stdout is None:  # closed by the parent process
        return
    if as_json:
        sys.stdout.write(_json(value) + "\n")
        sys.stdout.flush()
    elif view is not None:
        console = Console(soft_wrap=False, markup=False, emoji=False)
        if not console.is_terminal:
            console = Console(width=_columns(), color_system=None, markup=False, emoji=False)
        console.print(view, crop=False)


def _columns() -> int:
    """Width off a terminal: ``COLUMNS``, else enough for every table."""
    asked = os.environ.get("COLUMNS", "")
    return max(20, int(asked)) if asked.isdecimal() and int(asked) else WIDE


def _json(value: Any) -> str:
    """JSON text that stdout can carry: what its encoding lacks (half a surrogate pair) escaped."""
    text = _ORDERS.sub(lambda found: f"\\u{ord(found[0]):04x}", plain_values.json_text(value))
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(text))
    return text


def talk(message: str) -> None:
    """Write one line of progress or advice to stderr."""
    print_message(message)


def dollars(text: str | None) -> Decimal | None:
    """A positive number of USD. Raises ``UsageError`` for anything else."""
    from swe_router.settings import amounts

    return amounts.dollars(text, "--budget")


def ids(values: list[str] | None) -> list[str] | None:
    """Instance ids of ``--instances``: words, commas, and ``@FILE`` with ids in it.

    None when the option was not given. Raises ``UsageError`` for a word without an id, such as a
    variable of the shell that is empty, and for a file that cannot be read or holds none.
    """
    if any(not value.replace(",", " ").split() for value in values or ()):
        raise UsageError("--instances '' names no instance: give ids, or @FILE with ids in it")
    words = [word for value in values or () for word in value.replace(",", " ").split()]
    found = [one for word in words for one in (_of_file(word) if word[0] == "@" else [word])]
    return list(dict.fromkeys(found)) or None


def comma_words(text: str | None, option: str) -> list[str] | None:
    """The words ``A,B`` of an option; None when it was not given. ``UsageError`` for no word."""
    found = None if text is None else [one.strip() for one in text.split(",") if one.strip()]
    if found == []:
        raise UsageError(f"{option} {text!r} names none: give some, as A,B, or leave it away")
    return found


def _of_file(word: str) -> list[str]:
    path = Path(word[1:]).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--instances {word}: cannot read {path}: {reason}") from None
    if text.lstrip()[:1] in ("[", "{"):
        return _of_json(word, text)
    lines = text.splitlines()
    found = [one for line in lines for one in line.partition("#")[0].replace(",", " ").split()]
    if not found:
        raise UsageError(f"--instances {word}: {path} holds no instance id")
    return found


def _of_json(word: str, text: str) -> list[str]:
    """Ids of a JSON list, or of the ``instance_id`` of rows, in a list or one per line."""
    try:
        rows = json.loads(text) if text.lstrip()[0] == "[" else _rows(text)
    except (ValueError, RecursionError):
        rows = None
    found = [one.get("instance_id") if isinstance(one, dict) else one for one in rows or ()]
    if not found or not all(isinstance(one, str) and one for one in found):
        raise UsageError(
            f"--instances {word}: of JSON, a list of ids is read, or rows with an instance_id;"
            " else write one id a line"
        )
    return [str(one) for one in found]


def _rows(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def pairs(texts: list[str], option: str) -> dict[str, Any]:
    """``k=v`` words as a table, the values typed as TOML types them."""
    from swe_router.settings import toml_value

    table = {}
    for text in texts:
        key, equals, raw = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} {text!r}: write it as key=value")
        table[key.strip()] = toml_value(raw.strip())
    return table
