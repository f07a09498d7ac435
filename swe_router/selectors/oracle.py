"""Select a right candidate if there is one: the upper bound of every selector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swe_router.errors import UsageError
from swe_router.records import Candidate, CrossMatrix, Outcome
from swe_router.selectors import vote_counts
from swe_router.selectors.test_pass_rate import TestPassRate


class Oracle:
    """Selector ``oracle``: over recorded candidates only, since it reads official results."""

    def __init__(self, resolved: Mapping[str, bool] | None = None) -> None:
        """``resolved``: SHA-256 of a patch -> whether it is right.

        Raises ``UsageError`` without them: a live run has none.
        """
        if resolved is None:
            raise UsageError(
                "selector 'oracle' reads official results, which a live run does not have:"
                " it is for comparing selectors over recorded candidates"
            )
        self._resolved = resolved

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """A right candidate, else the one of ``test-pass-rate``, else None."""
        rank = TestPassRate().ranking(outcomes, matrix)
        best = max(
            vote_counts.non_empty(outcomes), key=lambda o: (self._right(o), rank(o)), default=None
        )
        return best.candidate if best is not None else None

    def _right(self, outcome: Outcome) -> bool:
        return outcome.candidate is not None and self._resolved.get(outcome.candidate.digest, False)
