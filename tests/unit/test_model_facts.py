"""What is known of models by name, and what is assumed of one that nobody knows."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest

from swe_router import model_facts, settings
from swe_router.errors import UsageError
from swe_router.models import server_quirks, tier_checks
from swe_router.models.chat import read_chat_reply
from swe_router.records import CallLimits, Message, ToolCall
from swe_router.settings import Tier
from tests.doubles.providers import BASH, TALK, model, reply
from tests.doubles.strict import StrictServer

LIMITS = CallLimits(max_output_tokens=100, timeout=60)
NAMES = {
    "o3-2025-04-16": "o3*",
    "OpenAI/O3": "o3*",
    "claude-sonnet-5-5": "claude-*-5-5*",
    "anthropic/claude-sonnet-4.5": "claude-sonnet-4-5*",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5*",
    "claude-sonnet-4-5@20250929": "claude-sonnet-4-5*",
    "gpt-4o@openai": "gpt-4o*",
    "deepseek/deepseek-v4-pro:free": "deepseek-v4*",
    "openai.gpt-oss-120b": "gpt-oss-*",
    "gpt-35-turbo": "gpt-35-*",
    "gpt-10": "gpt-[5-9]*",
    "my-deployment": "",
    "octopus": "",
    "claude": "",
}


@pytest.mark.parametrize(("name", "row"), NAMES.items())
def test_a_model_is_known_under_the_names_that_gateways_give_it(name, row):
    found = model_facts.facts_of(name)
    assert (found.match[0] if found else "") == row


def test_every_row_says_where_it_is_from_and_is_reached_by_some_name():
    rows = model_facts._table().model
    for row in rows:
        assert row.source
        name = row.match[0].replace("[5-9]", "7").replace("[0-9]", "9").replace("*", "x")
        assert model_facts.facts_of(name) is row, row.match[0]


def tier_of(**given):
    table = {"tiers": {"new": {"attempt_usd": 1, **given}}, "policy": {"ladder": ["new"]}}
    return settings.load("demo", table=table).tiers["new"]


def test_a_window_that_is_left_out_is_the_models():
    made = tier_of(dialect="openai", model="gpt-4.1")
    assert (made.window, made.tools, made.assumed) == (1_000_000, "native", ())


def test_a_window_that_only_the_price_table_knows_is_taken_from_there():
    made = tier_of(dialect="anthropic", model="claude-instant-1.2")
    assert made.window >= 100_000
    assert "window" not in made.assumed


def test_a_model_that_nobody_knows_gets_a_safe_window_and_calls_as_text_and_a_hint():
    made = tier_of(dialect="openai", model="corp-coder", base_url="http://127.0.0.1/v1")
    assert (made.window, made.tools) == (32_768, "text")
    (hint,) = tier_checks.tier_notices("new", made, datetime.date(2026, 12, 1))
    assert "corp-coder is not known" in hint
    assert "tiers.new.window and tiers.new.tools" in hint


def test_of_a_model_server_of_ones_own_its_models_window_is_not_believed():
    made = tier_of(dialect="vllm", model="gpt-4.1", base_url="http://127.0.0.1/v1")
    assert (made.window, made.tools) == (32_768, "text")


def test_what_a_tier_says_itself_is_never_assumed():
    made = tier_of(dialect="openai", model="corp-coder", window=9000, base_url="http://h/v1")
    assert (made.window, made.tools, made.assumed) == (9000, "native", ())
    assert "assumed" not in made.model_dump(mode="json")
    half = tier_of(dialect="openai", model="corp-coder", tools="native", base_url="http://h/v1")
    assert (half.tools, half.assumed) == ("native", ("window",))


def test_an_unknown_price_stays_refused():
    made = tier_of(dialect="openai", model="corp-coder", base_url="http://127.0.0.1/v1")
    with pytest.raises(UsageError, match="no price is known"):
        tier_checks.rate_of("new", made, Decimal(2), datetime.date(2026, 12, 1))


def bare(**fields):
    given = {"dialect": "openai", "model": "o4-mini", "window": 9, "attempt_usd": Decimal(1)}
    return Tier(**{**given, **fields})


def test_a_model_that_its_maker_retires_is_named_with_its_successor():
    said = tier_checks.retirement_notice("mini", bare(), datetime.date(2026, 12, 1))
    assert "was retired on 2026-10-23" in said
    assert "gpt-5.4" in said


@pytest.mark.parametrize("url", ["https://openrouter.ai/api/v1", "http://127.0.0.1:4000/v1"])
def test_a_gateway_retires_models_on_days_of_its_own(url):
    made = bare(base_url=url)
    assert tier_checks.retirement_notice("mini", made, datetime.date(2026, 12, 1)) is None


def test_a_tiers_own_day_of_retirement_goes_before_the_tables():
    own = bare(retires=datetime.date(2027, 5, 1))
    assert tier_checks.retirement_notice("mini", own, datetime.date(2026, 12, 1)) is None


OPTIONS = {
    "knows the efforts low, medium, high, not 'max'": ("o3", {"reasoning_effort": "max"}),
    "takes no thinking budget": (
        "claude-opus-4-7", {"thinking": {"type": "enabled", "budget_tokens": 4096}}),
}  # fmt: skip


@pytest.mark.parametrize(("words", "given"), OPTIONS.items())
def test_an_option_that_a_model_does_not_know_is_hinted_at(words, given):
    assert any(words in line for line in model_facts.notices(*given))
    assert not model_facts.notices("corp-coder", given[1])


def test_a_temperature_is_not_sent_to_a_model_that_takes_none():
    for dialect, name, sent in (
        ("anthropic", "claude-sonnet-5-5", False),
        ("anthropic", "claude-sonnet-4-5", True),
        ("chat", "openai/gpt-5.4", False),
        ("vllm", "o3", True),
    ):
        with StrictServer("anthropic" if dialect == "anthropic" else "chat", [
            reply(dialect)
        ]) as server:  # fmt: skip
            made = model(dialect, server.url, model=name, temperature=0.5)
            made.complete(TALK, limits=LIMITS)
        assert ("temperature" in server.bodies[0]) == sent, name


def test_parallel_calls_are_not_mentioned_to_a_model_that_refuses_the_word():
    options = {"parallel_tool_calls": False, "api": "responses"}
    for name, sent in (("o3", False), ("gpt-5.4", True)):
        with StrictServer("responses", [reply("responses")]) as server:
            made = model("responses", server.url, model=name, options=options)
            made.complete(TALK, (BASH,), limits=LIMITS)
        assert ("parallel_tool_calls" in server.bodies[0]) == sent


def test_reasoning_that_a_model_wants_back_is_sent_before_it_is_refused():
    call = ToolCall(id="c1", name="bash", arguments={"command": "ls"})
    talk = (*TALK, Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="a.py", tool_call_id="c1"))  # fmt: skip
    with StrictServer("chat", [reply("chat")], ["reasoning_content"]) as server:
        made = model("chat", server.url, model="deepseek-v4-pro")
        made.complete(talk, (BASH,), limits=LIMITS)
    assert not server.refused
    assert server.bodies[0]["messages"][2]["reasoning_content"] == ""


STOPS = {"max_tokens": "length", "SAFETY": "refusal", "guardrail_intervened": "refusal",
         "model_length": "window", "stop": "end", None: "end", "": "end", 7: "end"}  # fmt: skip


@pytest.mark.parametrize(("word", "stop"), STOPS.items())
def test_the_words_of_many_makers_end_an_answer_alike(word, stop):
    answer = reply("chat")
    answer["choices"][0]["finish_reason"] = word
    assert read_chat_reply(answer, "", 0.0, "").stop == stop


def test_a_model_may_have_a_word_of_its_own_for_an_end():
    answer = json.loads(json.dumps(reply("chat")))
    answer["model"] = "glm-5"
    answer["choices"][0]["finish_reason"] = "sensitive"
    assert read_chat_reply(answer, "", 0.0, "").stop == "refusal"


def test_models_of_before_are_asked_as_ever():
    """Those that the dialect knew by name before there was a table."""
    for name, responses in (("o3", True), ("o4-mini", True), ("gpt-5", True), ("gpt-5.5", True),
                            ("gpt-12", True), ("gpt-4.1", False), ("gpt-4o", False),
                            ("gpt-oss-20b", False), ("openai/gpt-5", False)):  # fmt: skip
        made = model("chat", "http://127.0.0.1:9", model=name)
        assert made._by_responses == responses, name


def test_quirks_of_a_server_of_ones_own_are_not_those_of_the_maker():
    made = bare(dialect="vllm", model="deepseek-v4-pro", base_url="http://127.0.0.1/v1")
    call = {"role": "assistant", "tool_calls": [{"id": "c"}]}
    assert server_quirks.quirks_of(made).fitted({"messages": [call]})["messages"] == [call]


def test_a_damaged_table_is_named(tmp_path):
    for text in ("nonsense", "[[model]]\nmatch = 5"):
        (tmp_path / "m.toml").write_text(text)
        with pytest.raises(UsageError, match=r"m\.toml"):
            model_facts._table(tmp_path / "m.toml")
    with pytest.raises(UsageError, match="cannot read"):
        model_facts._table(tmp_path / "none.toml")
