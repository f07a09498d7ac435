"""Which candidate is handed in: a total order, whatever order the candidates come in."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.errors import UsageError
from swe_router.patch_identity import normalised_lines
from swe_router.records import Outcome, Verdict
from swe_router.selectors.agentless import Agentless
from swe_router.selectors.majority import Majority
from swe_router.selectors.oracle import Oracle
from swe_router.selectors.pairwise import Pairwise
from swe_router.selectors.random_choice import RandomChoice
from swe_router.selectors.test_pass_rate import TestPassRate
from swe_router.solve.cross_evaluation import matrix_of
from tests.doubles.project import outcome, verdict


def ran(still: int, before: int) -> Verdict:
    said = "pass" if still == before else "fail"
    counts = {"passed_before": before, "still_pass": still, "broken": before - still}
    return verdict(said, counts=counts)


def shown(said: Any = "unknown", **tests: str) -> Verdict:
    """A verdict of ``reproduction``; ``w1="passed"`` is written, ``h2="failed"`` left by 2-weak."""
    facts = {}
    for name, after in tests.items():
        source = "written" if name[0] == "w" else "harvested"
        by = "a-model" if name[0] == "w" else f"{name[1:].split('_')[0]}-weak"
        facts[name] = {"source": source, "by": by, "own": False, "digest": name * 9, "text": "t"}
        facts[name] |= {"base": "failed", "reason": "r", "after": after, "said": ""}
    return verdict(said, "reproduction", tests=facts)


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
    assert chosen(*pair, outcome(diff("x"), number=3)) == "1-weak", "of one change the earliest"
    assert chosen(outcome(diff("aaaa")), outcome(diff("a"), number=2)) == "2-weak"
    assert chosen(outcome(diff("a")), outcome(diff("b"), tier="strong", number=12)) == "12-strong"


def test_place_and_white_space_do_not_make_another_change() -> None:
    assert normalised_lines(diff("a b", 1)) == normalised_lines(diff("a  b", 44))
    assert normalised_lines(diff("a")) != normalised_lines(diff("b"))


def test_a_written_test_outweighs_a_tidier_patch() -> None:
    right = outcome(diff("a" * 40), ran(9, 9), shown(w1="passed"), ended="steps")
    wrong = outcome(diff("b"), ran(9, 9), shown(w1="failed"), number=2)
    assert chosen(right, wrong) == "1-weak"


def test_a_test_that_its_own_model_wrote_has_no_vote() -> None:
    own = shown(w1="passed")
    facts = {"w1": {**own.evidence["tests"]["w1"], "own": True}}
    praised = own.model_copy(update={"evidence": {"tests": facts}})
    flattered = outcome(diff("a" * 9), ran(2, 3), praised)
    assert chosen(flattered, outcome(diff("b"), ran(2, 3), number=2)) == "2-weak"


def test_files_that_belong_in_no_patch_cost_a_tie() -> None:
    def applied(**found: list[str]) -> Verdict:
        return verdict("pass", "applies", **found)

    untidy = outcome(diff("a"), ran(3, 3), applied(scratch=["repro.py"]))
    tidy = outcome(diff("aaaa"), ran(3, 3), applied(scratch=[]), number=2)
    assert chosen(untidy, tidy) == "2-weak"
    plain = TestPassRate(quality=0).select([untidy, tidy])
    assert plain is not None
    assert plain.attempt_id == "1-weak"


def test_a_test_of_another_attempt_breaks_a_tie_and_an_own_one_does_not() -> None:
    braggart = outcome(diff("a"), ran(3, 3), shown(h1_a="passed", h1_b="passed", h3="failed"))
    modest = outcome(diff("bbbb"), ran(3, 3), shown(h1_a="passed", h3="passed"), number=2)
    third = outcome(diff("c"), ran(2, 3), shown(h3="passed"), number=3)
    everyone = [braggart, modest, third]
    best = TestPassRate().select(everyone, matrix_of(everyone))
    assert best is not None
    assert best.attempt_id == "2-weak"
    assert chosen(*everyone) == "1-weak", "without the matrix the smaller change wins"


def test_a_bad_weight_is_named() -> None:
    with pytest.raises(UsageError, match=r"'test-pass-rate'.*'quality'"):
        TestPassRate(quality=-1)
    with pytest.raises(UsageError, match="no knob 'testz'"):
        TestPassRate(testz=1)


def test_the_majority_wins_against_a_better_tested_loner() -> None:
    pair = [outcome(diff("same")), outcome(diff("same", 7), number=2)]
    loner = outcome(diff("x"), ran(3, 3), number=3)
    best = Majority().select([*pair, loner])
    assert best is not None
    assert best.attempt_id == "1-weak"
    even = Majority().select([pair[0], loner])
    assert even is not None
    assert even.attempt_id == "3-weak", "of two loners the one with tests"


def test_agentless_filters_before_it_votes() -> None:
    breaks = [outcome(diff("pop"), ran(2, 3), shown(w1="passed"), number=n) for n in (1, 2, 3)]
    passes = outcome(diff("a"), ran(3, 3), shown(w1="passed"), number=4)
    fails = [outcome(diff("b"), ran(3, 3), shown(w1="failed"), number=n) for n in (5, 6)]
    best = Agentless().select([*breaks, passes, *fails])
    assert best is not None
    assert best.attempt_id == "4-weak"


def test_pairwise_is_no_mere_maximum() -> None:
    """By Copeland a candidate that wins most duels beats the one with the best single score."""

    def judged(score: float | None, probability: float | None, number: int) -> Outcome:
        verdicts = [verdict("unknown", "judge"), verdict("pass", "acceptance")]
        scored = [v.model_copy(update={"score": s}) for v, s in zip(verdicts, (score, probability),
                  strict=True)]  # fmt: skip
        return outcome(diff("a" * number), *scored, number=number)

    unjudged = judged(None, 0.9, 1)
    best = Pairwise().select([unjudged, judged(0.6, 0.2, 2), judged(0.5, 0.95, 3)])
    assert best is not None
    assert best.attempt_id in {"2-weak", "3-weak", "1-weak"}
    two = Pairwise().select([judged(0.6, 0.2, 2), judged(0.5, 0.95, 3)])
    assert two is not None
    assert two.attempt_id == "2-weak", "the judge goes first"
    other = Pairwise().select([unjudged, judged(0.6, 0.2, 2)])
    assert other is not None
    assert other.attempt_id == "1-weak", "where one has no judge, acceptance decides"


def test_pairwise_looks_at_tests_of_neither() -> None:
    first = outcome(diff("aaa"), shown(h1="passed", h3="failed"))
    second = outcome(diff("bbbb"), shown(h1="failed", h3="passed"), number=2)
    best = Pairwise().select([first, second], matrix_of([first, second]))
    assert best is not None
    assert best.attempt_id == "2-weak"


def test_random_depends_on_its_seed_and_on_nothing_else() -> None:
    many = [outcome(diff("a" * n), number=n) for n in range(1, 9)]
    drawn = [RandomChoice(seed=seed).select(many) for seed in range(20)]
    assert drawn == [RandomChoice(seed=seed).select(many[::-1]) for seed in range(20)]
    assert len({one.attempt_id for one in drawn if one}) > 3


def test_the_oracle_refuses_a_live_run() -> None:
    with pytest.raises(UsageError, match="official results"):
        Oracle()
    wrong, right = outcome(diff("a"), ran(3, 3)), outcome(diff("b"), ran(0, 3), number=2)
    assert right.candidate is not None
    best = Oracle({right.candidate.digest: True}).select([wrong, right])
    assert best == right.candidate


LIVE = (TestPassRate(), Majority(), Agentless(), Pairwise(), RandomChoice())
STOPPING = (TestPassRate(), Majority(), Agentless())
some = st.builds(
    outcome,
    st.sampled_from(["", diff("a"), diff("a", 5), diff("a "), diff("bb"), diff("c")]),
    st.sampled_from([ran(3, 3), ran(3, 3), ran(1, 3), verdict("unknown")]),
    st.sampled_from(
        [
            shown(w1="passed"),
            shown(w1="passed", h2="failed"),
            shown(w1="failed", h1="passed"),
            shown(h1="passed", h2="failed"),
            verdict("pass", "applies"),
        ]
    ),
    number=st.integers(1, 20),
    proven=st.sampled_from([True, True, True, False]),
    ended=st.sampled_from(["submitted", "submitted", "steps"]),
)
others = st.builds(
    lambda made, place: made.model_copy(
        update={
            "attempt": made.attempt.model_copy(update={"id": f"{place}-weak"}),
            "candidate": made.candidate.model_copy(update={"attempt_id": f"{place}-weak"}),
        }
    ),
    some,
    st.integers(30, 60),
)


@given(st.lists(some, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_outcomes_does_not_matter(
    outcomes: list[Outcome], chance: random.Random
) -> None:
    shuffled = list(outcomes)
    chance.shuffle(shuffled)
    filled = any(o.candidate and o.candidate.patch for o in outcomes)
    for selector in LIVE:
        one = selector.select(outcomes, matrix_of(outcomes))
        two = selector.select(shuffled, matrix_of(shuffled))
        assert (one is not None) == filled
        if one is not None and two is not None:
            assert (one.digest, one.attempt_id) == (two.digest, two.attempt_id)


@settings(max_examples=150)
@given(st.lists(some, min_size=1, max_size=5), st.lists(others, min_size=1, max_size=4))
def test_what_is_settled_stays_whatever_comes(made: list[Outcome], later: list[Outcome]) -> None:
    for selector in STOPPING:
        if selector.settled(made, len(later)):
            before = selector.select(made, matrix_of(made))
            everyone = [*made, *later]
            after = selector.select(everyone, matrix_of(everyone))
            assert before is not None
            assert after is not None
            assert (before.attempt_id, before.digest) == (after.attempt_id, after.digest)


def test_a_change_that_cannot_be_outvoted_settles_it() -> None:
    full = [outcome(diff("a"), ran(3, 3), shown(w1="passed"), number=n) for n in (1, 2)]
    for selector in STOPPING:
        assert "outvote" in selector.settled(full, 1)
        assert selector.settled(full, 2) == ""
        assert selector.settled(full, 0) == ""
        assert selector.settled([], 1) == ""
    doubted = [one.model_copy(update={"verdicts": (ran(2, 3),)}) for one in full]
    assert TestPassRate().settled(doubted, 1) == ""
    assert Agentless().settled(doubted, 1) == ""
