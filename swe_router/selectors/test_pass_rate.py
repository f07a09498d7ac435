"""Select the candidate with the best test results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from swe_router.records import Candidate, CrossMatrix, Outcome
from swe_router.selectors import vote_counts
from swe_router.selectors.vote_counts import ChangeForm
from swe_router.settings import Table


class TestWeights(Table):
    """Knobs of ``test-pass-rate``: what each share, from 0 to 1, counts for in the score."""

    tests: float = Field(default=1.0, ge=0)
    """Existing tests that still pass, and tests written from the issue that pass now: the mean
    of the two shares where there are both; no test at all counts as none passed."""
    completeness: float = Field(default=0.2, ge=0)
    """Three quarters for a patch that was submitted and not cut off by a limit, one quarter for
    one that was proven to re-apply."""
    quality: float = Field(default=0.05, ge=0)
    """A diff without debris or scratch files, as verifiers found it."""


class TestPassRate:
    """Selector ``test-pass-rate``; the order is total, so the order of the outcomes is no matter.

    Better is, in this order: accepted by the verifiers; not failed by any; a higher score (see
    ``TestWeights``); more candidates with the same normalised change; passing more of the tests
    that other attempts left (a competitor's test may break a tie and no more); a smaller change;
    the change that a later, that is a stronger, attempt made; of one change the earliest attempt.
    A candidate that a verifier failed is handed in only when there is nothing better: on
    SWE-bench a wrong patch costs no more than none. Empty patches are never chosen.
    """

    __test__ = False  # pytest: a class of the product, not a test case

    def __init__(self, **knobs: Any) -> None:
        """Raises ``UsageError`` for a bad weight."""
        self.weights = vote_counts.validated_selector_knobs("test-pass-rate", TestWeights, knobs)

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """The best non-empty candidate, or None when there is none."""
        best = self._best(outcomes, matrix)
        return best.candidate if best is not None else None

    def settled(self, outcomes: Sequence[Outcome], left: int) -> str:
        """Why the choice stays whatever ``left`` later candidates bring; empty if it may change.

        Nothing comes above an accepted candidate with a full score, and a tie goes by votes: so
        it is settled once no other change can catch up. Tests that later attempts leave come
        after the votes.
        """
        best = self._best(outcomes, None)
        if best is None or left <= 0 or not (best.accepted and vote_counts.has_no_hard_fail(best)):
            return ""
        votes, form = vote_counts.votes_per_change(outcomes), vote_counts.change_form(best)
        if self.score(best) < self.most or not vote_counts.cannot_be_outvoted(votes, form, left):
            return ""
        return (
            f"{votes[form]} candidates made the change of {best.attempt.id}, which is accepted"
            f" with a full score: {left} more cannot outvote it"
        )

    @property
    def most(self) -> float:
        """The full score."""
        weights = (self.weights.tests, self.weights.completeness, self.weights.quality)
        return round(math.fsum(weights), 9)

    def score(self, outcome: Outcome) -> float:
        """Weighted sum of the shares, from the outcome's own verdicts alone."""
        proven = outcome.candidate is not None and outcome.candidate.proven
        whole = 0.75 * (outcome.attempt.trajectory.exit == "submitted") + 0.25 * proven
        parts = (
            self.weights.tests * share_of_tests_passed(outcome),
            self.weights.completeness * whole,
            self.weights.quality * is_tidy(outcome),
        )
        return round(math.fsum(parts), 9)

    def _best(self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None) -> Outcome | None:
        rank = self.ranking(outcomes, matrix)
        return max(vote_counts.non_empty(outcomes), key=rank, default=None)

    def ranking(self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None) -> Any:
        """Outcome -> a key that sorts the better candidate of ``outcomes`` above."""
        votes = vote_counts.votes_per_change(outcomes)
        passes = _mean_share_per_change(
            outcomes, vote_counts.pass_share_of_others_tests(outcomes, matrix)
        )
        latest: dict[ChangeForm, tuple[int, int]] = {}
        for one in vote_counts.non_empty(outcomes):
            form = vote_counts.change_form(one)
            latest[form] = max(latest.get(form, (0, 0)), vote_counts.attempt_number(one.attempt.id))

        def rank(outcome: Outcome) -> tuple[Any, ...]:
            form = vote_counts.change_form(outcome)
            change = (
                votes[form],
                passes.get(form, 0.5),
                -vote_counts.change_size(form),
                latest[form],
                form,
            )
            return (*self.head(outcome), *change, *vote_counts.earliest_first_key(outcome))

        return rank

    def head(self, outcome: Outcome) -> tuple[bool, bool, float]:
        """What comes before any vote."""
        return outcome.accepted, vote_counts.has_no_hard_fail(outcome), self.score(outcome)


def share_of_tests_passed(outcome: Outcome) -> float:
    """Mean share of existing and of written tests that pass; 0 without any."""
    passed, ran = vote_counts.written_test_counts(outcome)
    shares = [vote_counts.kept_test_share(outcome), passed / ran if ran else None]
    known = [share for share in shares if share is not None]
    return math.fsum(known) / len(known) if known else 0.0


def is_tidy(outcome: Outcome) -> bool:
    """True unless a verifier found files that belong in no patch."""
    return not any(one.untidy for one in vote_counts.summaries(outcome))


def _mean_share_per_change(
    outcomes: Sequence[Outcome], shares: dict[str, float]
) -> dict[ChangeForm, float]:
    """Each change -> mean share over the candidates that made it."""
    sums: Counter[ChangeForm] = Counter()
    counts: Counter[ChangeForm] = Counter()
    form_by_digest = {
        o.candidate.digest: vote_counts.change_form(o)
        for o in vote_counts.non_empty(outcomes)
        if o.candidate
    }
    for digest in sorted(shares):
        sums[form_by_digest[digest]] += round(
            shares[digest] * 1e9
        )  # whole numbers add up in any order
        counts[form_by_digest[digest]] += 1
    return {form: sums[form] / counts[form] / 1e9 for form in counts}
