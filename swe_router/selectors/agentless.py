"""Choose as Agentless does: tests that must not break, tests that must pass, then a vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swe_router.records import Candidate, CrossMatrix, Outcome
from swe_router.selectors import vote_counts
from swe_router.selectors.majority import most_common_change
from swe_router.selectors.test_pass_rate import TestPassRate
from swe_router.settings import Table


class Agentless:
    """Selector ``agentless``, after Agentless (arXiv 2407.01489, its section on patch validation).

    Keep the candidates that break the fewest existing tests; of those the ones that pass the most
    reproduction tests (the paper has one, passed or not; where no model wrote any, those that
    other attempts left stand in); then a majority vote over the normalised patch. The paper
    breaks ties by the first sample; so does this, after the order of ``test-pass-rate``.
    """

    def __init__(self, **knobs: Any) -> None:
        """Raises ``UsageError`` for any knob: it has none."""
        vote_counts.validated_selector_knobs("agentless", Table, knobs)

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """One of the non-empty candidates, or None when there is none."""
        best = self._best(outcomes, matrix)
        return best.candidate if best is not None else None

    def settled(self, outcomes: Sequence[Outcome], left: int) -> str:
        """Why the choice stays whatever ``left`` later candidates are; empty if it may change.

        Only tests written from the issue settle anything: what later attempts leave is unknown.
        """
        best = self._best(outcomes, None)
        if best is None or left <= 0 or not vote_counts.has_no_hard_fail(best):
            return ""
        passed, ran = vote_counts.written_test_counts(best)
        if vote_counts.broken_test_count(best) or not ran or passed < ran:
            return ""
        kept = _fewest_broken_most_passed(vote_counts.non_empty(outcomes), {})
        votes, form = vote_counts.votes_per_change(kept), vote_counts.change_form(best)
        if not vote_counts.cannot_be_outvoted(votes, form, left):
            return ""
        return (
            f"{votes[form]} candidates that pass all tests made one change:"
            f" {left} more cannot outvote it"
        )

    def _best(self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None) -> Outcome | None:
        kept = _fewest_broken_most_passed(
            vote_counts.non_empty(outcomes),
            vote_counts.pass_share_of_others_tests(outcomes, matrix),
        )
        return most_common_change(kept, TestPassRate().ranking(outcomes, matrix))


def _fewest_broken_most_passed(
    outcomes: list[Outcome], of_others: dict[str, float]
) -> list[Outcome]:
    """Those that break the fewest tests and, of them, pass the most reproduction tests."""
    fewest = min(map(vote_counts.broken_test_count, outcomes), default=0)
    sound = [one for one in outcomes if vote_counts.broken_test_count(one) == fewest]
    asked = any(vote_counts.written_test_counts(one)[1] for one in outcomes)

    def passes(outcome: Outcome) -> float:
        passed, ran = vote_counts.written_test_counts(outcome)
        if asked:
            return passed / ran if ran else 0.0
        return of_others.get(outcome.candidate.digest, 0.5) if outcome.candidate else 0.0

    most = max(map(passes, sound), default=0.0)
    return [one for one in sound if passes(one) == most]
