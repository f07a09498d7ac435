"""When two patches are the same edit: same lines taken and put at the same lines of the base."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from swe_router.records import Candidate, digest_of

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_FILE = re.compile(r"(?m)^(?=diff --git )")
_PLUS = re.compile(r'^(?:\+\+\+ (?:"?b/)?|--- (?:"?a/)?)([^\t\n"]+)', re.MULTILINE)


def candidate_of(attempt_id: str, patch: str) -> Candidate:
    """A patch of somebody else as a candidate; nothing of it was proved here."""
    patch = patch if patch.strip() else ""
    return Candidate(
        attempt_id=attempt_id,
        patch=patch,
        digest=hashlib.sha256(patch.encode("utf-8", "surrogatepass")).hexdigest(),
        files=files_of(patch),
    )


def files_of(patch: str) -> tuple[str, ...]:
    """Paths that the headers of a diff name, sorted."""
    names = {match.group(1).strip() for match in _PLUS.finditer(patch)}
    return tuple(sorted(names - {"/dev/null"}))


def sameness(patch: str) -> str:
    """Digest that is equal for patches which make the same tree of the same base.

    Blob ids, the width and the text of the context, the headings of hunks and the order of files
    do not count; a text that is no plain diff counts letter by letter.
    """
    try:
        files = [section for section in _FILE.split(patch) if section.strip()]
        return digest_of(sorted(_file(section) for section in files))
    except ValueError:
        return digest_of(patch)


def _file(section: str) -> list[list[object]]:
    """Header lines that act, then each edit. Raises ``ValueError`` for what is no plain diff."""
    lines = section.split("\n")
    if not lines[0].startswith("diff --git "):
        raise ValueError("no git diff")
    head = next((n for n, line in enumerate(lines) if line.startswith("@@ ")), len(lines))
    acting = [line for line in lines[:head] if line and not line.startswith("index ")]
    if any(line.startswith(("GIT binary", "Binary files")) for line in acting):
        raise ValueError("a binary patch")
    return [[0, "", *acting], *_edits(lines[head:])]


def _edits(lines: Sequence[str]) -> Iterator[list[object]]:
    """Place in the base, sign and text of each line taken or put, in order."""
    at = old = new = 0
    sign = " "
    for line in lines:
        begun = _HUNK.match(line)
        if begun and not (old or new):
            at, size = int(begun.group(1)), begun.group(2)
            old = int(size) if size is not None else 1
            new = int(begun.group(4)) if begun.group(4) is not None else 1
            at += old == 0  # a hunk that takes nothing names the line before it
        elif line.startswith("\\"):
            if sign != " ":  # of a line of context it says nothing new
                yield [at, "\\", sign]
        elif line == "" and not (old or new):
            continue
        elif line[:1] in (" ", "") and old and new:
            at, old, new, sign = at + 1, old - 1, new - 1, " "
        elif line.startswith("-") and old:
            yield [at, "-", line[1:]]
            at, old, sign = at + 1, old - 1, "-"
        elif line.startswith("+") and new:
            yield [at, "+", line[1:]]
            new, sign = new - 1, "+"
        else:
            raise ValueError(f"no line of a hunk: {line[:40]!r}")
    if old or new:
        raise ValueError("a hunk is cut short")
