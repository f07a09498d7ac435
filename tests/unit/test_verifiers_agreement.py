"""Agreement: which changes are the same, whose word counts, and what most peers break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.records import Outcome, Verdict
from swe_router.settings import VerifySettings
from swe_router.verifiers.agreement import AgreementVerifier, agreement_score
from swe_router.verifiers.evidence_records import AgreementEvidence
from swe_router.verifiers.patches import similarity
from tests.doubles.project import INSTANCE, outcome, verdict
from tests.doubles.weighed import KIT, diff

SETTINGS = VerifySettings()


def test_blanks_comments_quotes_and_the_order_of_imports_make_no_difference() -> None:
    one = diff("import b\nimport a\nx = f('it', 1)  # why\n", "x = 1\n")
    other = diff('import a\nimport b\n\nx = f(\n    "it",\n    1,\n)\n', "x  =  1\n")
    assert similarity.is_same_change(
        similarity.normalised_change(one), similarity.normalised_change(other)
    )


@pytest.mark.parametrize(
    "other",
    [
        "x = f('it', 2)\n",
        "x = f('its', 1)\n",
        "x = f(1, 'it')\n",
        "y = f('it', 1)\n",
        "x = f('i t', 1)\n",
    ],
)
def test_another_change_is_another_change(other: str) -> None:
    assert not similarity.is_same_change(
        similarity.normalised_change(diff("x = f('it', 1)\n")),
        similarity.normalised_change(diff(other)),
    )


def test_the_same_lines_in_another_file_are_another_change() -> None:
    one, other = (
        similarity.normalised_change(diff("x = 1\n", path=path)) for path in ("a/b.py", "a/c.py")
    )
    assert not similarity.is_same_change(one, other)
    assert similarity.similarity(one, other) < 1


def test_tests_and_scratch_are_no_part_of_a_change() -> None:
    source = diff("    return 2", "    return 1")
    more = source + diff("def test_x(): pass\n", path="tests/test_core.py")
    assert similarity.is_same_change(
        similarity.normalised_change(source), similarity.normalised_change(more)
    )
    assert similarity.normalised_change(diff("# a word\n", "")).is_empty
    assert not similarity.is_same_change(
        similarity.normalised_change("no diff"), similarity.normalised_change("no diff")
    )


def test_an_operator_is_no_comment() -> None:
    assert not similarity.is_same_change(
        similarity.normalised_change(diff("x = a // b\n")),
        similarity.normalised_change(diff("x = a // c\n")),
    )
    c = [
        similarity.normalised_change(diff(f"x = a; // {word}\n", path="a.c"))
        for word in ("one", "two")
    ]
    assert similarity.is_same_change(*c)


LINES = st.lists(
    st.sampled_from(["x = 1", "y = f(x)", "return y", "import os", "# no", ""]), max_size=6
)


@given(LINES, LINES, LINES, LINES)
def test_likeness_is_symmetric_and_bounded(a: Any, b: Any, c: Any, d: Any) -> None:
    one, other = (
        similarity.normalised_change(diff("\n".join(p), "\n".join(m))) for p, m in ((a, b), (c, d))
    )
    assert similarity.similarity(one, other) == similarity.similarity(other, one)
    assert 0 <= similarity.similarity(one, other) <= 1
    assert similarity.similarity(one, one) == (0 if one.is_empty else 1)
    if similarity.is_same_change(one, other):
        assert similarity.similarity(one, other) == 1


@given(st.text(max_size=400))
def test_any_text_is_compared_without_a_fault(text: str) -> None:
    similarity.normalised_change(diff(text.replace("\r", "")) + text)


def agreed(mine: Outcome, *peers: Outcome) -> Verdict:
    made = AgreementVerifier(SETTINGS).verify(mine, peers, INSTANCE, KIT)
    assert (
        AgreementVerifier(SETTINGS).check(Verdict.model_validate_json(made.model_dump_json()))
        == "unknown"
    )
    assert made.outcome == "unknown"
    return made


def test_the_first_candidate_has_nobody_to_agree_with() -> None:
    made = agreed(outcome(diff("x = 2\n")))
    assert made.score is None
    assert made.evidence["independent"] == 0


def test_agreement_by_another_model_weighs_more_and_both_are_counted() -> None:
    mine = outcome(diff("x = 2\n"), number=1)
    same = agreed(mine, outcome(diff("x  = 2\n"), number=2))
    other = agreed(mine, outcome(diff("x  = 2\n"), number=2, tier="strong"))
    apart = agreed(mine, outcome(diff("z = 9\n", path="q.py"), number=2, tier="strong"))
    assert apart.score < 0.5 < same.score < other.score
    assert (same.evidence["same_change"], same.evidence["same_model"]) == (1, 1)
    assert (other.evidence["same_change"], other.evidence["same_model"]) == (1, 0)
    assert other.evidence["same_change_by_another_model"] == 1


def test_candidates_agree_with_each_other_alike() -> None:
    a, b = outcome(diff("x = 2\n"), number=1), outcome(diff("x = 3\n"), number=2, tier="strong")
    assert agreed(a, b).score == agreed(b, a).score


def test_a_candidate_that_was_handed_notes_is_no_independent_witness() -> None:
    peer = outcome(diff("x = 2\n"), number=2)
    told = peer.attempt.model_copy(
        update={"plan": peer.attempt.plan.model_copy(update={"handover": "notes"})}
    )
    assert agreed(outcome(diff("x = 2\n")), peer.model_copy(update={"attempt": told})).score is None


def test_peers_tests_count_and_one_s_own_do_not() -> None:
    tests = {
        "a": {"source": "harvested", "by": "2-strong", "own": False, "after": "failed"},
        "b": {"source": "harvested", "by": "1-weak", "own": True, "after": "passed"},
        "c": {"source": "written", "by": "writer", "own": False, "after": "passed"},
    }
    said = verdict("fail", "reproduction", tests=tests)
    peer = outcome(diff("x = 2\n"), number=2, tier="strong")
    made = agreed(outcome(diff("x = 2\n"), said), peer)
    assert (made.evidence["their_tests_passed"], made.evidence["their_tests_failed"]) == (0, 1)
    assert made.score < agreed(outcome(diff("x = 2\n")), peer).score


def breaks(*tests: str) -> Verdict:
    found = {test: ["passed", "failed"] for test in tests} | {"t::other": ["passed", "passed"]}
    return verdict("fail" if tests else "pass", "repo-tests", tests=found,
                   counts={"broken": len(tests), "still_pass": 1})  # fmt: skip


def test_a_test_that_most_peers_break_as_well_is_contested() -> None:
    mine = outcome(diff("x = 2\n"), breaks("t::old", "t::mine"))
    peers = [
        outcome(diff(f"x = {n}\n"), breaks(*["t::old"] * (n < 5)), number=n, tier=f"m{n}")
        for n in (3, 4, 5)
    ]
    made = agreed(mine, *peers)
    assert made.evidence["contested"] == ["t::old"]
    assert agreed(mine, *peers[1:]).evidence["contested"] == []  # one peer is no majority
    assert agreed(outcome(diff("x = 2\n"), breaks()), *peers).evidence["contested"] == []


def test_two_runs_of_the_author_s_own_model_do_not_outvote_another_model() -> None:
    mine = outcome(diff("x = 2\n"), breaks("t::old"))
    same = [outcome(diff(f"x = {n}\n"), breaks("t::old"), number=n) for n in (3, 4)]
    other = outcome(diff("x = 9\n"), breaks(), number=9, tier="strong")
    assert agreed(mine, *same, other).evidence["contested"] == []
    assert agreed(mine, *same).evidence["contested"] == ["t::old"]


def test_a_score_that_does_not_follow_is_named() -> None:
    made = agreed(outcome(diff("x = 2\n")), outcome(diff("x = 2\n"), number=2))
    assert (
        AgreementVerifier(SETTINGS).check(made.model_copy(update={"score": 0.9})) == "contradictory"
    )


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=5),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_a_further_pass_or_twin_never_lowers_agreement(
    peers: Any, passed: int, failed: int
) -> None:

    def score(facts: Mapping[str, Any]) -> float:
        return agreement_score(AgreementEvidence.model_validate(facts))

    facts = {
        "peers": [{"alike": a, "same_model": same} for a, same in peers],
        "their_tests_passed": passed,
        "their_tests_failed": failed,
    }
    base = score(facts)
    twin = {"alike": 1.0, "same_model": False}
    assert 0 <= base <= 1
    assert score(facts | {"peers": [*facts["peers"], twin]}) >= base
    assert score(facts | {"their_tests_passed": passed + 1}) >= base
    assert score(facts | {"their_tests_failed": failed + 1}) <= base
