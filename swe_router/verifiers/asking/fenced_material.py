"""Material in a prompt between marks that it cannot contain, and codes that it cannot know.

A diff, an issue or a log may hold orders, closing marks and made-up verdicts. A mark is made of the
digest of what it encloses and is longer where that happens to contain it, so that no material ends
its own fence. An answer counts only with the code of its request, which no material contains: a
verdict that is quoted from a diff is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

MIN_MARK_DIGITS = 8


def fenced(label: str, text: str, max_chars: int) -> str:
    """The text between ``<label-…>`` and ``</label-…>``; what is over ``max_chars`` is counted."""
    shown = text[:max_chars].strip("\n")
    mark = f"{label}-{absent_code(label, [shown])}"
    cut = len(text) - max_chars
    note = f"\n{cut} characters are left out here." if cut > 0 else ""
    return f"<{mark}>\n{shown}\n</{mark}>{note}"


def absent_code(purpose: str, texts: Iterable[str], digits: int = MIN_MARK_DIGITS) -> str:
    """Hexadecimal digits by the texts, that none of them contains; the same for the same texts.

    As few from ``digits`` on as there need to be.
    """
    texts = list(texts)
    seen = hashlib.sha256(purpose.encode())
    for text in texts:
        seen.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    digest = seen.hexdigest()
    for size in range(digits, len(digest)):
        if not any(digest[:size] in text for text in texts):
            return digest[:size]
    return digest
