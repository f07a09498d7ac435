"""The complexity of an issue on a scale from 1 to 10: a stated, unfitted mean of signs.

Every sign is put on 0 (easy) to 1 (hard) between two bounds and the weighted mean is stretched
over the scale. More words, more vague naming, a wider or more entangled region never lower it;
a named file, a stack frame or a hint of the fix never raise it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class Sign(NamedTuple):
    """One part of the score: ``easy`` and ``hard`` are the values that count 0 and 1."""

    feature: str
    weight: float
    easy: float
    hard: float
    log: bool = False
    """The feature is compared as log(1 + x)."""


TEXT_SIGNS = (
    Sign("words", 3.0, 30, 800, log=True),
    Sign("symbol_mentions", 1.0, 0, 60, log=True),
    Sign("file_mentions", 1.0, 3, 0, log=True),
    Sign("stack_frames", 0.5, 10, 0, log=True),
    Sign("fix_hints", 0.5, 3, 0),
    Sign("diff", 0.5, 1, 0),
)
"""What the issue alone tells."""
REPO_SIGNS = (
    Sign("ppr_entropy", 2.0, 0.1, 0.8),
    Sign("plausible_packages", 1.0, 1, 40, log=True),
    Sign("ambiguity", 0.5, 1, 15, log=True),
    Sign("seeds", 0.5, 4, 0, log=True),
    Sign("region_lines", 1.0, 300, 12000, log=True),
    Sign("region_fan_in", 1.0, 2, 300, log=True),
    Sign("region_tests", 0.5, 200, 0, log=True),
)
"""What the repository adds."""


def hardness(sign: Sign, value: float) -> float:
    """Where ``value`` lies between easy (0) and hard (1), cut off at both ends."""
    if not math.isfinite(value):
        return 0.5
    easy, hard = (math.log1p(sign.easy), math.log1p(sign.hard)) if sign.log else sign[2:4]
    at = math.log1p(max(0.0, value)) if sign.log else value
    return min(1.0, max(0.0, (at - easy) / (hard - easy)))


def complexity(values: Mapping[str, float]) -> float:
    """1 (easy) to 10 (hard) from the signs whose feature is known; 5.5 when none is."""
    known = [sign for sign in (*TEXT_SIGNS, *REPO_SIGNS) if sign.feature in values]
    total = sum(sign.weight for sign in known)
    if not total:
        return 5.5
    mean = sum(sign.weight * hardness(sign, values[sign.feature]) for sign in known) / total
    return round(1 + 9 * mean, 3)


def parts(values: Mapping[str, float]) -> dict[str, float]:
    """How far each sign moved the score from the middle of the scale, in points."""
    known = [sign for sign in (*TEXT_SIGNS, *REPO_SIGNS) if sign.feature in values]
    total = sum(sign.weight for sign in known) or 1.0
    return {
        sign.feature: round(
            9 * sign.weight * (hardness(sign, values[sign.feature]) - 0.5) / total, 3
        )
        for sign in known
    }
