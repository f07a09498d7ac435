"""Which candidate is handed in: a total order, whatever order the candidates come in."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from swe_router.records import Outcome, Verdict
from swe_router.selectors.test_pass_rate import TestPassRate, normalised
from tests.doubles.project import outcome, verdict


def ran(still: int, before: int) -> Verdict:
    said = "pass" if still == before else "fail"
    return verdict(said, counts={"passed_before": before, "still_pass": still})


def diff(line: str, number: int = 1) -> str:
    head = f"diff --git a/f b/f\nindex {number}..2\n--- a/f\n+++ b/f\n"
    return f"{head}@@ -{number} +{number} @@\n-old\n+{line}\n"


def chosen(*outcomes: Outcome) -> str | None:
    candidate = TestPassRate().select(outcomes)
    return candidate.attempt_id if candidate else None


def test_empty_candidates_are_never_chosen() -> None:
    assert chosen() is None
    assert chosen(outcome("")) is None
    assert chosen(outcome(" \n", verdict("pass"))) is None
    assert chosen(outcome("", number=9), outcome("d", verdict("fail"))) == "1-weak"


def test_an_accepted_candidate_beats_a_later_one_that_failed() -> None:
    good, bad = outcome("d", ran(3, 3)), outcome("e", ran(2, 3), tier="strong", number=2)
    assert chosen(good, bad) == "1-weak"


def test_of_two_that_fail_the_one_with_more_tests_is_handed_in() -> None:
    worse, better = outcome("d", ran(1, 9)), outcome("e" * 99, ran(8, 9), number=2)
    assert chosen(worse, better) == "2-weak"


def test_an_unsure_candidate_beats_a_failed_one() -> None:
    unsure, failed = outcome("d", verdict("unknown")), outcome("e", ran(8, 9), number=2)
    assert chosen(unsure, failed) == "1-weak"


def test_half_work_that_a_limit_cut_off_yields_to_a_submitted_patch() -> None:
    half = outcome("d", ran(3, 3), ended="steps")
    whole = outcome("d" * 50, ran(3, 3), tier="strong", number=2)
    assert chosen(half, whole) == "2-strong"


def test_proof_then_agreement_then_size_then_strength() -> None:
    assert chosen(outcome(diff("a"), proven=False), outcome(diff("aaaa"), number=2)) == "2-weak"
    pair = [outcome(diff("long line")), outcome(diff("long  line", 7), number=2)]
    assert chosen(*pair, outcome(diff("x"), number=3)) == "2-weak"
    assert chosen(outcome(diff("aaaa")), outcome(diff("a"), number=2)) == "2-weak"
    assert chosen(outcome(diff("a")), outcome(diff("b"), tier="strong", number=12)) == "12-strong"


def test_place_and_white_space_do_not_make_another_change() -> None:
    assert normalised(diff("a b", 1)) == normalised(diff("a  b", 44))
    assert normalised(diff("a")) != normalised(diff("b"))


some = st.builds(
    outcome,
    st.sampled_from(["", diff("a"), diff("a", 5), diff("bb")]),
    st.sampled_from([ran(3, 3), ran(1, 3), verdict("unknown"), verdict("pass", "applies")]),
    number=st.integers(1, 20),
    proven=st.booleans(),
    ended=st.sampled_from(["submitted", "steps"]),
)


@given(st.lists(some, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_outcomes_does_not_matter(
    outcomes: list[Outcome], chance: random.Random
) -> None:
    shuffled = list(outcomes)
    chance.shuffle(shuffled)
    one, two = TestPassRate().select(outcomes), TestPassRate().select(shuffled)
    filled = any(o.candidate and o.candidate.patch for o in outcomes)
    assert (one is not None) == filled
    if one is not None and two is not None:
        assert (one.digest, one.attempt_id) == (two.digest, two.attempt_id)
