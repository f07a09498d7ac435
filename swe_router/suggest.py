"""The name that was probably meant in the place of an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MIN_LIKENESS = 0.6
"""Share of ``difflib``'s ratio from which two names are alike."""


def nearest_names(
    name: str, known: Iterable[str], *, count: int = 1, min_ratio: float = MIN_LIKENESS
) -> list[str]:
    """Up to ``count`` of the known names that are like ``name``, the likest first."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=min_ratio)


def did_you_mean_hint(
    name: str,
    known: Iterable[str],
    *,
    prefix: str = "",
    count: int = 1,
    min_ratio: float = MIN_LIKENESS,
) -> str:
    """The end of an error: ``; did you mean 'NAME'?``, or nothing when no known name is like it.

    ``prefix`` stands before each suggested name, inside its quotes.
    """
    near = nearest_names(name, known, count=count, min_ratio=min_ratio)
    return f"; did you mean {' or '.join(repr(prefix + one) for one in near)}?" if near else ""


def did_you_mean_question(name: str, known: Iterable[str]) -> str:
    """A sentence for a model: `` Did you mean NAME?``, or nothing. Its words are part of a run."""
    near = nearest_names(name, known)
    return f" Did you mean {near[0]}?" if near else ""
