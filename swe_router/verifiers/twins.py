"""Candidates of one issue that make the same change: they have one verdict, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from swe_router.diffs import effect
from swe_router.records import Outcome

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$")
_FILE = re.compile(r"^\+\+\+ (?:b/)?([^\t\n]*)")
HASHED = (".py", ".pyx", ".pyi", ".rb", ".sh", ".toml", ".cfg", ".yml", ".yaml")
"""Files in which a line that begins with ``#`` is a comment."""


def twins_of(outcome: Outcome, peers: Sequence[Outcome]) -> list[Outcome]:
    """Peers whose patch makes the same change as the outcome's, in their order.

    The same change is one with the same effect, but for added or removed lines that are blank or
    hold a comment alone, and for blanks at the end of a line. Indentation and place count.
    """
    mine = outcome.candidate
    if mine is None or not mine.patch.strip():
        return []
    key = change_key(mine.patch)
    return [
        peer
        for peer in peers
        if peer.attempt.id != outcome.attempt.id
        and peer.candidate is not None
        and peer.candidate.patch.strip()
        and change_key(peer.candidate.patch) == key
    ]


@lru_cache(maxsize=512)
def change_key(patch: str) -> str:
    """Digest of what a patch changes; that of two patches is equal when they are twins."""
    return effect(_bare(patch))


def _bare(patch: str) -> str:
    """The patch without the changed lines that mean nothing; unreadable hunks stay as they are."""
    lines = patch.split("\n")
    sections: list[tuple[list[str], int, int]] = [([], 0, 0)]
    path, at = "", 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("diff --git "):
            sections.append(([], 0, 0))
        named = _FILE.match(line)
        path = named.group(1) if named else path
        hunk = _HUNK.match(line)
        at += 1
        text, hunks, left = sections[-1]
        if hunk is None:
            text.append(line)
            continue
        end = _end(lines, at, hunk)
        if end is None:
            return patch
        made = _hunk(hunk, lines[at:end], path)
        sections[-1] = ([*text, *made], hunks + 1, left + bool(made))
        at = end
    # A file of which only comments changed is not changed.
    kept = [text for text, hunks, left in sections if left or not hunks]
    return "\n".join(line for text in kept for line in text)


def _end(lines: Sequence[str], at: int, hunk: re.Match[str]) -> int | None:
    """Where the hunk's body ends; None when it is cut short."""
    old, new = (int(hunk.group(n) or "1") for n in (2, 4))
    while old > 0 or new > 0:
        if at >= len(lines):
            return None
        sign = lines[at][:1] or " "
        if sign not in " +-\\":
            return None
        old -= sign in " -"
        new -= sign in " +"
        at += 1
    while at < len(lines) and lines[at].startswith("\\"):
        at += 1
    return at


def _hunk(hunk: re.Match[str], body: Sequence[str], path: str) -> list[str]:
    """The hunk with meaningless additions left out and meaningless removals as context."""
    made: list[str] = []
    for line in body:
        sign, text = line[:1], line[1:]
        if sign in ("+", "-") and _means_nothing(text, path):
            if sign == "-":
                made.append(" " + text)
        elif sign in ("+", "-"):
            made.append(sign + text.rstrip())
        else:
            made.append(line)
    if not any(line[:1] in ("+", "-") for line in made):
        return []
    old = sum(line[:1] in (" ", "-", "") for line in made)
    new = sum(line[:1] in (" ", "+", "") for line in made)
    first = hunk.group(1)
    return [f"@@ -{first},{old} +{hunk.group(3)},{new} @@", *made]


def _means_nothing(text: str, path: str) -> bool:
    bare = text.strip()
    return not bare or (bare.startswith("#") and path.endswith(HASHED))
