"""Every client over a server that refuses what its API refuses: odd answers go on being a talk."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal

import pytest

from swe_router.errors import Refused, UsageError
from swe_router.ledger import Ledger
from swe_router.models import server_quirks
from swe_router.models.metered import MeteredModel
from swe_router.records import CallLimits, Completion, Message, ToolCall
from tests.doubles.providers import BASH, RATE, TALK, model, reply
from tests.doubles.strict import StrictServer, refusal

LIMITS = CallLimits(max_output_tokens=100, timeout=60)
LS = '{"command": "ls"}'
CALL = ("c1", "bash", LS)
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
HIDDEN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"}
DIALECTS = ("anthropic", "chat", "responses", "vllm")


def blank(dialect, text):
    """Thinking, then a blank text, then a call."""
    answer = reply(dialect, text=text, calls=[CALL])
    if dialect == "anthropic":
        answer["content"] = [THOUGHT, {"type": "text", "text": text}, answer["content"][-1]]
    return answer


def only_thinking(dialect):
    answer = reply(dialect, text="")
    if dialect == "anthropic":
        answer["content"] = [THOUGHT]
    elif dialect in ("chat", "vllm"):
        answer["choices"][0]["message"] |= {"content": None, "reasoning_content": "hm"}
    return answer


def no_object(dialect):
    """A call whose arguments are JSON and no object."""
    answer = reply(dialect, text="", calls=[CALL])
    if dialect == "anthropic":
        answer["content"] = [THOUGHT, {**answer["content"][-1], "input": "ls"}]
    elif dialect == "responses":
        answer["output"][-1]["arguments"] = '["ls"]'
    else:
        answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = '"ls"'
    return answer


def nameless(dialect):
    answer = reply(dialect, text="", calls=[CALL])
    if dialect == "anthropic":
        answer["content"][-1] |= {"name": "", "id": ""}
    elif dialect == "responses":
        answer["output"][-1] |= {"name": None, "call_id": None}
    else:
        answer["choices"][0]["message"]["tool_calls"][0] |= {"id": None, "function": {"name": ""}}
    return answer


ODD = {
    "two calls under one id": lambda d: reply(d, calls=[CALL, ("c1", "bash", "{}")]),
    "the id of an answer before": lambda d: reply(d, calls=[CALL]),
    "an id as we make them up": lambda d: reply(d, calls=[("call00002", "bash", LS)]),
    "another such id": lambda d: reply(d, calls=[("call_1", "bash", LS), ("", "bash", LS)]),
    "no ids at all": lambda d: reply(d, calls=[("", "bash", LS), ("", "bash", LS)]),
    "a channel in the name": lambda d: reply(d, calls=[("c7", "bash<|channel|>commentary", LS)]),
    "a name of 200 characters": lambda d: reply(d, calls=[("c8", "b" * 200, LS)]),
    "a name of signs": lambda d: reply(d, calls=[("c9", "<|>", LS)]),
    "no name and no id": nameless,
    "an id with dots and colons": lambda d: reply(d, calls=[("functions.bash:0", "bash", LS)]),
    "an id of 300 characters": lambda d: reply(d, calls=[("i" * 300, "bash", LS)]),
    "an id that is not ASCII": lambda d: reply(d, calls=[("ид 1", "bash", LS)]),
    "arguments that are no object": no_object,
    "blank text": lambda d: blank(d, "\n\n"),
    "empty text": lambda d: blank(d, ""),
    "nothing but thinking": only_thinking,
    "nothing at all": lambda d: reply(d, text=""),
    "a NUL and half a character": lambda d: reply(
        d, text="a\x00b\ud800", calls=[("c20", "bash", '{"command": "a\\u0000\\ud800"}')]
    ),
}


def shown(answer: Completion, text: str) -> tuple[Message, ...]:
    """What a conversation holds after an answer: as the loop writes it."""
    calls = answer.message.tool_calls
    if not calls:
        return answer.message, Message(role="user", content="Go on.")
    return answer.message, *(
        Message(role="tool", content=text, tool_call_id=call.id) for call in calls
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_a_model_answered_the_conversation_goes_on(dialect):
    """One conversation of all odd answers, each followed by one more request."""
    replies = [odd(dialect) for odd in ODD.values()]
    with StrictServer(dialect, [*replies, reply(dialect, text="done")]) as server:
        client = model(dialect, server.url)
        talk = list(TALK)
        for name in ODD:
            answer = client.complete(talk, (BASH,), limits=LIMITS)
            talk += shown(answer, "" if name == "blank text" else "a.py")
            assert not server.refused, name
        assert client.complete(talk, (BASH,), limits=LIMITS).message.content == "done"
        # Half-way through another process takes over: it sends the same bytes.
        stored = [Message.model_validate_json(one.model_dump_json()) for one in talk]
    with StrictServer(dialect, [reply(dialect)]) as again:
        model(dialect, again.url).complete(stored, (BASH,), limits=LIMITS)
    assert not server.refused
    assert json.dumps(again.bodies[0]) == json.dumps(server.bodies[-1])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_request_begins_with_the_one_before(dialect):
    """Ids that are made up later must not change those that were sent: the cache would be lost."""
    replies = [odd(dialect) for odd in ODD.values()]
    with StrictServer(dialect, replies) as server:
        client, talk = model(dialect, server.url), list(TALK)
        for _ in ODD:
            talk += shown(client.complete(talk, (BASH,), limits=LIMITS), "a.py")
    key = "input" if dialect == "responses" else "messages"
    sent = [json.loads(json.dumps(body[key]).replace(CACHE, "")) for body in server.bodies]
    for before, after in itertools.pairwise(sent):
        assert after[: len(before)] == before


CACHE = ', "cache_control": {"type": "ephemeral", "ttl": "5m"}'


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_details"])
def test_reasoning_goes_back_as_it_came_and_under_its_name(name):
    value = [{"type": "reasoning.encrypted", "data": "zz"}] if name.endswith("details") else "hm"
    first = reply("chat", text="", calls=[CALL])
    first["choices"][0]["message"][name] = value
    with StrictServer("chat", [first, reply("chat")], [name]) as server:
        client = model("chat", server.url)
        answer = client.complete(TALK, (BASH,), limits=LIMITS)
        client.complete([*TALK, *shown(answer, "a.py")], (BASH,), limits=LIMITS)
    assert server.bodies[1]["messages"][2][name] == value


def test_what_is_signed_goes_back_untouched():
    thought = {**THOUGHT, "thinking": "\n hm \n"}
    secret = {"type": "redacted_thinking", "data": "eA=="}
    first = reply("anthropic", text="", calls=[("toolu.1", "bash", LS)])
    first["content"] = [thought, secret, *first["content"]]
    with StrictServer("anthropic", [first, reply("anthropic")]) as server:
        client = model("anthropic", server.url)
        answer = client.complete(TALK, (BASH,), limits=LIMITS)
        client.complete([*TALK, *shown(answer, "a.py")], (BASH,), limits=LIMITS)
    said = server.bodies[1]["messages"][1]["content"]
    assert said[:2] == [thought, secret]
    assert said[2]["id"] == server.bodies[1]["messages"][2]["content"][0]["tool_use_id"]


def test_a_signature_inside_a_call_goes_back_with_its_call():
    signed = {"google": {"thought_signature": "abc"}}
    first = reply("chat", text="", calls=[CALL, ("c2", "bash", LS)])
    first["choices"][0]["message"]["tool_calls"][1]["extra_content"] = signed
    with StrictServer("chat", [first, reply("chat")]) as server:
        client = model("chat", server.url)
        answer = client.complete(TALK, (BASH,), limits=LIMITS)
        client.complete([*TALK, *shown(answer, "a.py")], (BASH,), limits=LIMITS)
    one, two = server.bodies[1]["messages"][2]["tool_calls"]
    assert (one.get("extra_content"), two["extra_content"]) == (None, signed)


def test_messages_without_anything_kept_are_dumped_as_they_ever_were():
    """Digests and seals of runs made before must not change."""
    assert "kept" not in Message(role="assistant", content="x").model_dump(mode="json")


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("chat", {"messages": [{"role": "user", "content": " "}]}),
        ("chat", {"messages": [{"role": "user", "content": "x"}], "top_k": 1}),
        ("responses", {"input": [{"type": "function_call_output", "call_id": "x"}]}),
        ("responses", {"input": [HIDDEN]}),
        ("anthropic", {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
        ("anthropic", {"messages": [{"role": "assistant", "content": [THOUGHT]}]}),
    ],
)
def test_the_strict_servers_are_strict(dialect, body):
    assert refusal(dialect, body, frozenset())


WANTS = {
    "the cap by its newer name": ("chat", ("max_completion_tokens",), "max_tokens"),
    "no temperature": ("chat", ("no temperature",), "temperature"),
    "no temperature in the other dialect": ("anthropic", ("no temperature",), "temperature"),
    "no seed": ("chat", ("no seed",), "seed"),
    "no tool_choice": ("chat", ("no tool_choice",), "tool_choice"),
    "no parallel calls": ("chat", ("no parallel_tool_calls",), "parallel_tool_calls"),
}


NAMED = {"anthropic": {"model": "claude-sonnet-4-5"}}
"""Of the later ones it is known that they take no temperature: they are not sent one."""


@pytest.mark.parametrize(("dialect", "wants", "name"), WANTS.values(), ids=WANTS)
def test_a_refused_parameter_is_learned_once_for_all_attempts(dialect, wants, name, caplog):
    more = {"options": {"parallel_tool_calls": True}, "temperature": 0.5}
    limits = LIMITS.model_copy(update={"seed": 3, "tool_choice": "required"})
    with StrictServer(dialect, [reply(dialect)] * 3, wants) as server:
        for _ in range(3):
            made = model(dialect, server.url, **more, **NAMED.get(dialect, {}))
            assert made.complete(TALK, (BASH,), limits=limits).message.content == "ok"
    assert len(server.refused) == 1, "an attempt later it is known"
    assert all(name not in body for body in server.bodies)
    caps = {"max_tokens", "max_completion_tokens"}
    assert all(caps & set(body) for body in server.bodies), "a call never goes without a bound"
    assert name in caplog.text


def test_a_model_with_many_wishes_is_learned_wish_by_wish():
    wants = ("max_completion_tokens", "no temperature", "no seed")
    limits = LIMITS.model_copy(update={"seed": 3})
    with StrictServer("chat", [reply("chat")], wants) as server:
        model("chat", server.url, temperature=0.5).complete(TALK, limits=limits)
    assert len(server.refused) == 3
    assert server.bodies[0]["max_completion_tokens"] == 100


def test_options_say_it_before_anything_is_refused():
    wants = ("max_completion_tokens", "no temperature")
    options = {"output_cap": "max_completion_tokens", "leave_out": ["temperature"]}
    with StrictServer("chat", [reply("chat")], wants) as server:
        model("chat", server.url, temperature=0.5, options=options).complete(TALK, limits=LIMITS)
    assert not server.refused


def test_a_refused_try_costs_nothing(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    with StrictServer("chat", [reply("chat")], ("max_completion_tokens",)) as server:
        hold = ledger.hold("cloud", Decimal("0.5"), "x#1")
        answer = MeteredModel(model("chat", server.url), hold, RATE).complete(TALK, limits=LIMITS)
    ops = [json.loads(line)["op"] for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert ops == ["open", "hold", "reserve", "settle"]
    assert hold.spent == answer.usd > 0


def test_reasoning_that_a_server_does_not_want_back_is_kept_from_it():
    first = reply("chat", text="", calls=[CALL])
    first["choices"][0]["message"]["reasoning_content"] = "hm"
    with StrictServer("chat", [first, reply("chat")], ["no reasoning"]) as server:
        client = model("chat", server.url)
        answer = client.complete(TALK, (BASH,), limits=LIMITS)
        client.complete([*TALK, *shown(answer, "a.py")], (BASH,), limits=LIMITS)
    assert len(server.refused) == 1
    assert "reasoning_content" not in server.bodies[1]["messages"][2]


def test_reasoning_that_was_not_recorded_is_sent_empty_where_it_is_wanted():
    """Runs of before did not keep it; an attempt of theirs goes on."""
    call = ToolCall(id="c1", name="bash", arguments={"command": "ls"})
    old = Completion(message=Message(role="assistant", tool_calls=(call,)))
    with StrictServer("chat", [reply("chat")], ["reasoning_content"]) as server:
        model("chat", server.url).complete([*TALK, *shown(old, "a.py")], (BASH,), limits=LIMITS)
    assert server.bodies[0]["messages"][2]["reasoning_content"] == ""


def test_tools_are_strict_at_a_server_of_this_dialect_and_loose_where_it_refuses_that():
    with StrictServer("anthropic", [reply("anthropic")] * 2) as server:
        model("anthropic", server.url).complete(TALK, (BASH,), limits=LIMITS)
        loose = model("anthropic", server.url, options={"strict": False})
        loose.complete(TALK, (BASH,), limits=LIMITS)
    assert server.bodies[0]["tools"][0]["strict"] is True
    assert "strict" not in server.bodies[1]["tools"][0]
    with StrictServer("anthropic", [reply("anthropic")], ["no strict"]) as server:
        model("anthropic", server.url).complete(TALK, (BASH,), limits=LIMITS)
    assert server.refused
    assert "strict" not in server.bodies[0]["tools"][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"leave_out": "temperature"}, "a list of names"),
        ({"leave_out": ["max_tokens"]}, "bounds what a call may cost"),
        ({"output_cap": "max"}, "max_tokens or max_completion_tokens"),
        ({"extra": {"service_tier": "flex"}}, "would change the price"),
        ({"strict": "yes"}, "true or false"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        model("chat", "http://127.0.0.1:9", options=options)


REFUSALS = [
    ("Unsupported parameter: 'max_tokens' is not supported with this model. Use"
     " 'max_completion_tokens' instead.", "max_completion_tokens"),
    ("max_tokens is deprecated, use max_completion_tokens instead", "max_completion_tokens"),
    ("Unrecognized request argument supplied: parallel_tool_calls", "parallel_tool_calls"),
    ("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1)"
     " value is supported.", "temperature"),
    ("`temperature` is deprecated for this model.", "temperature"),
    ("openai does not support parameters: ['reasoning_effort'], for model=m", "reasoning_effort"),
    ("[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not"
     " permitted'}]", "seed"),
    ("deepseek-reasoner does not support this tool_choice", "tool_choice"),
    ("property 'reasoning_effort' is unsupported", "reasoning_effort"),
    ("unknown field `seed`, expected one of `model`, `messages`", "seed"),
]  # fmt: skip
TEACH_NOTHING = [
    "messages.3: `tool_use` ids must be unique",
    "max_tokens is too large: 5000. This model supports at most 4096 completion tokens",
    "Invalid schema for function 'bash': extra inputs are not permitted",
    "The model m does not exist",
    "temperature must be between 0 and 1",
    "('body', 'messages', 3): unexpected: 'use max_completion_tokens instead; seed not supported'",
]
BODY = {
    "model": "m", "messages": [], "max_tokens": 5, "temperature": 0.2, "seed": 1, "tools": [],
    "tool_choice": "auto", "parallel_tool_calls": True, "reasoning_effort": "low",
}  # fmt: skip


@pytest.mark.parametrize(("text", "name"), REFUSALS)
def test_refusals_in_the_words_of_many_servers_teach_the_parameter(text, name):
    known, refusal = server_quirks.ServerQuirks(), Refused(text)
    refusal.refusal = text
    assert name in known.learn(refusal, BODY)
    fit = known.fitted(BODY)
    assert ("max_tokens" not in fit) == (name == "max_completion_tokens")
    assert (name in fit) == (name == "max_completion_tokens")


@pytest.mark.parametrize("text", TEACH_NOTHING)
def test_refusals_of_something_else_teach_nothing(text):
    refusal = Refused(text)
    refusal.refusal = text
    assert server_quirks.ServerQuirks().learn(refusal, BODY) == ""
