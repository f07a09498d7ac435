"""Recordings: the step follows from the conversation, and costs follow from its bytes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from swe_router import toolcalls
from swe_router.errors import BadReply, ContextTooLong, Refused, UsageError
from swe_router.models.scripted import OVER, ScriptedModel
from swe_router.records import CallLimits, Message
from swe_router.settings import Tier

LIMITS = CallLimits(max_output_tokens=1000)
ASK = (Message(role="user", content="x" * 400),)
STEPS = """
note = "for the reader"

[[step]]
say = "Looking."
[[step.call]]
tool = "bash"
command = "ls"
timeout = 5

[[step]]
raw = "<call nonsense"

[[step]]
error = "BadReply"
message = "the provider is broken"
"""


def scripted(folder, session="demo__a-1#1", **fields):
    options = {"recordings": str(folder), **fields.pop("options", {})}
    given = {"dialect": "scripted", "model": "m", "window": 10_000, "attempt_usd": Decimal(1)}
    return ScriptedModel(Tier(**{**given, **fields, "options": options}), session=session)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "demo__a-1.toml").write_text(STEPS)
    return tmp_path


def played(model, n):
    """The conversation after ``n`` answers of the model."""
    talk = ASK
    for _ in range(n):
        talk = (
            *talk,
            model.complete(talk, limits=LIMITS).message,
            Message(role="tool", content="r" * 40),
        )
    return talk


def test_steps_are_played_in_order_and_then_it_is_over(folder):
    model = scripted(folder)
    first = model.complete(ASK, limits=LIMITS)
    assert dict(first.message.tool_calls[0].arguments) == {"command": "ls", "timeout": 5}
    assert first.model == "recording:m"
    second = model.complete(played(model, 1), limits=LIMITS)
    assert (second.message.content, second.stop) == ("<call nonsense", "end")
    beyond = [*ASK, *(Message(role="assistant", content="?") for _ in range(3))]
    assert model.complete(beyond, limits=LIMITS).message.content == OVER


def test_a_resumed_attempt_gets_the_same_answer(folder):
    talk = played(scripted(folder), 1)
    again = [scripted(folder).complete(talk, limits=LIMITS) for _ in range(2)]
    assert again[0] == again[1]


def test_a_broken_provider_stays_broken(folder):
    model = scripted(folder)
    talk = played(model, 2)
    for _ in range(2):
        with pytest.raises(BadReply, match="the provider is broken"):
            model.complete(talk, limits=LIMITS)


def test_a_later_attempt_may_have_its_own_recording(folder):
    (folder / "demo__a-1.2.toml").write_text('[[step]]\nsay = "second"\n')
    say = [
        scripted(folder, f"demo__a-1#{n}").complete(ASK, limits=LIMITS).message.content
        for n in (1, 2, 3)
    ]
    assert say == ["Looking.", "second", "Looking."]


def test_costs_follow_the_bytes_of_the_conversation(folder):
    model = scripted(folder)
    first = model.complete(ASK, limits=LIMITS).usage
    assert (first.cache_read_tokens, first.cache_write_tokens) == (0, 100)
    talk = played(model, 1)
    second = model.complete(talk, limits=LIMITS).usage
    assert second.cache_read_tokens == 100
    assert second.cache_write_tokens >= (len("Looking.") + 40) // 4
    assert second.prompt_tokens > first.prompt_tokens
    assert second.seconds > 0


def test_a_text_tier_gets_its_calls_as_text_that_can_be_read_back(folder):
    answer = scripted(folder, tools="text").complete(ASK, limits=LIMITS)
    assert answer.message.tool_calls == ()
    parsed = toolcalls.parse_calls(answer.message.content)
    assert [call.name for call in parsed.calls] == ["bash"]
    assert dict(parsed.calls[0].arguments) == {"command": "ls", "timeout": 5}
    assert "Looking." in parsed.say


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "cannot be read"),
        ("[[step]]\nsey = 'x'\n", "cannot be read"),
        ("[[step]]\n[[step.call]]\ncommand = 'ls'\n", "step 1: a call names no tool"),
        ("[[step]]\nerror = 'Explosion'\n", "unknown error 'Explosion'"),
        ("[[step]]\nerror = 'KeyError'\n", "unknown error"),
        (f"[[step]]\nsay = '{'x' * 5000}'\n", "longer than 1000 tokens"),
    ],
)
def test_a_bad_recording_says_what_is_wrong(folder, text, why):
    (folder / "demo__a-1.toml").write_text(text)
    with pytest.raises(Refused, match=why):
        scripted(folder).complete(ASK, limits=LIMITS)


def test_no_recording_says_of_which_instance(folder):
    with pytest.raises(Refused, match="no recording of 'other__b-2'"):
        scripted(folder, "other__b-2#1").complete(ASK, limits=LIMITS)


def test_a_conversation_over_the_window_is_too_long(folder):
    with pytest.raises(ContextTooLong):
        scripted(folder, window=50).complete(ASK, limits=LIMITS)


def test_an_unknown_option_is_named(folder):
    with pytest.raises(UsageError, match="no option 'recording'"):
        scripted(folder, options={"recording": "x"})
