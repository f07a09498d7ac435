"""Printed output of a script: failure words, and output normalised for comparison."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

FAILURE_WORD = re.compile(
    r"\b(fail(?:s|ed|ure|ures|ing)?|bug|reproduced|errors?|\w+error|exception|incorrect(?:ly)?"
    r"|wrong(?:ly)?|mismatch(?:es)?|unexpected(?:ly)?|broken|traceback|not ok|invalid|problem)\b"
    r"|[✗❌✘]",
    re.I,
)
STRONG_FAILURE_WORDS = frozenset(
    {"fail", "bug", "reproduced", "incorrect", "wrong", "broken", "traceback"}
)
"""Marks that need no run after a fix to be taken as words of failure."""
_NEGATED_FAILURE = re.compile(
    r"\b(?:no|0|zero|without(?: any)?|not) (?:longer |more |an? |any |be |been )?"
    r"(?:fail\w*|errors?|bugs?|exceptions?|problems?|mismatch\w*|wrong|broken|incorrect|reproduced"
    r"|issues?)\b"
    r"|(?:fail\w*|errors?|problems?)\s*[:=]\s*(?:0|none|\[\])(?!\w)",
    re.I,
)
_SUCCESS_WORD = re.compile(
    r"(?<!not )(?<!n't )\b(?:success(?:ful(?:ly)?)?|succeed(?:s|ed)?|pass(?:es|ed)?|ok(?:ay)?"
    r"|works?|worked|fixed|correct(?:ly)?|as expected)\b|\bnot reproduced\b|[✓✔✅]",
    re.I,
)
_VARYING_TEXT = (
    (re.compile(r"0x[0-9a-fA-F]{4,}"), "0xN"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:e-\d+)? ?(?:s|ms|us|µs|ns|sec|seconds)\b"), "N s"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?"), "DATE"),
    (re.compile(r"/(?:tmp|var/folders|private)/[^\s'\",:)]+"), "/TMP"),
    (re.compile(r"\b(?:id|at|pid)[ =:]+\d{4,}\b"), "id N"),
    (re.compile(r"\bline \d+\b"), "line N"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "HEX"),
)


def normalised_output(output: str) -> str:
    """Output without addresses, times, temporary names and ids, and without blank ends."""
    for pattern, instead in _VARYING_TEXT:
        output = pattern.sub(instead, output)
    return "\n".join(line.rstrip() for line in output.strip().splitlines())


def output_digest(output: str) -> str:
    """SHA-256 hex of the normalised output."""
    return hashlib.sha256(normalised_output(output).encode("utf-8", "surrogatepass")).hexdigest()


def failure_marks(output: str) -> Counter[str]:
    """Words of failure -> how many lines of the output hold them; "no errors" is none."""
    found: Counter[str] = Counter()
    for line in output.splitlines():
        bare = _NEGATED_FAILURE.sub("", line)
        found.update({_word_stem(match[0]) for match in FAILURE_WORD.finditer(bare)})
    return found


def reports_success(output: str) -> bool:
    """Whether a script says that all is as it should be, and nothing to the contrary."""
    return bool(_SUCCESS_WORD.search(output)) and not failure_marks(output)


def seems_to_show_bug(exit_code: int | None, output: str) -> bool:
    """A recorded run that seems to show a bug: a hint, never a verdict."""
    return bool(exit_code) or bool(failure_marks(output))


def _word_stem(word: str) -> str:
    lower = word.lower()
    for stem in ("fail", "incorrect", "wrong", "mismatch", "unexpected"):
        if lower.startswith(stem):
            return stem
    return "error" if lower.endswith(("error", "errors")) else lower
