"""Select a random candidate: the baseline of every selector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from swe_router.records import Candidate, CrossMatrix, Outcome
from swe_router.selectors import vote_counts
from swe_router.settings import Table


class RandomKnobs(Table):
    """Knobs of ``random``."""

    seed: int = 0


class RandomChoice:
    """Selector ``random``: drawn by the seed, the instance and the candidates, so it replays."""

    def __init__(self, **knobs: Any) -> None:
        """Raises ``UsageError`` for a bad seed."""
        self.seed = vote_counts.validated_selector_knobs("random", RandomKnobs, knobs).seed

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """One of the non-empty candidates, each as likely, or None when there is none."""
        best = max(vote_counts.non_empty(outcomes), key=self._lot, default=None)
        return best.candidate if best is not None else None

    def _lot(self, outcome: Outcome) -> tuple[bytes, tuple[int, int, str, str]]:
        attempt, patch = outcome.attempt, vote_counts.patch_of(outcome)
        parts = (str(self.seed), attempt.instance_id, attempt.id, patch)
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.sha256(text).digest(), vote_counts.earliest_first_key(outcome)
