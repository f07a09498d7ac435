"""What a policy asks of an issue: its text and features, or the error that says how to give them.

A leaderboard may be of issues whose texts nobody gave: then ``Features.text`` is None, and
``Features.values`` too where no feature is known. Nothing is guessed from an empty text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from swe_router.errors import UsageError
from swe_router.records.values import Features

TEXTS = "needs issue texts (--split S)"
VALUES = "needs issue texts or features (--split S or --features FILE)"


def require_text(features: Features) -> str:
    """The issue text. Raises ``UsageError`` that begins with "needs" where it is not known."""
    if features.text is None:
        raise UsageError(TEXTS)
    return features.text


def require_values(features: Features) -> Mapping[str, float]:
    """The features. Raises ``UsageError`` that begins with "needs" where none is known."""
    if features.values is None:
        raise UsageError(VALUES)
    return features.values


def value_or_nan(features: Features, name: str) -> float:
    """One feature, for a policy that can do without it: NaN where it is not known."""
    return (features.values or {}).get(name, math.nan)
