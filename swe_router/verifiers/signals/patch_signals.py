"""Patch signals: numbers from a patch and the text of its issue."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from swe_router import patch_files
from swe_router.verifiers.patches import path_kinds

_HUNK_HEADER = re.compile(r"^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@(.*)$", re.MULTILINE)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{2,60}")
_BRANCH = re.compile(r"\s*(?:if|elif|else|for|while|switch|case|try|except|catch|with)\b")
_GUARD_CLAUSE = re.compile(r"\b(?:isinstance|hasattr|getattr|callable|len)\(|\bis (?:not )?None\b")
_EXCEPTION_HANDLER = re.compile(r"\s*(?:except\b|catch\b)")
_DEFINITION = re.compile(r"\s*(?:async\s+)?(?:def|class|function|func|fn)\s+(\w+)")
_COMMENT = re.compile(r"\s*(?:#|//|/\*|\*)")
_LITERAL = re.compile(r"'[^'\n]{3,}'|\"[^\"\n]{3,}\"|\b\d{2,}\b")
_MAX_COUNT = 200_000
"""Characters of an issue that are read."""
MIN_CODE_LINE_CHARS = 8
"""Characters without blanks from which a line of the issue says something when it reappears."""


def signals_of_patch(patch: str, problem: str, is_test: Callable[[str], bool]) -> dict[str, float]:
    """Numbers by name, ``patch_*`` and ``issue_*``; empty when the text is no diff."""
    files = patch_files.patch_summaries(patch)
    if not files:
        return {}
    source = [file for file in files if _is_source(file, is_test)]
    added = [line for file in source for line in file.added_lines if line.strip()]
    removed = [line for file in source for line in file.removed_lines if line.strip()]
    return {
        **_size_signals(patch, files, source, is_test),
        **_content_signals(added, removed),
        **_issue_overlap_signals(
            source, added, removed, _HUNK_HEADER.findall(patch), problem[:_MAX_COUNT]
        ),
    }


def _is_source(file: patch_files.PatchSummary, is_test: Callable[[str], bool]) -> bool:
    scratch = not file.before and path_kinds.is_scratch(file.path)
    return not (scratch or is_test(file.path) or path_kinds.is_doc(file.path))


def _size_signals(
    patch: str,
    files: Sequence[patch_files.PatchSummary],
    source: Sequence[patch_files.PatchSummary],
    is_test: Callable[[str], bool],
) -> dict[str, float]:
    added = sum(len(file.added_lines) for file in source)
    removed = sum(len(file.removed_lines) for file in source)
    return {
        "patch_files": float(len(source)),
        "patch_hunks": float(len(_HUNK_HEADER.findall(patch))),
        "patch_added": float(added),
        "patch_removed": float(removed),
        "patch_only_adds": float(not removed),
        "patch_new_files": float(sum(not file.before for file in source)),
        "patch_scratch": float(sum(not f.before and path_kinds.is_scratch(f.path) for f in files)),
        "patch_tests": float(any(is_test(file.path) for file in files)),
        "patch_docs": float(any(path_kinds.is_doc(file.path) for file in files)),
    }


def _content_signals(added: Sequence[str], removed: Sequence[str]) -> dict[str, float]:
    def more(pattern: re.Pattern[str]) -> float:
        return float(max(0, _matching_lines(pattern, added) - _matching_lines(pattern, removed)))

    comments = sum(bool(_COMMENT.match(line)) for line in added)
    before = {name for line in removed for name in _DEFINITION.findall(line)}
    after = {name for line in added for name in _DEFINITION.findall(line)}
    return {
        "patch_comment_share": comments / len(added) if added else 0.0,
        "patch_branches": more(_BRANCH),
        "patch_guards": more(_GUARD_CLAUSE),
        "patch_swallows": more(_EXCEPTION_HANDLER),
        "patch_literals": more(_LITERAL),
        "patch_new_definitions": float(len(after - before)),
        "patch_signatures": float(len(after & before)),
    }


def _matching_lines(pattern: re.Pattern[str], lines: Iterable[str]) -> int:
    return sum(bool(pattern.search(line)) for line in lines)


def _issue_overlap_signals(
    source: Sequence[patch_files.PatchSummary],
    added: Sequence[str],
    removed: Sequence[str],
    sections: Sequence[str],
    problem: str,
) -> dict[str, float]:
    """How much of what is changed the issue names."""
    known = set(_IDENTIFIER.findall(problem))
    changed = {word for line in (*added, *removed) for word in _IDENTIFIER.findall(line)}
    scopes = {name for text in (*sections, *removed) for name in _DEFINITION.findall(text)}
    stems = {file.path.rsplit("/", 1)[-1].split(".")[0] for file in source}
    return {
        "issue_words_shared": len(changed & known) / len(changed) if changed else 0.0,
        "issue_names_scope": float(bool(scopes & known)),
        "issue_names_file": float(any(file.path in problem for file in source)),
        "issue_names_module": float(bool({stem for stem in stems if len(stem) > 3} & known)),
        "issue_fix_taken": float(_copies_issue_line(added, problem)),
    }


def _copies_issue_line(added: Sequence[str], problem: str) -> bool:
    """A line of the issue, blanks aside, stands among the lines that the patch adds."""
    issue_lines = {"".join(line.lstrip(" \t>+").split()) for line in problem.splitlines()}
    ours = {"".join(line.split()) for line in added}
    return any(
        len(line) >= MIN_CODE_LINE_CHARS and not _COMMENT.match(line) for line in issue_lines & ours
    )
