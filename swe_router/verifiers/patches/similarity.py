"""Similarity of two patches: the same change, or changes in the same places; pure.

A change is compared by what it adds and removes in each source file, as tokens: blanks, comments,
the kind of quotes, line breaks and the order of imports make no difference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from swe_router import patch_files
from swe_router.lazy_imports import deferred_module
from swe_router.verifiers.patches import path_kinds

if TYPE_CHECKING:
    from unidiff import patch as unidiff
else:
    unidiff = deferred_module("unidiff.patch")

_SOURCE_TOKEN = re.compile(
    r"'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
    r"|(?P<comment>\#[^\n]*|//[^\n]*)|[A-Za-z_]\w*|\d[\w.]*|[-+*/%=<>!&|^@:]+|[^\s\w]"
)
_IMPORT_LINE = re.compile(r"\s*(?:import|from)\s+[\w.]+")
TRAILING_COMMA = ","
_CLOSING_BRACKET = re.compile(r"\s*[)\]}]")
_HASH_COMMENT_SUFFIXES = (
    ".py",
    ".pyx",
    ".pyi",
    ".rb",
    ".sh",
    ".toml",
    ".cfg",
    ".yml",
    ".yaml",
    ".r",
    ".pl",
)
"""Files in which ``#`` begins a comment and ``//`` is an operator."""


@dataclass(frozen=True)
class NormalisedChange:
    """A patch in a form that can be compared."""

    changed_lines: frozenset[tuple[str, tuple[str, ...], tuple[str, ...]]]
    """(file, tokens removed, tokens added) of each source file."""
    token_counts: tuple[tuple[str, int], ...]
    """Signed tokens of all of it with their counts, by name."""
    changed_places: frozenset[tuple[str, str]]
    """(file, scope or line block of the old file) that it touches."""

    @property
    def is_empty(self) -> bool:
        """True if only comments and blanks of the source change."""
        return not self.changed_lines


@lru_cache(maxsize=512)
def normalised_change(patch: str) -> NormalisedChange:
    """The change of a patch; an empty one for what is no diff or touches no source."""
    files = patch_files.patch_summaries(patch)
    if files is None:
        return NormalisedChange(frozenset(), (), frozenset())
    edits, tokens = set(), Counter[str]()
    sources = set()
    for file in files:
        if not _is_source(file, path_kinds.is_test):
            continue
        sources.add(file.before or file.path)
        removed = _line_tokens(file.path, "".join(file.removed_lines))
        added = _line_tokens(file.path, "".join(file.added_lines))
        if removed == added:
            continue
        edits.add((file.path, removed, added))
        tokens.update(f"-{token}" for token in removed)
        tokens.update(f"+{token}" for token in added)
    places = frozenset(place for place in _changed_places(patch) if place[0] in sources)
    return NormalisedChange(frozenset(edits), tuple(sorted(tokens.items())), places)


def is_same_change(one: NormalisedChange, other: NormalisedChange) -> bool:
    """The very same change of the source."""
    return not one.is_empty and one.changed_lines == other.changed_lines


def similarity(one: NormalisedChange, other: NormalisedChange) -> float:
    """0 to 1: mean of shared tokens (Jaccard over counts) and shared places; symmetric."""
    if one.is_empty or other.is_empty:
        return 0.0
    if is_same_change(one, other):
        return 1.0
    a, b = Counter(dict(one.token_counts)), Counter(dict(other.token_counts))
    words = (a & b).total() / max(1, (a | b).total())
    where = len(one.changed_places & other.changed_places) / max(
        1, len(one.changed_places | other.changed_places)
    )
    return round((words + where) / 2, 6)


def _is_source(file: patch_files.PatchSummary, is_test: Callable[[str], bool]) -> bool:
    scratch = not file.before and path_kinds.is_scratch(file.path)
    return not (scratch or is_test(file.path) or path_kinds.is_doc(file.path))


def _line_tokens(path: str, text: str) -> tuple[str, ...]:
    """Tokens of changed lines; whole import lines stand first, in order of their text."""
    imports: list[str] = []
    rest: list[str] = []
    for line in text.splitlines():
        (imports if _IMPORT_LINE.match(line) else rest).append(line)
    found = [
        token
        for line in sorted(map(str.strip, imports))
        for token in _split_into_tokens(path, line)
    ]
    return (*found, *_split_into_tokens(path, "\n".join(rest)))


def _split_into_tokens(path: str, text: str) -> list[str]:
    hashed = path.endswith(_HASH_COMMENT_SUFFIXES)
    kept: list[str] = []
    at = 0
    while (match := _SOURCE_TOKEN.search(text, at)) is not None:
        token, at = match[0], match.end()
        if match["comment"]:
            if hashed == token.startswith("#"):
                continue
            token, at = token[0], match.start() + 1  # an operator or a preprocessor line
        if token[0] in "'\"" and len(token) > 1:
            token = _without_quotes(token)
        if token == TRAILING_COMMA and _CLOSING_BRACKET.match(text, at):
            continue  # a trailing comma comes and goes with line breaks
        kept.append(token)
    return kept


def _without_quotes(token: str) -> str:
    """A string without its kind of quotes."""
    width = 3 if token[:3] in ("'''", '"""') and len(token) >= 6 else 1
    inner = token[width:-width]
    return '"' + inner.replace("\\'", "'").replace('\\"', '"') + '"'


def _changed_places(patch: str) -> set[tuple[str, str]]:
    """(old file, scope) of each changed line: git's own section header, and the line's block."""
    found: set[tuple[str, str]] = set()
    for file in unidiff.PatchSet(patch):
        path = patch_files.header_path(file.source_file) or patch_files.header_path(
            file.target_file
        )
        for hunk in file:
            line, scope = hunk.source_start, hunk.section_header.strip()
            for one in hunk:
                line = one.source_line_no or line
                if one.is_added or one.is_removed:
                    found.add((path, scope or f"block {line // 20}"))
                    found.add((path, f"lines {line // 5}"))
    return found
