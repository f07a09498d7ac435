"""When two patches are the same change: to a voter, and to a machine that runs tests."""

from __future__ import annotations

import hashlib
import re

_UNCOMPARED_LINE = re.compile(r"^(index |diff --git |similarity |@@)")
_HUNK_HEADER = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_PATH_LINE = re.compile(r"(?:--- |\+\+\+ |(?:rename|copy) (?:from|to) )([^\t\r]+)")
_CONTEXT_EDGE = re.compile(r"\d+=")
_HASH_LINE_PREFIXES = ("index ", "similarity index ", "dissimilarity index ")


def normalised_lines(patch: str) -> tuple[str, ...]:
    """The changed lines of a diff without hashes, line numbers, context and white space.

    What voters count: two that agree on it made the same change to a reader, though they may do
    different things (white space has a meaning in Python, and a place has one anywhere).
    """
    kept = (
        line
        for line in patch.split("\n")
        if line[:1] in ("+", "-") and not _UNCOMPARED_LINE.match(line)
    )
    bare = ("".join(line.split()) for line in kept)
    return tuple(line for line in bare if len(line) > 1) or (patch,)


def effect_digest(patch: str) -> str:
    """SHA-256 of what a diff does to the base: its edits, their places and the lines next to them.

    Two of one effect do the same wherever both lie where they say. git goes by context, not by
    numbers: the line before and after each edit is of the key, and an edit without context is
    another one (git puts it at the end of the file, ``patch`` at its line). Hashes and the width of
    the context are of no matter. ``solve.patch_equivalence`` asks the files themselves. A text that
    cannot be read as a diff stands for itself.
    """
    files = _file_sections(patch)
    text = patch if files is None else "\0".join(_ordered_sections(files))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def edits_digest(patch: str) -> str:
    """As ``effect_digest``, without the neighboring lines: the edits that a text spells out.

    Tells whose text a text is, for one author may be shown with context and without.
    """
    files = _file_sections(patch)
    edits = [[line for line in file if not _CONTEXT_EDGE.match(line)] for file in files or ()]
    text = "\0".join(_ordered_sections(edits)) if edits else patch
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def chained_paths(patch: str) -> list[str]:
    """Every path that a diff names, when one of its sections builds on another; else none."""
    names = [name for file in _file_sections(patch) or () for name in _section_paths(file)]
    return sorted(set(names)) if len(names) != len(set(names)) else []


def _ordered_sections(files: list[list[str]]) -> list[str]:
    """Sections in order of their text; as they stand where one builds on another."""
    texts = ["\n".join(file) for file in files]
    names = [name for file in files for name in _section_paths(file)]
    return sorted(texts) if len(names) == len(set(names)) else texts


def _section_paths(file: list[str]) -> set[str]:
    """Every path that the header of a section names."""
    found = set()
    for line in file:
        if line[:1].isdecimal():
            break  # its first edit
        match = _PATH_LINE.match(line)
        if match is not None:
            found.add(re.sub(r"^[ab]/", "", match.group(1).strip('"')))
    return found - {"/dev/null"}


def _file_sections(patch: str) -> list[list[str]] | None:
    """Each file's header and edits, with their place in the base; None when unreadable."""
    lines = patch.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    files: list[list[str]] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("diff --git ") or (line.startswith("--- ") and _has_bare_headers(files)):
            files.append([])
        if not files:
            at += 1  # what stands before the first file is talk
            continue
        hunk = _HUNK_HEADER.match(line)
        if hunk is None:
            if line and not line.startswith(_HASH_LINE_PREFIXES):
                files[-1].append(line)
            at += 1
            continue
        taken = _hunk_edits(lines, at + 1, hunk)
        if taken is None:
            return None
        at, edits = taken
        files[-1] += edits
    return files or None


def _has_bare_headers(files: list[list[str]]) -> bool:
    """True where a ``---`` line begins a file: in a diff that has no ``diff --git`` lines."""
    return not files or any(line[:1] in "0123456789" for line in files[-1])


def _hunk_edits(lines: list[str], start: int, hunk: re.Match[str]) -> tuple[int, list[str]] | None:
    """Where the hunk ends, and its edits as ``place sign text``; None when it is cut short.

    ``place=text`` before and after each run of edits is the line of the base next to it;
    ``place=`` alone says that the hunk shows none.
    """
    place = int(hunk.group(1))
    old, new = (int(number or "1") for number in hunk.groups()[1:])
    place += old == 0  # such a hunk stands after its line, not on it
    edits: list[str] = []
    sign, neighbor, editing = " ", "=", False
    while old > 0 or new > 0 or (start < len(lines) and lines[start].startswith("\\")):
        if start >= len(lines):
            return None
        line, start = lines[start], start + 1
        if line.startswith("\\"):
            edits += [f"{place}\\{sign}"] if sign in "+-" else []
            continue
        sign = line[:1] or " "
        if sign not in " +-":
            return None
        if editing != (sign != " "):
            editing = not editing
            edits.append(f"{place}{neighbor if editing else '= ' + line[1:]}")
        neighbor = f"= {line[1:]}"
        if sign != " ":
            edits.append(f"{place}{sign}{line[1:]}")
        place += sign != "+"
        old, new = old - (sign != "+"), new - (sign != "-")
    return start, edits + ([f"{place}="] if editing else [])
