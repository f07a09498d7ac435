"""Candidates of one issue that make the same change: they share one verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby, takewhile

from swe_router.patch_identity import effect_digest
from swe_router.records import Outcome

_HUNK_HEADER = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$")
_NEW_FILE_HEADER = re.compile(r"^\+\+\+ (?:b/)?([^\t\n]*)")
_FILE_CHANGES = ("new file", "deleted file", "rename ", "copy ", "old mode", "new mode")
HASH_COMMENT_SUFFIXES = (".py", ".pyx", ".pyi", ".rb", ".sh", ".toml", ".cfg", ".yml", ".yaml")
"""Files in which a line that begins with ``#`` is a comment."""
SLASH_COMMENT_SUFFIXES = (
    ".js", ".jsx", ".ts", ".tsx", ".java", ".go", ".rs", ".c", ".h", ".cc", ".cpp", ".hpp",
    ".cs", ".kt", ".scala", ".swift", ".php",
)  # fmt: skip
"""Files in which ``//`` and a blank begin one; without the blank it may be a directive of Go."""


def equivalent_peers(outcome: Outcome, peers: Sequence[Outcome]) -> list[Outcome]:
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
    """Digest of the change of a patch; equal for equivalent patches."""
    return effect_digest(_without_noise(patch))


def _without_noise(patch: str) -> str:
    """The patch without meaningless changed lines; unreadable hunks stay."""
    lines = patch.split("\n")
    sections: list[tuple[list[str], int, int]] = [([], 0, 0)]
    path, at = "", 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("diff --git "):
            sections.append(([], 0, 0))
        elif _begins_file_without_git_header(lines[at : at + 2], sections[-1]):
            name = _NEW_FILE_HEADER.match(lines[at + 1])
            sections.append(([f"diff --git a/{name[1]} b/{name[1]}" if name else ""], 0, 0))
        if line.startswith(("--- ", "+++ ")):
            line = line.split("\t")[0]  # what stands behind it is a time
        named = _NEW_FILE_HEADER.match(line)
        path = named.group(1) if named else path
        hunk = _HUNK_HEADER.match(line)
        at += 1
        text, hunks, left = sections[-1]
        if hunk is None:
            text.append(line)
            continue
        end = _hunk_end(lines, at, hunk)
        if end is None:
            return patch
        made = _hunk_without_noise(hunk, lines[at:end], path)
        sections[-1] = ([*text, *made], hunks + 1, left + bool(made))
        at = end
    # A file with changed comments only is unchanged; a new, moved or deleted one is not.
    kept = [
        text for text, hunks, left in sections if left or not hunks or _has_more_than_lines(text)
    ]
    return "\n".join(line for text in kept for line in text)


def _begins_file_without_git_header(
    two_lines: Sequence[str], section: tuple[list[str], int, int]
) -> bool:
    """Whether a file begins here without a ``diff --git`` line, as ``diff -u`` writes it."""
    text, hunks, _ = section
    begun = any(line.startswith("diff --git ") for line in text) and not hunks
    return (
        not begun
        and len(two_lines) == 2
        and two_lines[0][:4] == "--- "
        and two_lines[1][:4] == "+++ "
    )


def _has_more_than_lines(text: Sequence[str]) -> bool:
    """Whether a section says more of its file than which lines change."""
    return any(line.startswith(_FILE_CHANGES) or line.endswith(" /dev/null") for line in text)


def _hunk_end(lines: Sequence[str], start: int, hunk: re.Match[str]) -> int | None:
    """Where the hunk's body ends; None when it is cut short."""
    old, new = (int(hunk.group(n) or "1") for n in (2, 4))
    while old > 0 or new > 0:
        if start >= len(lines):
            return None
        sign = lines[start][:1] or " "
        if sign not in " +-\\":
            return None
        old -= sign in " -"
        new -= sign in " +"
        start += 1
    while start < len(lines) and lines[start].startswith("\\"):
        start += 1
    return start


def _hunk_without_noise(hunk: re.Match[str], body: Sequence[str], path: str) -> list[str]:
    """The hunk with meaningless additions left out and meaningless removals as context."""
    made: list[str] = []
    for line in body:
        sign, text = line[:1], line[1:]
        if sign in ("+", "-") and _is_meaningless_line(text, path):
            if sign == "-":
                made.append(" " + text)
        elif sign == "+":
            made.append(sign + text.rstrip())
        else:
            made.append(line)
    made = _without_trailing_blanks(made)
    if not any(line[:1] in ("+", "-") for line in made):
        return []
    old = sum(line[:1] in (" ", "-", "") for line in made)
    new = sum(line[:1] in (" ", "+", "") for line in made)
    first = hunk.group(1)
    return [f"@@ -{first},{old} +{hunk.group(3)},{new} @@", *made]


def _without_trailing_blanks(lines: Sequence[str]) -> list[str]:
    """The lines; where a removed one is put back with other blanks at its end it is context."""
    made: list[str] = []
    for sign, run in groupby(lines, key=lambda line: line[:1]):
        block = list(run)
        gone = list(takewhile(lambda one: one[:1] == "-", reversed(made)))[::-1]
        if sign == "+" and [one[1:].rstrip() for one in gone] == [one[1:] for one in block]:
            made[len(made) - len(gone) :] = [" " + one[1:] for one in gone]
        else:
            made += block
    return [line.rstrip() if line[:1] == "-" else line for line in made]


def _is_meaningless_line(text: str, path: str) -> bool:
    bare = text.strip()
    if not bare or (bare.startswith("#") and path.endswith(HASH_COMMENT_SUFFIXES)):
        return True
    return f"{bare} ".startswith("// ") and path.endswith(SLASH_COMMENT_SUFFIXES)
