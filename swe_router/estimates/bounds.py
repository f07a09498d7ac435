"""A threshold with a stated bound on false accepts, or the plain statement that none is shown.

For n wrong patches that the scores never saw, the k-th highest of their scores is an exact
one-sided tolerance limit: accepting above it lets through more than the Clopper-Pearson bound for
k - 1 of n with probability at most 1 - confidence (Wilks 1941). As the threshold rises the bound
falls, so the lowest threshold that holds owes no correction for having been searched for.
Wrong patches of one issue are no independent witnesses: together they count as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import beta

LEAST_REPOS = 3
"""Repositories with wrong patches under which nothing is claimed of a new one."""
LEAST_WRONG = 5
"""Issues with wrong patches under which not even their share chooses a threshold."""
NO_THRESHOLD = 0.5
"""Where nothing chooses one: more likely right than wrong."""


class Held(NamedTuple):
    """A graded patch and its score by a fit that left its repository out."""

    score: float
    right: bool
    instance: str
    repo: str
    author: str
    """Class of authors by whose fit it was scored: weak | strong | unknown."""


class Threshold(NamedTuple):
    """From which probability on a patch is trusted, and what that is known to keep."""

    value: float
    claim: str
    shown: bool


def upper_bound(accepted: float, wrong: float, delta: float) -> float:
    """Clopper-Pearson upper bound on a share, at confidence 1 - delta; 1 with no data."""
    if wrong <= 0 or accepted >= wrong:
        return 1.0
    return float(beta.ppf(1 - delta, accepted + 1, wrong - accepted))


def threshold(held: Sequence[Held], most: float, confidence: float) -> Threshold:
    """The lowest threshold whose false accepts are shown to be at most ``most``.

    Where none can be shown, the lowest at which the share itself is at most ``most``, and a claim
    that says so.
    """
    wrong = [one for one in held if not one.right]
    of_issue = Counter(one.instance for one in wrong)
    repos = len({one.repo for one in wrong})
    seen = f"on wrong patches of {len(of_issue)} issues of {repos} repositories"
    if repos >= LEAST_REPOS:
        for value in _steps(held):
            bound = upper_bound(_accepted(wrong, of_issue, value), len(of_issue), 1 - confidence)
            if bound <= most:
                kept = _kept(held, value)
                said = f"false accepts <= {bound:.2f} at {confidence:.0%}: shown {seen}"
                return Threshold(value, f"{said}; {kept:.0%} of right ones accepted", shown=True)
    few = f"not shown: only {len(wrong)} wrong patches of {len(of_issue)} issues"
    claim = f"{few} of {repos} repositories, too few for <= {most:g} at {confidence:.0%}"
    if len(of_issue) >= LEAST_WRONG:
        for value in _steps(held):
            if _accepted(wrong, of_issue, value) / len(of_issue) <= most:
                return Threshold(value, claim, shown=False)
    return Threshold(NO_THRESHOLD, claim, shown=False)


def _steps(held: Sequence[Held]) -> list[float]:
    """Every score, lowest first, and one above them all."""
    scores = sorted({one.score for one in held})
    return [*scores, round(min(1.0, scores[-1] + 1e-4), 4)] if scores else []


def _accepted(wrong: Sequence[Held], of_issue: Counter[str], value: float) -> float:
    """Wrong issues let through; an issue counts by the share of its wrong patches."""
    return sum(1 / of_issue[one.instance] for one in wrong if one.score >= value)


def _kept(held: Sequence[Held], value: float) -> float:
    right = [one for one in held if one.right]
    return sum(one.score >= value for one in right) / len(right) if right else 0.0
