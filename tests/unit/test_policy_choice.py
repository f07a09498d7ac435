"""A policy that ranks candidates itself decides what is handed in, in a live run too."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from swe_router.errors import UsageError
from swe_router.records import IMPORTED
from swe_router.solve.engine import solve
from swe_router.solve.selection import PolicySelector, checked_choice, selector_for
from tests.doubles.engine import (
    FEATURES,
    INSTANCE,
    First,
    Ladder,
    Patches,
    context,
    plan,
)
from tests.doubles.project import outcome


@dataclass(frozen=True)
class Ranks(Ladder):
    """A ladder that chooses the candidate at a fixed place."""

    place: int = 0

    def choose_among(self, features, history):
        return self.place


WEAK, STRONG = outcome("one"), outcome("two", tier="strong", number=2)


def by(place: int) -> PolicySelector:
    selector = selector_for(Ranks((), place), FEATURES, First())
    assert isinstance(selector, PolicySelector)
    return selector


@pytest.mark.parametrize(("place", "patch"), [(0, "one"), (1, "two")])
def test_the_policys_choice_goes_before_the_selectors(place, patch):
    assert by(place).select([WEAK, STRONG]).patch == patch


@dataclass(frozen=True)
class ChoosesAnother:
    """A selector that hands in what no attempt of the instance left."""

    made: object

    def select(self, outcomes, matrix=None):
        return self.made


@pytest.mark.parametrize(
    "made",
    [
        STRONG.candidate,
        WEAK.candidate.model_copy(update={"patch": "another text"}),
        outcome("").candidate,
        "1-local",
    ],
    ids=["of another instance", "changed", "empty", "no candidate"],
)
def test_a_selector_that_chooses_none_of_the_candidates_is_named_and_loses_no_patch(made):
    with pytest.raises(UsageError, match=r"ChoosesAnother chose .*none of the instance.s cand"):
        checked_choice(ChoosesAnother(made), [WEAK, outcome("")], None)
    assert checked_choice(ChoosesAnother(None), [WEAK], None) is None
    assert checked_choice(First(), [WEAK], None) == WEAK.candidate


@pytest.mark.parametrize("nothing", ["an empty patch", "no candidate"])
def test_where_the_policy_chose_nothing_the_selector_chooses(nothing):
    left = outcome("")
    if nothing == "no candidate":
        left = left.model_copy(update={"candidate": None})
    assert by(0).select([left, STRONG]).patch == "two"
    assert by(0).select([left]) is None


def test_a_policy_ranks_only_what_its_own_attempts_made():
    theirs = outcome("one", tier=IMPORTED)
    assert by(0).select([theirs, STRONG]).patch == "two"
    assert by(0).select([theirs]).patch == "one"


def test_a_policy_that_does_not_rank_leaves_the_choice_to_the_selector():
    selector = First()
    assert selector_for(Ladder(()), FEATURES, selector) is selector


def lived(policy, patches) -> str:
    left = iter(patches)
    made = context(snapshot=lambda sandbox: Patches(next(left)))
    return solve(INSTANCE, FEATURES, policy=policy, context=made, run_name="test").patch


def test_a_run_hands_in_what_its_policy_chose():
    two = (plan("local"), plan("cloud"))
    assert lived(Ranks(two, 0), ["wrong", "right"]) == "wrong"
    assert lived(Ranks(two, 1), ["wrong", "right"]) == "right"
    assert lived(Ranks(two, 0), ["", "right"]) == "right", "an empty patch is never handed in"
