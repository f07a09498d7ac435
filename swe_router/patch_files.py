"""What a patch does to each file, read from its text."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    from unidiff import errors as unidiff_errors
    from unidiff import patch as unidiff
else:
    unidiff = deferred_module("unidiff.patch")
    unidiff_errors = deferred_module("unidiff.errors")

_FILE_SECTION_START = re.compile(r"^(?=diff --git )", re.MULTILINE)
_HUNK_HEADER = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_FILE_HEADER_PAIR = re.compile(r"--- [^\n]*\n\+\+\+ ")
_CRLF_HEADER = re.compile(r"^(?:diff --git |--- |\+\+\+ )[^\n]*\r$", re.MULTILINE)
_C_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPE_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f"}


@dataclass(frozen=True)
class PatchSummary:
    """One file of a patch."""

    path: str
    """Where the file is afterwards; for a deleted file where it was."""
    before: str
    """Where it was; empty for a new file."""
    deleted: bool
    removed_lines: tuple[str, ...]
    added_lines: tuple[str, ...]
    base_lines: tuple[int, ...] = ()
    """Numbers of the lines of the base, from 1, that are removed or that lines are added after."""
    dataless: bool = False
    """It says that binary files differ and does not hold how: nothing can come of it."""
    copied: str = ""
    """The file that it is a copy of, which stays as it is: to the project a new file."""


def patch_summaries(patch: str) -> tuple[PatchSummary, ...] | None:
    """Each file of the patch in order; None when the text cannot be read as a diff."""
    if _CRLF_HEADER.search(patch):
        patch = patch.replace("\r\n", "\n")  # a header that ends so hides what it says
    files = _parse_files(patch)
    if files is None:
        files = _parse_files(_with_recounted_hunks(patch))  # GNU patch takes what it counts wrongly
    if files is None:
        return None
    # The reader drops the data of binary files: which section has any is read from the text.
    sections = _FILE_SECTION_START.split(patch)
    whole = {one.partition("\n")[0] for one in sections if "\nGIT binary patch\n" in one}
    return tuple(_file_summary(file, whole) for file in files)


def _parse_files(patch: str) -> list[unidiff.PatchedFile] | None:
    try:
        return list(unidiff.PatchSet(patch))
    except unidiff_errors.UnidiffParseError:
        return None


def _with_recounted_hunks(patch: str) -> str:
    """The patch with the number of lines in each hunk as they are."""
    lines = patch.split("\n")
    heads = [n for n, line in enumerate(lines) if _HUNK_HEADER.match(line)]
    for head in heads:
        old = new = 0
        for n in range(head + 1, len(lines)):
            sign = lines[n][:1]
            if sign not in (" ", "+", "-", "\\") or _FILE_HEADER_PAIR.match(
                "\n".join(lines[n : n + 2])
            ):
                break
            old, new = old + (sign in " -"), new + (sign in " +")
        lines[head] = _HUNK_HEADER.sub(rf"@@ -\g<1>,{old} +\g<2>,{new} @@", lines[head])
    return "\n".join(lines)


def _file_summary(file: unidiff.PatchedFile, whole: Container[str]) -> PatchSummary:
    head = [line.rstrip("\n") for line in file.patch_info or ()]
    lines = [line for hunk in file for line in hunk]
    source, target = header_path(file.source_file), header_path(file.target_file)
    copied = source if any(line.startswith("copy from ") for line in head) else ""
    removed = () if copied else tuple(line.value for line in lines if line.is_removed)
    return PatchSummary(
        path=target or source,
        before="" if copied else source,
        deleted=file.is_removed_file,
        removed_lines=removed,
        added_lines=tuple(line.value for line in lines if line.is_added),
        base_lines=() if copied else tuple(_changed_base_lines(file)),
        dataless=file.is_binary_file and not lines and not any(line in whole for line in head),
        copied=copied,
    )


def _changed_base_lines(file: unidiff.PatchedFile) -> Iterable[int]:
    for hunk in file:
        last = max(1, hunk.source_start - 1)
        for line in hunk:
            if line.is_added:
                yield last
            elif line.source_line_no:
                last = line.source_line_no
                if line.is_removed:
                    yield last


def header_path(name: str) -> str:
    """A path out of a diff header: unquoted, without its ``a/`` or ``b/``; empty for none."""
    name = name.partition("\t")[0].removesuffix("\r")
    if name == "/dev/null":
        return ""
    if name.startswith('"') and name.endswith('"'):
        name = unquoted_path(name)
    return name[2:] if name.startswith(("a/", "b/")) else name


def unquoted_path(name: str) -> str:
    """A path as git quotes it (C escapes, octal bytes), read back."""

    def byte(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        return bytes([int(code, 8)]) if len(code) == 3 else _ESCAPE_LETTERS.get(code, code)

    raw = _C_ESCAPE.sub(byte, name[1:-1].encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")
