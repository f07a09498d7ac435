"""The judge: what it is shown, what its answer costs, and what counts as a rating."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_router.errors import LedgerRefused, Overloaded
from swe_router.records import Completion, Message, Verdict
from swe_router.seams import VerificationContext
from swe_router.settings import VerifySettings
from swe_router.verifiers.judge import JudgeVerifier, judge_messages, parse_ratings
from tests.doubles.agent import PlayedModel
from tests.doubles.project import INSTANCE, outcome, verdict
from tests.doubles.weighed import KIT, diff

SETTINGS = VerifySettings()

GOOD = {
    "cause": 4,
    "complete": 3,
    "focused": 4,
    "general": 4,
    "consistent": 2,
    "probability": 0.7,
    "why": "ok",
}


def says(text: str) -> Completion:
    return Completion(message=Message(role="assistant", content=text), model="judge-1")


def judged(model: Any, *said: Verdict, notes: Any = None) -> Verdict:
    context = VerificationContext(
        open_sandbox=KIT.open_sandbox,
        apply=KIT.apply,
        judge=model,
        notes={} if notes is None else notes,
    )
    made = JudgeVerifier(SETTINGS).verify(outcome(diff("x = 2\n"), *said), (), INSTANCE, context)
    assert made.outcome == "unknown"
    assert (
        JudgeVerifier(SETTINGS).check(Verdict.model_validate_json(made.model_dump_json()))
        == "unknown"
    )
    return made


def test_no_judge_no_opinion() -> None:
    assert judged(None).evidence["why"] == "no judge is named"
    assert judged(None).score is None


def test_a_judgement_keeps_its_price_its_question_and_its_words() -> None:
    text = "It looks right.\n" + json.dumps(GOOD)
    made = judged(PlayedModel(says(text)))
    assert made.score == 0.7
    assert made.evidence["usd"] == "0.01"
    assert made.evidence["answer"] == text
    assert len(made.evidence["request"]) == 64
    assert made.evidence["rubric"]["complete"] == 3


def test_the_judge_sees_issue_diff_and_facts_and_no_opinion() -> None:
    said = (
        verdict("pass", "repo-tests", why="9 of 9 still pass"),
        verdict("unknown", "behaviour", why="less often right"),
    )
    text = judge_messages(outcome(diff("x = 2\n"), *said), INSTANCE)[0].content
    assert "repo-tests: pass; 9 of 9 still pass" in text
    assert "+x = 2" in text
    assert "less often right" not in text
    assert "Nothing was run" in judge_messages(outcome(diff("x = 2\n")), INSTANCE)[0].content


def test_the_same_question_is_paid_for_once() -> None:
    model, notes = PlayedModel(says(json.dumps(GOOD))), {}
    first, again = judged(model, notes=notes), judged(model, notes=notes)
    assert len(model.requests) == 1
    assert (first.evidence["usd"], again.evidence["usd"], again.score) == ("0.01", "0", first.score)


@pytest.mark.parametrize("failure", [Overloaded("down"), LedgerRefused("no money")])
def test_a_judge_that_cannot_answer_leaves_no_opinion(failure: Exception) -> None:
    made = judged(PlayedModel(failure))
    assert made.score is None
    assert type(failure).__name__ in made.evidence["why"]


def test_ratings_that_are_not_in_the_answer_are_named() -> None:
    made = judged(PlayedModel(says(json.dumps(GOOD))))
    forged = made.model_copy(update={"evidence": {**made.evidence, "probability": 0.99}})
    assert JudgeVerifier(SETTINGS).check(forged) == "contradictory"


@pytest.mark.parametrize(
    ("change", "then"),
    [
        ({}, 0.7), ({"probability": "70%"}, 0.7), ({"probability": "0.7"}, 0.7),
        ({"probability": 7}, None), ({"probability": -0.1}, None), ({"probability": "NaN"}, None),
        ({"probability": None}, None), ({"probability": True}, None), ({"probability": [1]}, None),
        ({"cause": 5}, None), ({"cause": "4/4"}, 0.7), ({"cause": "high"}, None),
    ],
)  # fmt: skip
def test_only_numbers_on_their_scale_are_ratings(
    change: dict[str, Any], then: float | None
) -> None:
    found = parse_ratings("text {not json} " + json.dumps(GOOD | change))
    assert (found and found["probability"]) == then


def test_the_last_whole_object_counts() -> None:
    early, late = json.dumps(GOOD | {"probability": 0.1}), json.dumps(GOOD)
    found = parse_ratings(f'```json\n{early}\n```\nOn reflection:\n{late}\n{{"why": "trailing"}}')
    assert found is not None
    assert found["probability"] == 0.7
    assert parse_ratings("") is None


@given(
    st.text(max_size=300)
    | st.dictionaries(
        st.sampled_from(sorted(GOOD)), st.floats() | st.text(max_size=4) | st.none()
    ).map(json.dumps)
)
def test_any_answer_is_read_without_a_fault(text: str) -> None:
    found = parse_ratings(text)
    assert found is None or 0 <= found["probability"] <= 1
