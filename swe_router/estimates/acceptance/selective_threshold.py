"""A threshold with a stated bound on false accepts, or the plain statement that none is shown.

For n wrong patches that the scores never saw, the k-th highest of their scores is an exact
one-sided tolerance limit: accepting above it lets through more than the Clopper-Pearson bound for
k - 1 of n with probability at most 1 - confidence (Wilks 1941). The bound is monotone in the
threshold, so no multiple-testing correction is needed. Wrong patches of one issue are not
independent: together they count as one. Issues of one repository are correlated too, so a bound is
claimed for new repositories only if it is based on several.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from swe_router.lazy_imports import deferred_module
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import clopper_pearson_upper

if TYPE_CHECKING:
    import numpy as np

else:
    np = deferred_module("numpy")

MIN_REPOS = 3
"""Repositories (effective ones) with wrong patches under which nothing is claimed of a new one."""
MIN_ISSUES_WITH_WRONG = 5
"""Issues with wrong patches; under so many not even their share chooses a threshold."""
DEFAULT_THRESHOLD = 0.5
"""Probability; in force where the data choose none: more likely right than wrong."""


class HeldOutPatch(NamedTuple):
    """A graded patch and its score by a fit that left its repository out."""

    score: float
    right: bool
    instance_id: str
    repo: str
    author: str
    """Class of authors by whose fit it was scored: weak | strong | unknown."""


class AcceptanceThreshold(NamedTuple):
    """From which probability on a patch is trusted, and what that is known to keep."""

    value: float
    claim: str
    shown: bool


def find_threshold(
    held: Sequence[HeldOutPatch], most: float, confidence: float
) -> AcceptanceThreshold:
    """The lowest threshold whose false accepts are shown to be at most ``most``.

    Shown is a bound that stands on every repository: the wrong patches come from as much as
    ``MIN_REPOS`` even ones, and it holds with any one of them left out. Else the threshold is
    the one that would hold if all issues were alike, else the lowest at which the share itself is
    at most ``most``; the claim says so.
    """
    wrong = [one for one in held if not one.right]
    repos = effective_repositories(wrong)
    many = f"{len(wrong)} wrong patches of {len({one.instance_id for one in wrong})} issues"
    candidates, delta = _candidate_thresholds(held), 1 - confidence
    alike = (
        _lowest_threshold(candidates, [wrong], most, delta)
        if _count_repositories(wrong) >= MIN_REPOS
        else None
    )
    found = (
        _lowest_threshold(candidates, _groups_without_one_repository(wrong), most, delta)
        if repos >= MIN_REPOS
        else None
    )
    if found is not None:
        value, bound = found
        up = math.ceil(100 * bound) / 100
        statement = f"false accepts <= {up:.2f} at {confidence:.0%}: shown on {many}"
        more = f"of {_count_repositories(wrong)} repositories, any one left out"
        return AcceptanceThreshold(
            value, f"{statement} {more}; {_kept_share_text(held, value)}", shown=True
        )
    claim = f"not shown: {many} of {_count_repositories(wrong)} repositories"
    claim = f"{claim}, as much as {repos:.1f} even ones"
    claim = f"{claim}, are too few for <= {most:g} at {confidence:.0%}"
    if alike is not None:
        statement = (
            f"if all issues were like these it would be shown; {_kept_share_text(held, alike[0])}"
        )
        return AcceptanceThreshold(alike[0], f"{claim}; {statement}", shown=False)
    if len({one.instance_id for one in wrong}) >= MIN_ISSUES_WITH_WRONG:
        low = np.flatnonzero(_false_accept_shares(wrong, candidates)[0] <= most)
        if len(low):
            return AcceptanceThreshold(candidates[low[0]], claim, shown=False)
    return AcceptanceThreshold(DEFAULT_THRESHOLD, claim, shown=False)


def claim_at_threshold(
    held: Sequence[HeldOutPatch], value: float, most: float, confidence: float
) -> AcceptanceThreshold:
    """What is known of false accepts at a threshold that was chosen for another reason.

    Shown as in ``find_threshold``: the bound on every repository, any one left out, is at most
    ``most``. Since the threshold was not searched for here, the bound is that of one look.
    """
    wrong = [one for one in held if not one.right]
    many = f"{len(wrong)} wrong patches of {len({one.instance_id for one in wrong})} issues"
    if wrong and effective_repositories(wrong) >= MIN_REPOS:
        found = _lowest_threshold(
            [value], _groups_without_one_repository(wrong), 1.0, 1 - confidence
        )
        bound = 1.0 if found is None else found[1]
        up = math.ceil(100 * bound) / 100
        if bound <= most:
            statement = f"false accepts <= {up:.2f} at {confidence:.0%}: shown on {many}"
            more = f"of {_count_repositories(wrong)} repositories, any one left out"
            return AcceptanceThreshold(
                value, f"{statement} {more}; {_kept_share_text(held, value)}", shown=True
            )
        statement = f"false accepts <= {most:g} are not shown at this bar: the bound is {up:.2f}"
        return AcceptanceThreshold(
            value,
            f"{statement} at {confidence:.0%} on {many}; {_kept_share_text(held, value)}",
            shown=False,
        )
    kept = f"; {_kept_share_text(held, value)}" if any(one.right for one in held) else ""
    return AcceptanceThreshold(
        value,
        f"no bound on false accepts is shown: {many} of {_count_repositories(wrong)} repositories"
        f" are too few{kept}",
        shown=False,
    )


def nested_accept_counts(
    held: Sequence[HeldOutPatch], most: float, confidence: float
) -> tuple[int, int]:
    """Right and wrong patches accepted, each at the threshold that the other repositories set."""
    right = wrong = 0
    for repo in sorted({one.repo for one in held}):
        bar = find_threshold([one for one in held if one.repo != repo], most, confidence).value
        taken = [one.right for one in held if one.repo == repo and one.score >= bar]
        right += sum(taken)
        wrong += len(taken) - sum(taken)
    return right, wrong


def effective_repositories(rows: Sequence[HeldOutPatch]) -> float:
    """Effective number of repositories: 1 / sum of squared shares of the issues (Kish 1965)."""
    of_repo = Counter(repo for repo, _ in {(one.repo, one.instance_id) for one in rows})
    whole = sum(of_repo.values())
    return whole**2 / sum(count**2 for count in of_repo.values()) if whole else 0.0


def _lowest_threshold(
    thresholds: Sequence[float], groups: Sequence[Sequence[HeldOutPatch]], most: float, delta: float
) -> tuple[float, float] | None:
    """The lowest threshold at which the bound on each group of wrong ones is at most ``most``."""
    every = []
    for wrong in groups:
        shares, issues = _false_accept_shares(wrong, thresholds)
        every.append(clopper_pearson_upper(shares * issues, issues, delta))
    worst = np.max(every, axis=0)
    fits = np.flatnonzero(worst <= most)
    return (thresholds[fits[0]], float(worst[fits[0]])) if len(fits) else None


def _groups_without_one_repository(rows: Sequence[HeldOutPatch]) -> list[list[HeldOutPatch]]:
    return [[one for one in rows if one.repo != repo] for repo in sorted({r.repo for r in rows})]


def _count_repositories(rows: Sequence[HeldOutPatch]) -> int:
    return len({one.repo for one in rows})


def _candidate_thresholds(held: Sequence[HeldOutPatch]) -> list[float]:
    """Every score, lowest first, and one above them all."""
    scores = sorted({one.score for one in held})
    return [*scores, round(min(1.0, scores[-1] + 1e-4), 4)] if scores else []


def _false_accept_shares(
    wrong: Sequence[HeldOutPatch], thresholds: Sequence[float]
) -> tuple[Floats, int]:
    """Share of the wrong issues let through at each threshold, and how many issues there are.

    An issue counts by the share of its wrong patches.
    """
    of_issue = Counter(one.instance_id for one in wrong)
    rows = sorted(wrong, key=lambda one: one.score)
    passed = np.cumsum([0.0, *(1 / of_issue[one.instance_id] for one in reversed(rows))])[::-1]
    below = np.searchsorted([one.score for one in rows], thresholds, side="left")
    return passed[below] / max(1, len(of_issue)), len(of_issue)


def _kept_share_text(held: Sequence[HeldOutPatch], value: float) -> str:
    right = [one for one in held if one.right]
    share = sum(one.score >= value for one in right) / len(right) if right else 0.0
    return f"{share:.0%} of right ones accepted"
