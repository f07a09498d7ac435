"""The patch of another system as a candidate."""

from __future__ import annotations

import re

from swe_router.records import Candidate, patch_digest

_SAME = re.compile(r'^diff --git (?:a/(.+) b/\1|"a/(.+)" "b/\2")\r?$', re.MULTILINE)
_MOVED = re.compile(r'^(?:rename (?:from|to)|copy to) "?([^\t\r\n"]+)', re.MULTILINE)
_PLUS = re.compile(r'^(?:\+\+\+ (?:"?b/)?|--- (?:"?a/)?)([^\t\n"]+)', re.MULTILINE)
UNENDED = "its last line was ended"
"""A patch that was stripped of its last line end; git calls it corrupt."""


def candidate_of(attempt_id: str, patch: str) -> Candidate:
    """A patch of another system as a candidate; nothing of it was proved here.

    Its last line is ended: git takes no diff that was stripped, and many a file holds such.
    ``mended`` says so, because a judge of the file as it is would not mend it.
    """
    patch = patch if patch.strip() else ""
    mended = UNENDED if patch and not patch.endswith("\n") else ""
    patch += "\n" if mended else ""
    return Candidate(
        attempt_id=attempt_id,
        patch=patch,
        digest=patch_digest(patch),
        files=files_of(patch),
        mended=mended,
    )


def files_of(patch: str) -> tuple[str, ...]:
    """Paths that the headers of a diff name, sorted; those of changes without a hunk too."""
    names = {match.group(1).strip() for match in (*_PLUS.finditer(patch), *_MOVED.finditer(patch))}
    names |= {match.group(1) or match.group(2) for match in _SAME.finditer(patch)}
    return tuple(sorted(names - {"/dev/null"}))
