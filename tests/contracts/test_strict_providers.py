"""Every client over a server that refuses what its API refuses: odd answers go on being a talk."""

from __future__ import annotations

import itertools
import json

import pytest

from swe_router.records import CallLimits, Completion, Message
from tests.doubles.providers import BASH, TALK, model, reply
from tests.doubles.strict import StrictServer, refusal

LIMITS = CallLimits(max_output_tokens=100, timeout=5)
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
