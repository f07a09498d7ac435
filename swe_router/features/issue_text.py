"""What the issue text alone says: its form, its words, and the code that it names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_FRAME = re.compile(r'File "([^"\n]{1,300})", line (\d{1,7})(?:, in ([\w.<>]{1,200}))?')
_SHORT_FRAME = re.compile(r"^([\w./\\-]{1,300}\.py):(\d{1,7}): ", re.MULTILINE)
_PATH = re.compile(r"(?<![\w/])((?:[\w.-]{1,80}/){0,12}[\w-]{1,80}\.pyi?)(?!\w)")
_TICKED = re.compile(r"`{1,2}([^`\n]{1,120})`{1,2}")
_DOTTED = re.compile(r"(?<![\w./])([A-Za-z_]\w{0,80}(?:\.[A-Za-z_]\w{0,80}){1,6})(?![\w/])")
_CALLED = re.compile(r"(?<![\w.])([A-Za-z_]\w{1,80})\(")
_CAMEL = re.compile(r"(?<![\w.])([A-Z][a-z0-9]{1,40}(?:[A-Z][A-Za-z0-9]{0,40}){1,6})(?!\w)")
_SNAKE = re.compile(r"(?<![\w.])(_{0,2}[a-z][a-z0-9]{0,40}(?:_[a-z0-9]{1,40}){1,8})(?!\w)")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_HINT = re.compile(
    r"\b(should be|instead of|replac(?:e|ing) .{1,60} (?:by|with)|chang(?:e|ing) .{1,60} to|"
    r"the fix|proposed (?:fix|patch|solution)|possible (?:fix|solution)|can be fixed|fixed by|"
    r"patch (?:is )?attached|the (?:problem|issue|culprit|bug) (?:is|lies|seems to be) in|"
    r"introduced (?:in|by)|caused by|because)\b",
    re.IGNORECASE,
)
_DIFF = re.compile(r"^(?:diff --git|@@ -\d+|[+-]{3} [ab]/)", re.MULTILINE)
_BUG = re.compile(
    r"\b(bugs?|error|exception|crash\w*|fail\w*|wrong\w*|incorrect\w*|broken|breaks?|regression|"
    r"unexpected\w*|traceback|raises?)\b",
    re.IGNORECASE,
)
_FEATURE = re.compile(
    r"\b(add(?:ing)? (?:support|an?|the)|support for|allow\w*|feature|enhancement|"
    r"would be (?:nice|useful|good|great)|implement\w*|proposal|deprecat\w*|refactor\w*)\b",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"\b[A-Z]{3,}\b")
_LINE = re.compile(r"#L\d+|\bline \d+")
_VERSION = re.compile(r"\b\d+\.\d+(?:\.\d+)?\b")
_DEFINED = re.compile(r"^[ \t>.]*(?:def|class) \w", re.MULTILINE)
_INDENTED = re.compile(r"^(?: {4}|\t)\S", re.MULTILINE)
MAX_CHARACTERS = 200_000
"""The rest of a longer issue is not read."""
MAX_MENTIONS = 200
"""Names beyond these say nothing more of where the change lies."""


@dataclass(frozen=True)
class Mentions:
    """Code that the issue names, as written, in order of first mention."""

    files: tuple[str, ...]
    frames: tuple[tuple[str, str], ...]
    """(path, function) of each stack frame, outermost first; the function may be empty."""
    symbols: tuple[str, ...]
    """Names, dotted or bare."""
    words: frozenset[str]
    """Words of the text that could be names."""


def find_mentions(text: str) -> Mentions:
    """The files, stack frames and symbols that a text names."""
    text = text[:MAX_CHARACTERS]
    frames = [(m[1], m[3] or "") for m in _FRAME.finditer(text)]
    frames += [(m[1], "") for m in _SHORT_FRAME.finditer(text)]
    files = dict.fromkeys(m[1] for m in _PATH.finditer(text))
    symbols: dict[str, None] = {}
    for quoted in _TICKED.findall(text):
        found = _NAME.match(quoted.strip())
        if found and len(found[0]) > 1:
            symbols.setdefault(found[0])
    for pattern in (_DOTTED, _CALLED, _CAMEL, _SNAKE):
        symbols.update(dict.fromkeys(pattern.findall(text)))
    kept = [name for name in symbols if not name.endswith((".py", ".pyi"))]
    return Mentions(
        tuple(list(files)[:MAX_MENTIONS]), tuple(frames[:MAX_MENTIONS]),
        tuple(kept[:MAX_MENTIONS]), frozenset(re.findall(r"[A-Za-z_]\w{3,60}", text)),
    )  # fmt: skip


def without_fences(text: str) -> tuple[str, int]:
    """The text without its fenced code, and how many fences it had; an open one runs to the end."""
    kept: list[str] = []
    fences, closing = 0, ""
    for line in text.splitlines(keepends=True):
        mark = line.strip()[:3]
        if closing:
            closing = "" if line.strip() == closing else closing
        elif mark in ("```", "~~~"):
            closing, fences = mark, fences + 1
        else:
            kept.append(line)
    return "".join(kept), fences


def text_features(text: str) -> dict[str, float]:
    """Counts and flags of an issue text; every value is finite and not negative."""
    text = text[:MAX_CHARACTERS]
    prose, fences = without_fences(text)
    title = text.strip().partition("\n")[0]
    named = find_mentions(text)
    return {
        "words": float(len(text.split())),
        "prose_words": float(len(prose.split())),
        "code_fences": float(fences),
        "code_share": round(1 - len(prose) / len(text), 6) if text else 0.0,
        "traceback": float("Traceback (most recent call last)" in text or bool(named.frames)),
        "stack_frames": float(len(named.frames)),
        "file_mentions": float(len(named.files)),
        "symbol_mentions": float(len(named.symbols)),
        "fix_hints": float(len(_HINT.findall(prose))),
        "diff": float(bool(_DIFF.search(text))),
        "question": float(title.rstrip().endswith("?")),
        "bug_words": float(len(_BUG.findall(prose))),
        "feature_words": float(len(_FEATURE.findall(prose))),
        "title_words": float(len(title.split())),
        "wishes": float(len(re.findall(r"\bshould\b", prose, re.IGNORECASE))),
        "capital_words": float(len(_CAPITALS.findall(prose))),
        "line_mentions": float(len(_LINE.findall(text))),
        "versions": float(len(_VERSION.findall(prose))),
        "code_definitions": float(len(_DEFINED.findall(text))),
        "indented_lines": float(len(_INDENTED.findall(prose))),
        "links": float(len(re.findall(r"https?://", text))),
        "log_words": round(math.log1p(len(text.split())), 6),
    }
