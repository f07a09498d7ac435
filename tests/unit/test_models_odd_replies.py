"""Replies in which something is of another kind than documented, in any place and any dialect."""

from __future__ import annotations

import copy
import json

import pytest

from swe_router.errors import BadReply
from swe_router.models import chat, error_mapping, responses
from swe_router.records import Completion, Message
from tests.doubles.providers import LIMITS, TALK, every_dialect, model, reply

CALLS = (("c1", "bash", '{"command": "ls"}'), ("c2", "bash", '{"command": "pwd"}'))


def places(value, here=()):
    yield here
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*here, name))


def changed(value, place, new):
    value = copy.deepcopy(value)
    at = value
    for name in place[:-1]:
        at = at[name]
    at[place[-1]] = new
    return value


def read(dialect, body):
    """What is made of a reply, by the functions that read it."""
    if error_mapping.error_in_reply(body) is not None:
        return None
    if dialect == "anthropic":
        return model(dialect, "http://127.0.0.1:9")._read(body, {}, 1.0, "5m")
    if dialect == "responses":
        return responses.read_response(body, "", 1.0, "")
    return chat.read_chat_reply(body, "", 1.0, "")


@pytest.mark.parametrize("new", [[], {}, [{}], 5, None, "\x00"], ids=repr)
@every_dialect
def test_whatever_stands_anywhere_in_a_reply_is_an_answer_or_a_bad_reply(dialect, new):
    good = reply(dialect, text="hello", calls=CALLS)
    if dialect == "anthropic":
        good["content"].insert(0, {"type": "thinking", "thinking": "hm", "signature": "s"})
    taken = 0
    for place in places(good):
        if not place:
            continue
        try:
            answer = read(dialect, changed(good, place, new))
        except BadReply:
            continue
        taken += isinstance(answer, Completion)
        if answer is not None:
            assert Completion.model_validate_json(answer.model_dump_json()) == answer
            assert all(isinstance(block["type"], str) for block in answer.message.kept
                       if dialect != "chat")  # fmt: skip
    assert taken > 5


def test_reasoning_that_cannot_be_sent_as_it_came_is_mended_on_the_way_back():
    kept = ({"reasoning_content": "a\x00b\ud800", "reasoning_details": [{"text": "\x00"}]},)
    said = Message(role="assistant", content="x", kept=kept)
    tier = model("chat", "http://127.0.0.1:9")._tier
    sent = chat.chat_request(tier, [*TALK, said], (), LIMITS, strict=False, reasons=False)
    assert "\\u0000" not in json.dumps(sent)
    assert "\\ud800" not in json.dumps(sent)
