"""Compare every pair of candidates and select the one with the most wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_router.records import Candidate, CrossMatrix, Outcome
from swe_router.selectors import vote_counts
from swe_router.selectors.test_pass_rate import TestPassRate
from swe_router.settings import Table


class Pairwise:
    """Selector ``pairwise``: Copeland's rule over what is on record of each pair.

    A selector asks nobody: the judge is the verifier ``judge``, whose recorded probabilities
    decide a pair; where one of the two has none, or they are equal, the probability of
    ``acceptance`` does; then the tests that neither of the two left, on which they differ. A win
    is 1, a draw 1/2; the order of ``test-pass-rate`` breaks ties.
    """

    def __init__(self, **knobs: Any) -> None:
        """Raises ``UsageError`` for any knob: it has none."""
        vote_counts.validated_selector_knobs("pairwise", Table, knobs)

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """One of the non-empty candidates, or None when there is none."""
        full = vote_counts.non_empty(outcomes)
        owners = vote_counts.attempts_per_row(full, matrix) if matrix is not None else {}
        rank = TestPassRate().ranking(outcomes, matrix)

        def wins(outcome: Outcome) -> int:
            """Twice the wins, so that they are whole."""
            return sum(1 + _compare_pair(outcome, other, matrix, owners) for other in full)

        best = max(full, key=lambda one: (wins(one), rank(one)), default=None)
        return best.candidate if best is not None else None


def _compare_pair(
    one: Outcome, other: Outcome, matrix: CrossMatrix | None, owners: Mapping[str, set[str]]
) -> int:
    """1 when ``one`` wins, -1 when ``other`` does, 0 for a draw."""
    scores = vote_counts.preference(one), vote_counts.preference(other)
    for first, second in (scores, (one.probability, other.probability)):
        if first is not None and second is not None and first != second:
            return 1 if first > second else -1
    tests = _net_passed_tests(one, other, matrix, owners) if matrix is not None else 0
    return (tests > 0) - (tests < 0)


def _net_passed_tests(
    one: Outcome, other: Outcome, matrix: CrossMatrix, owners: Mapping[str, set[str]]
) -> int:
    """Tests of neither that only ``one`` passes, less those that only ``other`` passes."""
    digests = [o.candidate.digest if o.candidate else "" for o in (one, other)]
    theirs = set[str]().union(*(owners.get(matrix.same.get(d, d), set()) for d in digests))
    first, second = (matrix.row(digest) for digest in digests)
    sides = {("passed", "failed"): 1, ("failed", "passed"): -1}
    return sum(
        sides.get((first[test], second[test]), 0)
        for test in first.keys() & second.keys()
        if test in matrix.tests and theirs.isdisjoint(matrix.tests[test].by.split(", "))
    )
