"""Probabilities of tokens: asked of models that have them, read as they come, absent elsewhere."""

from __future__ import annotations

import math

import pytest

from swe_router import model_abilities
from swe_router.models import chat
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.metered import MeteredModel
from swe_router.models.openai import OpenAIModel, VllmModel
from swe_router.models.retrying import RetryingModel
from swe_router.models.sampling_seeds import SamplingSeeds
from swe_router.models.waiting_model import WaitingModel
from swe_router.records import CallLimits, Completion, Message
from swe_router.records.requests import request_digest
from swe_router.solve.verifier_cost import CallTally
from tests.unit.test_metered import RATE, Answers
from tests.unit.test_models_requests import TALK, tier

LIMITS = CallLimits(max_output_tokens=1)
ASKING = LIMITS.model_copy(update={"top_logprobs": 20})
ROW = {"token": "B", "logprob": -0.2, "bytes": [66], "top_logprobs": [
    {"token": "B", "logprob": -0.2, "bytes": [66]}, {"token": " A", "logprob": -1.9},
]}  # fmt: skip


def reply(logprobs: object) -> dict[str, object]:
    choice = {"message": {"role": "assistant", "content": "B"}, "finish_reason": "length"}
    return {"model": "m", "choices": [{**choice, "logprobs": logprobs}]}


def read(logprobs: object) -> Completion:
    return chat.read_chat_reply(reply(logprobs), "", 1.0, "")


def test_they_are_asked_for_where_a_call_wants_them_and_nowhere_else():
    body = chat.chat_request(tier(), TALK, (), ASKING, False, False)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert "logprobs" not in chat.chat_request(tier(), TALK, (), LIMITS, False, False)


def test_each_token_keeps_its_likeliest_others():
    (token,) = read({"content": [ROW], "refusal": None}).logprobs
    assert (token.token, token.top) == ("B", (("B", -0.2), (" A", -1.9)))


@pytest.mark.parametrize(
    "odd",
    [None, {}, [], {"content": None}, {"content": ["B"]}, "B", 3],
)
def test_a_server_that_leaves_them_out_gives_none(odd):
    assert read(odd).logprobs == ()


@pytest.mark.parametrize("value", ["-0.1", None, True, 0.5, [], {}])
def test_what_is_no_logarithm_of_a_probability_is_left_out(value):
    row = {**ROW, "top_logprobs": [{"token": "B", "logprob": value}, ROW["top_logprobs"][1]]}
    (token,) = read({"content": [row]}).logprobs
    assert token.top == ((" A", -1.9),)
    assert all(math.exp(logprob) <= 1 for _, logprob in token.top)


def test_records_and_digests_without_them_are_those_of_earlier_versions():
    assert "top_logprobs" not in LIMITS.model_dump()
    assert "logprobs" not in Completion(message=Message(role="assistant")).model_dump()
    assert request_digest(TALK, (), LIMITS) != request_digest(TALK, (), ASKING)
    given = read({"content": [ROW]})
    assert Completion.model_validate_json(given.model_dump_json()) == given


def test_chat_and_vllm_have_them_and_the_others_do_not():
    def made(kind, *, model="m", **options):
        given = tier(**options).model_copy(update={"model": model})
        return model_abilities.gives_logprobs(kind(given, session="s"))

    assert made(OpenAIModel)
    assert made(VllmModel)
    assert not made(OpenAIModel, model="gpt-5.2"), "reasoning models are asked by Responses"
    assert not made(OpenAIModel, model="gpt-5.2", api="chat")
    assert not made(VllmModel, leave_out=["logprobs"])
    assert not made(AnthropicModel)
    assert not model_abilities.gives_logprobs(Answers())


@pytest.mark.parametrize("able", [True, False])
def test_what_wraps_a_model_passes_the_ability_on(able):
    bare = VllmModel(tier(), session="s") if able else Answers()
    wrapped = CallTally(
        WaitingModel(
            RetryingModel(
                MeteredModel(SamplingSeeds(tier(), lambda session: bare, "i"), None, RATE), 1
            ),
            None, "t", "i",
        )
    )  # fmt: skip
    assert model_abilities.gives_logprobs(wrapped) is able


def test_a_form_is_asked_for_where_a_call_wants_one_and_is_no_part_of_others():
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    formed = LIMITS.model_copy(update={"answer_schema": schema})
    body = chat.chat_request(tier(), TALK, (), formed, False, False)
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert "response_format" not in chat.chat_request(tier(), TALK, (), LIMITS, False, False)
    assert "answer_schema" not in LIMITS.model_dump()
    assert request_digest(TALK, (), formed) != request_digest(TALK, (), LIMITS)
