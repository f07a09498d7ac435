"""What a tier's options put into a request, and what odd answers of each dialect mean."""

from __future__ import annotations

import json

import pytest

from swe_router.errors import JournalError, ModelError, NoAnswer, Refused
from swe_router.models import anthropic, chat, responses
from swe_router.models.cassette import ReplayingModel, _error
from swe_router.models.error_mapping import ProviderError
from swe_router.models.http_calls import retry_after
from swe_router.models.server_quirks import ServerQuirks
from swe_router.records import CallLimits, Message, ToolSpec
from swe_router.settings import Tier

LIMITS = CallLimits(max_output_tokens=100)
TOOL = ToolSpec(name="bash", description="Run.", parameters={"type": "object"})
TALK = (Message(role="system", content="Mend it."), Message(role="user", content="Go."))


def tier(dialect: str = "openai", base_url: str = "", **options: object) -> Tier:
    return Tier(
        model="m", dialect=dialect, base_url=base_url, api_key_env="KEY", window=1000,
        attempt_usd=1, options=options,
    )  # fmt: skip


def chat_body(one: Tier, reasons: bool = False) -> dict[str, object]:
    return chat.chat_request(one, TALK, (TOOL,), LIMITS, False, reasons)


def responses_body(one: Tier) -> dict[str, object]:
    return responses.responses_request(one, TALK, (TOOL,), LIMITS, "s")


def anthropic_body(one: Tier, **limits: object) -> dict[str, object]:
    made = anthropic.AnthropicModel(one, session="s", key="k")
    return made._body(TALK, (TOOL,), LIMITS.model_copy(update=limits), "5m")


def test_a_provider_is_asked_for_the_service_whose_price_is_known_and_own_servers_are_not():
    assert chat_body(tier())["service_tier"] == "default"
    assert responses_body(tier())["service_tier"] == "default"
    assert anthropic_body(tier("anthropic"))["service_tier"] == "standard_only"
    own = "http://localhost:1/v1"
    bodies = (
        chat_body(tier(base_url=own)),
        responses_body(tier(base_url=own)),
        anthropic_body(tier("anthropic", own)),
    )
    assert not any("service_tier" in body for body in bodies)


def test_options_of_a_tier_stand_where_each_dialect_has_them():
    given = {"parallel_tool_calls": False, "reasoning_effort": "low", "verbosity": "high"}
    body = chat_body(tier(**given))
    assert {name: body[name] for name in given} == given
    body = responses_body(tier(**given))
    assert body["parallel_tool_calls"] is False
    assert (body["reasoning"], body["text"]) == ({"effort": "low"}, {"verbosity": "high"})
    body = anthropic_body(
        tier("anthropic", parallel_tool_calls=False, thinking={"type": "adaptive"}, effort="high")
    )
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})
    assert anthropic_body(tier("anthropic"), tool_choice="required")["tool_choice"] == {
        "type": "any"
    }
    assert "tool_choice" not in anthropic_body(tier("anthropic"))


def test_a_tool_s_result_without_native_tools_is_the_users_turn_and_no_turn_is_blank():
    talk = (
        *TALK,
        Message(role="assistant", content="  "),
        Message(role="tool", content="output", tool_call_id="c1"),
    )
    plain = tier().model_copy(update={"tools": "text"})
    turns = chat.chat_request(plain, talk, (), LIMITS, False, False)["messages"]
    assert turns[-1] == {"role": "user", "content": "output"}
    assert all(str(turn["content"]).strip() for turn in turns)


def test_a_refusal_is_told_from_an_end_in_every_dialect():
    reply = {"choices": [{"message": {"refusal": "I cannot"}, "finish_reason": "stop"}]}
    found = chat.read_chat_reply(reply, "k", 1.0, "")
    assert (found.stop, found.message.content) == ("refusal", "I cannot")
    part = {"type": "refusal", "refusal": "I cannot"}
    reply = {"output": [{"type": "message", "content": [part]}], "status": "completed"}
    found = responses.read_response(reply, "k", 1.0, "")
    assert (found.stop, found.message.content) == ("refusal", "I cannot")


def test_a_response_that_failed_is_no_answer_and_does_not_show_the_key():
    reply = {"status": "failed", "error": {"message": "no capacity for hunter2hunter2"}}
    with pytest.raises(NoAnswer, match=r"the response failed: .*no capacity") as caught:
        responses.read_response(reply, "hunter2hunter2", 1.0, "")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_a_provider_asks_to_wait_is_read_or_left(headers, seconds):
    assert retry_after(headers) == seconds


def test_a_cassette_that_is_damaged_or_gone_is_named(tmp_path):
    file = tmp_path / "c.jsonl"
    with pytest.raises(JournalError, match=r"cannot read the cassette .*c\.jsonl"):
        ReplayingModel(file, session="s")
    for line in ("{", "[]", '{"session": "s"}'):
        file.write_text(line + "\n")
        with pytest.raises(JournalError, match=r"c\.jsonl line 1 is corrupt"):
            ReplayingModel(file, session="s")


@pytest.mark.parametrize(
    ("name", "kind"), [("Refused", Refused), ("UsageError", ModelError), ("gone", ModelError)]
)
def test_a_recorded_error_comes_back_as_its_kind_and_never_as_another_thing(name, kind, tmp_path):
    made = _error({"error": name, "message": "said"})
    assert (type(made), str(made)) == (kind, "said")


def test_a_cap_that_is_only_too_large_is_no_other_name_for_it():
    lessons = ServerQuirks()
    body = {"max_tokens": 9, "messages": []}
    too_large = Refused("x")
    too_large.refusal = "unsupported value: 'max_tokens' is too large, at most 8"
    lessons.learn(too_large, body)
    assert "max_completion_tokens" not in lessons.fitted(body)


def test_nothing_deep_or_foreign_in_an_error_hides_its_message():
    deep: object = "end"
    for _ in range(50):
        deep = {"inner": [deep]}
    error = ProviderError.of({"message": "out of credit", "details": deep})
    assert "out of credit" in json.dumps(error.__dict__, default=str)
