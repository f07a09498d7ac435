"""Refuses features that could carry the answer: by their stated source, and by their name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from swe_router.errors import UsageError
from swe_router.records import Features

SOURCES = frozenset({"issue", "repo", "history", "judge"})
"""Where a feature may come from; gold, tests, other agents and what is not stated may not."""
_ANSWER = re.compile(
    r"gold|oracle|f2p|p2p|(fail|pass)_?to_?(pass|fail)|(test|model|gold|true)_?patch|^patch|patch$"
    r"|hints?_?text|^hints?$|difficult|resolved|solved|solve_?rate|success|consensus|outcome"
    r"|eval_?script|grade|label|passed|leaderboard|agents?_|submission",
    re.IGNORECASE,
)
"""Names of what is made from the answer key, from the discussion after the fix, from annotators
who saw the patch (SWE-bench's ``difficulty``), or from what other systems made of the issue."""


def leaks_of(features: Features) -> list[str]:
    """What makes these features unfit to decide by; empty when nothing does."""
    found = []
    values = features.values or {}
    for name, value in values.items():
        source = features.provenance.get(name, "")
        if source not in SOURCES:
            found.append(f"{name!r} comes from {source or 'an unstated source'}")
        elif _ANSWER.search(name):
            found.append(f"{name!r} is named as something that is made from the answer")
        elif not math.isfinite(value):
            found.append(f"{name!r} is {value}")
    return found + [
        f"{name!r} comes from {source}"
        for name, source in features.provenance.items()
        if name not in values and source not in SOURCES
    ]


def check_no_leaks(rows: Iterable[Features], where: str) -> list[Features]:
    """The rows as they are. Raises ``UsageError`` that names the first leak in ``where``."""
    kept = []
    for one in rows:
        leaks = leaks_of(one)
        if leaks:
            raise UsageError(
                f"{where}: {one.instance_id}: {'; '.join(leaks[:3])}. A policy may see features"
                f" from {', '.join(sorted(SOURCES))} only; make the file with `swe-router features`"
            )
        kept.append(one)
    return kept
