"""A real vLLM server behind the client, of whichever dialect (see ``conftest.py``)."""

from __future__ import annotations

import datetime
from decimal import Decimal

import httpx2
import pytest

from swe_router import prices
from swe_router.errors import ContextTooLong, ModelUnknown, SettingRefused
from swe_router.ledger import Ledger
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.metered import MeteredModel
from swe_router.models.openai import OpenAIModel, VllmModel
from swe_router.models.retrying import RetryingModel
from swe_router.records import CallLimits, Message, ToolCall, ToolSpec
from swe_router.settings import Tier
from tests.live.vllm_server import KEYS

pytestmark = pytest.mark.vllm
OPEN = ToolSpec(
    name="open_file",
    description="Open a file at a line.",
    parameters={
        "type": "object",
        "properties": {"path": {"type": "string"}, "line": {"type": "integer"}},
        "required": ["path", "line"],
        "additionalProperties": False,
    },
)
LIMITS = CallLimits(max_output_tokens=20, timeout=300)
ASK = (Message(role="user", content="Open tests/test_a.py at line 120."),)


@pytest.fixture
def tier(short_window_server):
    return Tier(
        dialect="vllm",
        model=short_window_server.model,
        base_url=short_window_server.url,
        window=4096,
        max_output_tokens=200,
        temperature=0.0,
        attempt_usd=Decimal("0.5"),
    )


@pytest.fixture
def window(short_window_server):
    """Tokens, as the server says."""
    asked = {"authorization": f"Bearer {short_window_server.key}"}
    served = httpx2.get(f"{short_window_server.url}/models", headers=asked).json()["data"]
    return served[0]["max_model_len"]


def test_a_forced_tool_call_is_well_formed_and_measured(tier):
    limits = CallLimits(max_output_tokens=200, timeout=300, tool_choice="required", seed=1)
    answer = VllmModel(tier, session="x#1", key=KEYS[tier.base_url]).complete(
        ASK, (OPEN,), limits=limits
    )
    (call,) = answer.message.tool_calls
    assert (call.name, call.error) == ("open_file", "")
    assert isinstance(call.arguments["line"], int)
    assert answer.usage.prompt_tokens > 20
    assert answer.usage.seconds > 0


def test_a_conversation_is_paid_by_the_gpu_second_within_its_reservation(tier, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    rate = prices.gpu_hour_rate(Decimal(2), 1, datetime.date(2026, 11, 24))
    limits = CallLimits(max_output_tokens=20, timeout=300)
    with ledger.hold("local", Decimal("0.5"), "x#1") as hold:
        meter = MeteredModel(VllmModel(tier, session="x#1", key=KEYS[tier.base_url]), hold, rate)
        model = RetryingModel(meter, 2)
        first = model.complete(ASK, limits=limits)
        more = (*ASK, first.message, Message(role="user", content="Go on."))
        second = model.complete(more, limits=limits)
    figures = ledger.figures()
    assert figures.settled == first.usd + second.usd > 0
    assert figures.overrun == 0
    assert second.usage.prompt_tokens > first.usage.prompt_tokens


DIALECTS = {
    "vllm": (VllmModel, {}),
    "chat": (OpenAIModel, {"strict": True}),
    "responses": (OpenAIModel, {"api": "responses", "strict": True}),
    "anthropic": (AnthropicModel, {}),
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def client(dialect, tier, **fields):
    kind, options = DIALECTS[dialect]
    url = tier.base_url.removesuffix("/v1") if dialect == "anthropic" else tier.base_url
    named = {"vllm": "vllm", "anthropic": "anthropic"}.get(dialect, "openai")
    more = {"dialect": named, "base_url": url, "options": options, **fields}
    return kind(tier.model_copy(update=more), session="x#1", key=KEYS[tier.base_url])


@every_dialect
def test_a_forced_call_keeps_to_its_schema_and_its_result_is_taken_back(tier, dialect):
    """In the Anthropic dialect a call that does not is an HTTP 400, unless tools are strict."""
    limits = CallLimits(max_output_tokens=200, timeout=300, tool_choice="required", seed=1)
    model, talk = client(dialect, tier), list(ASK)
    for _ in range(2):
        answer = model.complete(talk, (OPEN,), limits=limits)
        assert answer.message.tool_calls
        for call in answer.message.tool_calls:
            assert (call.name, call.error) == ("open_file", "")
            assert isinstance(call.arguments["line"], int)
        assert answer.usage.prompt_tokens > 20
        talk += [answer.message]
        talk += [
            Message(role="tool", content="def test_a(): ...", tool_call_id=call.id)
            for call in answer.message.tool_calls
        ]


@every_dialect
def test_a_conversation_of_odd_answers_is_taken_back(tier, dialect):
    calls = tuple(
        ToolCall(id=one, name=name, arguments={"path": "a"})
        for one, name in (("c1", "open_file"), ("c1", "open_file"), ("", "open<|channel|>x"))
    )
    results = [Message(role="tool", content=text, tool_call_id=c.id) for c, text in
               zip(calls, ("a", "", "There is no such tool."), strict=True)]  # fmt: skip
    talk = [*ASK, Message(role="assistant", content="\n\n", tool_calls=calls), *results]
    limits = CallLimits(max_output_tokens=16, timeout=300)
    assert client(dialect, tier).complete(talk, (OPEN,), limits=limits).usage.output_tokens > 0


def prompt_of(tokens, tier):
    """A message that makes a prompt of so many tokens in the server's chat template."""
    model = client("vllm", tier)
    limits = CallLimits(max_output_tokens=1, timeout=300)

    def count(words):
        ask = (Message(role="user", content=" a" * words),)
        return model.complete(ask, limits=limits).usage.prompt_tokens

    least = count(10)
    return (Message(role="user", content=" a" * (tokens - least + 10)),)


@every_dialect
def test_a_prompt_that_fills_the_window_to_the_last_token_is_too_long(tier, window, dialect):
    limits = CallLimits(max_output_tokens=64, timeout=300)
    for more in (0, 1):
        with pytest.raises(ContextTooLong):
            client(dialect, tier).complete(prompt_of(window + more, tier), limits=limits)


@every_dialect
def test_a_cap_above_the_window_is_a_setting_and_no_conversation(tier, window, dialect):
    limits = CallLimits(max_output_tokens=window + 1, timeout=300)
    with pytest.raises(SettingRefused):
        client(dialect, tier).complete(ASK, limits=limits)


@every_dialect
def test_an_answer_that_the_window_cuts_off_is_told_apart(tier, window, dialect):
    limits = CallLimits(max_output_tokens=64, timeout=300)
    model = client(dialect, tier, window=window)
    assert model.complete(prompt_of(window - 3, tier), limits=limits).stop == "window"
    short = CallLimits(max_output_tokens=4, timeout=300)
    assert model.complete(ASK, limits=short).stop == "length"


@every_dialect
def test_a_model_that_is_not_served_is_said_so(tier, dialect):
    with pytest.raises(ModelUnknown):
        client(dialect, tier, model="no-such-model").complete(ASK, limits=LIMITS)
