"""The reverse of a git patch, as text: what undoes it."""

from __future__ import annotations

import re

_HUNK = re.compile(r"@@ -(\S+) \+(\S+) @@(.*)", re.DOTALL)
_INDEX = re.compile(r"index ([0-9a-f]+)\.\.([0-9a-f]+)(.*)", re.DOTALL)
_FILES = re.compile(r"diff --git (\"?)a/(.*?)\1 (\"?)b/(.*?)\3(\n?)", re.DOTALL)
_SWAPPED = {
    "new file mode": "deleted file mode",
    "deleted file mode": "new file mode",
    "old mode": "new mode",
    "new mode": "old mode",
    "rename from": "rename to",
    "rename to": "rename from",
}
_ORDER = {"old mode": 0, "new mode": 1, "rename from": 0, "rename to": 1}


def reverse_patch(patch: str) -> str:
    """The patch that takes ``patch`` back; empty for the empty one.

    Text patches alone: of a binary one git keeps no way back, so it is left as it is.
    """
    out: list[str] = []
    old = new = 0
    name = ""
    for line in patch.splitlines(keepends=True):
        if old > 0 or new > 0 or line.startswith("\\"):
            out.append(_content(line))
            old -= line[:1] in (" ", "-", "\n")
            new -= line[:1] in (" ", "+", "\n")
        elif match := _HUNK.match(line):
            out.append(f"@@ -{match[2]} +{match[1]} @@{match[3]}")
            old, new = _length(match[1]), _length(match[2])
        elif line.startswith("--- "):
            name = line[4:]
        elif line.startswith("+++ "):
            out += [f"--- {_side(line[4:], 'b/', 'a/')}", f"+++ {_side(name, 'a/', 'b/')}"]
        else:
            out.append(_header(line))
    return "".join(_ordered(out))


def _content(line: str) -> str:
    return {"+": "-", "-": "+"}.get(line[:1], line[:1]) + line[1:]


def _header(line: str) -> str:
    if match := _FILES.fullmatch(line):
        old, new = (f"{match[3]}a/{match[4]}{match[3]}", f"{match[1]}b/{match[2]}{match[1]}")
        return f"diff --git {old} {new}{match[5]}"
    if match := _INDEX.match(line):
        return f"index {match[2]}..{match[1]}{match[3]}"
    for words, others in _SWAPPED.items():
        if line.startswith(f"{words} "):
            return others + line[len(words) :]
    return line


def _ordered(lines: list[str]) -> list[str]:
    """``old mode`` before ``new mode`` and ``rename from`` before ``to``, as git writes them."""
    for place in range(len(lines) - 1):
        first, second = (" ".join(line.split()[:2]) for line in lines[place : place + 2])
        if _ORDER.get(first) == 1 and _ORDER.get(second) == 0:
            lines[place : place + 2] = lines[place + 1], lines[place]
    return lines


def _side(name: str, prefix: str, other: str) -> str:
    quote = '"' if name.startswith('"') else ""
    bare = name.removeprefix(quote)
    return quote + (other + bare[2:] if bare.startswith(prefix) else bare)


def _length(text: str) -> int:
    return int(text.partition(",")[2] or 1)
