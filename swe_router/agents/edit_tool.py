"""An edit is a pure function of a file's bytes; whatever it does not name stays as it was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from swe_router import suggest
from swe_router.agents.observation_text import numbered_lines
from swe_router.codegraph import python_syntax


class EditRefused(Exception):
    """The edit was not made; the text tells the model why and what to do."""


def apply_edit(path: str, before: bytes | None, arguments: Mapping[str, Any]) -> bytes:
    """The file's new bytes; ``before`` is None where there is no file. Raises ``EditRefused``."""
    action = arguments["action"]
    if action == "create":
        after = _created(path, before, arguments)
    elif before is None:
        raise EditRefused(f"There is no file {path}; use action create to make it.")
    elif action == "replace":
        after = _replaced(path, before, arguments)
    else:
        after = _inserted(path, before, arguments)
    _check_syntax(path, before or b"", after)
    return after


def changed_lines(before: bytes | None, after: bytes) -> str:
    """The changed lines of ``after`` and some around them, numbered."""
    old, new = _lines(before or b""), _lines(after)
    pairs = list(zip(old, new, strict=False))
    start = next((number for number, (a, b) in enumerate(pairs) if a != b), len(pairs))
    backwards = list(zip(reversed(old[start:]), reversed(new[start:]), strict=False))
    end = len(new) - next((n for n, (a, b) in enumerate(backwards) if a != b), len(backwards))
    first, last = start - 2, end + 3
    if last - first <= 60:
        return numbered_lines(new, first, last)
    return (
        f"{numbered_lines(new, first, first + 29)}\n     …\n{numbered_lines(new, last - 29, last)}"
    )


def _lines(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _bytes(arguments: Mapping[str, Any], key: str, *, needed: bool) -> bytes:
    if needed and key not in arguments:
        raise EditRefused(f"The action {arguments['action']} needs the argument {key}.")
    try:
        return str(arguments.get(key, "")).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise EditRefused(f"The argument {key} holds half a surrogate pair.") from None


def _created(path: str, before: bytes | None, arguments: Mapping[str, Any]) -> bytes:
    if before:
        raise EditRefused(
            f"{path} exists and is not empty ({len(_lines(before))} lines): use replace or insert."
        )
    return _bytes(arguments, "new", needed=True)


def _crlf(before: bytes) -> bool:
    """Whether every line of the file ends in CR LF."""
    return b"\r\n" in before and before.count(b"\n") == before.count(b"\r\n")


def _with_line_ends(text: bytes, *, crlf: bool) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if crlf else text


def _replaced(path: str, before: bytes, arguments: Mapping[str, Any]) -> bytes:
    crlf = _crlf(before)
    old = _with_line_ends(_bytes(arguments, "old", needed=True), crlf=crlf)
    new = _with_line_ends(_bytes(arguments, "new", needed=True), crlf=crlf)
    if not old:
        raise EditRefused("The argument old is empty: give the text to be replaced, or use insert.")
    places = _places(before, old)
    end = b"\r\n" if crlf else b"\n"
    if not places and old.endswith(end) and len(old) > len(end):
        # A text that ends a line where the file does not (part of a line, or the last one).
        shorter = old.removesuffix(end)
        if len(found := _places(before, shorter)) == 1:
            places, old, new = found, shorter, new.removesuffix(end)
    if not places and len(texts := _mixed(before, old)) == 1:
        old, ending = texts[0], b"\r\n" in texts[0]
        places, new = [before.index(old)], _with_line_ends(new, crlf=ending)
    if not places:
        raise EditRefused(f"The text old does not occur in {path}.{_nearest(before, old)}")
    if len(places) > 1:
        numbers = ", ".join(str(before.count(b"\n", 0, at) + 1) for at in places[:20])
        raise EditRefused(
            f"The text old occurs {len(places)} times in {path}, at lines {numbers}:"
            " add lines around it to old (and to new) until it is unique."
        )
    if old == new:
        raise EditRefused("The texts old and new are the same: nothing would change.")
    at = places[0]
    return before[:at] + new + before[at + len(old) :]


def _places(data: bytes, part: bytes) -> list[int]:
    """Where ``part`` begins, overlapping occurrences included."""
    found, at = [], data.find(part)
    while at >= 0:
        found.append(at)
        at = data.find(part, at + 1)
    return found


def _mixed(before: bytes, old: bytes) -> list[bytes]:
    """Where ``old`` occurs in a file whose line ends differ, which no model is shown."""
    if b"\r\n" not in before or b"\n" not in old:
        return []
    lines = old.replace(b"\r\n", b"\n").split(b"\n")
    pattern = rb"\r?\n".join(map(re.escape, lines))
    return re.findall(rb"(?=(" + pattern + rb"))", before)


def _nearest(before: bytes, old: bytes) -> str:
    """The lines that ``old`` was probably meant for."""
    lines = _lines(before)
    wanted = [line.strip() for line in _lines(old) if line.strip()]
    if not wanted or not lines:
        return " The file is empty." if not lines else " It holds nothing but blanks."
    bare = [line.strip() for line in lines]
    same = [number for number, line in enumerate(bare, 1) if line == wanted[0]]
    if not same:
        texts = [line.decode("utf-8", "replace")[:200] for line in bare[:5000]]
        near = suggest.nearest_names(wanted[0].decode("utf-8", "replace")[:200], texts, count=2)
        same = sorted(texts.index(text) + 1 for text in near)
    if not same:
        return " Look at the file again: no line of it is like the first line of old."
    size = len(_lines(old))
    shown = "\n".join(numbered_lines(lines, number, number + size - 1) for number in same[:3])
    return f" The nearest lines are (number, then the line; mind the blanks):\n{shown}"


def _inserted(path: str, before: bytes, arguments: Mapping[str, Any]) -> bytes:
    if "line" not in arguments:
        raise EditRefused("The action insert needs the argument line: the number to insert after.")
    after_line, lines = arguments["line"], _lines(before)
    if not 0 <= after_line <= len(lines):
        raise EditRefused(f"{path} has {len(lines)} lines; line must be from 0 to {len(lines)}.")
    crlf = _crlf(before)
    end = b"\r\n" if crlf else b"\n"
    new = _with_line_ends(_bytes(arguments, "new", needed=True), crlf=crlf)
    if not new:
        raise EditRefused("The argument new is empty: nothing would change.")
    at = sum(len(line) + 1 for line in lines[:after_line])
    if at > len(before):
        # After a last line without a newline: the file goes on having none.
        return before + end + new.removesuffix(end)
    return before[:at] + (new if new.endswith(end) else new + end) + before[at:]


def _check_syntax(path: str, before: bytes, after: bytes) -> None:
    faults = python_syntax.syntax_errors(after, path)
    if not faults or python_syntax.syntax_errors(before, path):
        return
    line, column = faults[0]
    raise EditRefused(
        f"The edit was not made: {path} would have a syntax error at line {line}, column {column}:"
        f"\n{numbered_lines(_lines(after), line - 3, line + 3)}"
    )
