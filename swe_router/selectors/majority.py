"""Select the change that most candidates made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swe_router.records import Candidate, CrossMatrix, Outcome
from swe_router.selectors import vote_counts
from swe_router.selectors.test_pass_rate import TestPassRate
from swe_router.settings import Table


class Majority:
    """Selector ``majority``: the most common normalised change.

    Ties go to the change whose best candidate ``test-pass-rate`` would rather hand in. Of the
    candidates that made the change, one that no verifier failed goes first, then the earliest.
    """

    def __init__(self, **knobs: Any) -> None:
        """Raises ``UsageError`` for any knob: it has none."""
        vote_counts.validated_selector_knobs("majority", Table, knobs)

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """One of the candidates of the winning change, or None when there is none."""
        best = self._best(outcomes, matrix)
        return best.candidate if best is not None else None

    def settled(self, outcomes: Sequence[Outcome], left: int) -> str:
        """Why the choice stays whatever ``left`` later candidates are; empty if it may change."""
        best = self._best(outcomes, None)
        if best is None or left <= 0 or not vote_counts.has_no_hard_fail(best):
            return ""
        votes, form = vote_counts.votes_per_change(outcomes), vote_counts.change_form(best)
        if not vote_counts.cannot_be_outvoted(votes, form, left):
            return ""
        return f"{votes[form]} candidates made one change: {left} more cannot outvote it"

    def _best(self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None) -> Outcome | None:
        return most_common_change(
            vote_counts.non_empty(outcomes), TestPassRate().ranking(outcomes, matrix)
        )


def most_common_change(outcomes: Sequence[Outcome], rank: Any) -> Outcome | None:
    """A candidate of the change that most of them made; ties by the best ``rank`` of a change."""
    votes = vote_counts.votes_per_change(outcomes)
    best: dict[vote_counts.ChangeForm, Any] = {}
    for one in outcomes:
        form = vote_counts.change_form(one)
        best[form] = max(best.get(form, rank(one)), rank(one))

    def key(outcome: Outcome) -> tuple[Any, ...]:
        form = vote_counts.change_form(outcome)
        return (
            votes[form],
            best[form],
            vote_counts.has_no_hard_fail(outcome),
            *vote_counts.earliest_first_key(outcome),
        )

    return max(outcomes, key=key, default=None)
