"""What the past teaches a policy: recorded runs of arms on issues, with their official verdicts.

An ``Example`` is training data. It is made from outcome tables of *other* issues than the one that
is to be decided, and never reaches ``Policy.decide``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from swe_router.records.frozen import FrozenRecord
from swe_router.records.values import Features


class RecordedRun(FrozenRecord):
    """One recorded run of one arm on one issue."""

    resolved: bool
    usd: float | None = None
    """USD of the whole run; None is unknown, never 0."""
    steps: int | None = None
    """Model calls."""
    seconds: float | None = None
    passes: float | None = None
    """Probability that the verifier in use passes this run's patch; 0 or 1 where its verdict was
    recorded, None where nothing is known of it."""
    probability: float | None = None
    """Calibrated P(right) that the verifiers gave this run's patch; None is unknown, never 0."""


class Example(FrozenRecord):
    """One past issue: its features, and what came of each arm that was tried on it."""

    features: Features
    runs: Mapping[str, tuple[RecordedRun, ...]] = Field(default_factory=dict)
    """Arm (``str(arm)``) -> its independent runs, in order."""

    @property
    def group(self) -> str:
        """The repository: folds and bounds go by it, since issues of one are alike."""
        return self.features.repo
