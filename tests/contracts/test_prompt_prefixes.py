"""Each request begins with the bytes of the one before it, in every dialect: caches hold.

What changes a prefix is an elision alone, and then tools, system text and issue stay.
"""

from __future__ import annotations

import json

import pytest

from swe_router.agents.dialogue import Dialogue, DialogueSetup
from swe_router.agents.manifest import read_manifest
from swe_router.errors import Refused
from swe_router.models import cache_lifetime, cache_marks, chat, responses
from swe_router.models.anthropic import AnthropicModel
from swe_router.models.server_quirks import ServerQuirks
from swe_router.records import Completion, Message, Step
from swe_router.seams import AttemptContext
from swe_router.verifiers import judge
from swe_router.verifiers.reproduction import test_writer
from swe_router.verifiers.reproduction.repository_context import RepositoryContext
from tests.doubles.agent import INSTANCE
from tests.doubles.conversations import made_turns, recorded_turns, shared_trajectories
from tests.doubles.judged import attempt, patch
from tests.doubles.providers import tier

SHEET = read_manifest("default")
URL = "http://localhost:1"
KINDS = ("anthropic", "chat", "chat 5.6", "responses", "responses 5.6", "vllm", "text tools")


def body_of(kind, request):
    """The request of a dialect as it is sent."""
    dialect, _, model = kind.partition(" ")
    if kind == "text tools":
        one = tier("vllm", URL, tools="text")
        return chat.chat_request(
            one, request.messages, request.tools, request.limits, True, False, "s"
        )
    one = tier(dialect, URL)
    if model:
        one = one.model_copy(update={"model": "gpt-5.6", "base_url": ""})
    asked = request.messages, request.tools, request.limits
    if dialect == "anthropic":
        ttl = cache_lifetime.chosen_ttl(request.messages, request.limits.gaps)
        return AnthropicModel(one, session="s", key="k")._body(*asked, ttl)
    if dialect == "responses":
        return responses.responses_request(one, *asked, "s")
    return chat.chat_request(one, *asked, False, bool(model), "s")


def bare(value):
    """Without Anthropic's marks: they move, and are no part of what is kept."""
    if isinstance(value, dict):
        return {name: bare(item) for name, item in value.items() if name != "cache_control"}
    return [bare(item) for item in value] if isinstance(value, list) else value


def parts(body):
    """What a request has in addition to its conversation, and the texts of the conversation."""
    body = bare(body)
    talk = body.pop("input", None) or body.pop("messages")
    return json.dumps(body, sort_keys=True), [json.dumps(item) for item in talk]


def dialogue(kind, window, handover):
    context = AttemptContext(
        record=lambda step: None,
        clock=lambda: 0.0,
        window=window,
        max_output_tokens=1000,
        handover=handover,
        continued=bool(handover),
        text_tools=kind == "text tools",
    )
    return Dialogue(SHEET, INSTANCE, DialogueSetup(context, 20, 60))


def bodies(kind, turns, *, window=0, handover=""):
    """Every request of a conversation, and the numbers of those before which it was elided."""
    talk, sent, elided = dialogue(kind, window, handover), [], set()
    for completion, actions in turns:
        if talk.make_room():
            elided.add(len(sent))
        if talk.ended:
            break
        sent.append(body_of(kind, talk.request()))
        talk.add(completion, actions)
    return sent, elided


def check_prefixes(sent, elided):
    broken = set()
    for at in range(1, len(sent)):
        (rest, before), (same, after) = parts(sent[at - 1]), parts(sent[at])
        assert rest == same, f"request {at + 1} differs in more than its conversation"
        # The system text, where it is a message, and the issue.
        assert after[0] == before[0]
        if after[: len(before)] != before:
            broken.add(at)
    assert broken <= elided
    return broken


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_each_request_begins_with_the_one_before(kind, seed):
    handover = "What was done before: nothing." if seed % 2 else ""
    sent, elided = bodies(kind, made_turns(seed), handover=handover)
    assert len(sent) > 3
    assert not elided
    assert not check_prefixes(sent, elided)


@pytest.mark.parametrize("kind", KINDS)
def test_an_elision_alone_changes_the_prefix_and_leaves_its_beginning(kind):
    sent, elided = bodies(kind, made_turns(3, 40), window=9_000)
    assert elided, "the window was to be too small"
    assert check_prefixes(sent, elided), "an elision was to change the prefix"
    after = json.dumps(sent[min(elided)])
    if kind == "anthropic":
        first = sent[min(elided)]["messages"][0]["content"][-1]
        assert "cache_control" in first, "nothing would be read after an elision"
    elif "5.6" in kind:
        assert "prompt_cache_breakpoint" in after


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_attempt_sends_the_very_bytes(kind):
    """Marks and keys too: another process rebuilds each request from the recorded steps."""
    turns = list(made_turns(5))
    sent, _ = bodies(kind, turns, window=60_000)
    steps = [
        Step(index=n, request="", completion=completion, actions=actions)
        for n, (completion, actions) in enumerate(turns)
    ]
    stored = [Step.model_validate_json(one.model_dump_json()) for one in steps]
    again, _ = bodies(kind, [(one.completion, one.actions) for one in stored], window=60_000)
    assert [json.dumps(one) for one in again] == [json.dumps(one) for one in sent]


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_conversations_keep_their_prefix(kind):
    paths = shared_trajectories()[::5]
    if not paths:
        pytest.skip("the recorded trajectories are not here")
    for path in paths:
        sent, elided = bodies(kind, recorded_turns(path), window=40_000)
        check_prefixes(sent, elided)


def test_marks_are_four_at_most_and_one_stands_at_the_end_of_the_request_before():
    """A turn of 30 calls has more blocks than Anthropic looks back over."""
    sent, _ = bodies("anthropic", made_turns(1, 25))
    assert any(len(turn["content"]) > cache_marks.LOOK_BACK for turn in sent[-1]["messages"])
    for at, body in enumerate(sent):
        assert json.dumps(body).count('"cache_control"') <= cache_marks.MAX_MARKS
        assert "cache_control" in body["system"][0]
        if at:
            before = bare(sent[at - 1])["messages"]
            end = body["messages"][len(before) - 1]["content"][-1]
            assert "cache_control" in end, "the cached prefix would be out of sight"


def test_a_question_is_marked_where_the_part_that_comes_back_ends():
    """A judge's prompt is asked once: to write all of it would cost more than no cache."""
    asked = Message(role="user", content="Rules.\n\nThe issue.\n\nThe diff.", repeats=19)
    limits = dialogue("anthropic", 0, "").request().limits
    client = AnthropicModel(tier("anthropic", URL), session="s", key="k")
    one = client._body((asked,), (), limits, "5m")
    first, second = one["messages"][0]["content"]
    assert first["text"] + second["text"] == asked.content
    assert ("cache_control" in first, "cache_control" in second) == (True, False)
    later = tier("chat", URL).model_copy(update={"model": "gpt-5.6", "base_url": ""})
    marked = chat.chat_request(later, (asked,), (), limits, False, True)["messages"][0]["content"]
    assert [set(part) for part in marked] == [
        {"type", "text", "prompt_cache_breakpoint"},
        {"type", "text"},
    ]
    assert "repeats" not in Completion(message=asked).model_dump(mode="json")["message"]


def test_each_server_is_given_the_name_of_the_conversation_in_its_own_way():
    """Without it OpenAI may send the next request to a machine that has no prefix of it."""
    sent = {kind: bodies(kind, made_turns(2, 2))[0][0] for kind in KINDS}
    for kind in ("chat", "chat 5.6", "responses", "responses 5.6"):
        assert sent[kind]["prompt_cache_key"] == "s"
    for kind in ("vllm", "text tools"):
        assert sent[kind]["session_id"] == "s"
        assert "prompt_cache_key" not in sent[kind]
    assert len(cache_marks.cache_key("s" * 100)) == cache_marks.KEY_CHARS
    models = ("gpt-5.5", "gpt-5", "gpt-4.1", "o3", "gpt-5.6", "gpt-5.6-sol", "gpt-6", "gpt-5.10")
    assert [cache_marks.takes_breakpoints(name) for name in models] == [False] * 4 + [True] * 4


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ('Unknown name "prompt_cache_key": Cannot find field.', "prompt_cache_key"),
        ("property 'session_id' is unsupported", "session_id"),
        ("Unknown parameter: 'messages[1].content[0].prompt_cache_breakpoint'.", "breakpoint"),
        ("Unknown parameter: 'input[0].content[0].prompt_cache_breakpoint'.", "breakpoint"),
    ],
)
def test_what_a_server_refuses_of_it_is_left_out_from_then_on(words, name):
    kind = {"session_id": "vllm", "prompt_cache_key": "chat"}.get(name)
    kind = kind or ("responses 5.6" if "input" in words else "chat 5.6")
    (body, *_), _ = bodies(kind, made_turns(2, 2))
    assert name in json.dumps(body)
    lessons = ServerQuirks()
    refusal = Refused("HTTP 400")
    refusal.refusal = words
    assert lessons.learn(refusal, body)
    assert name not in json.dumps(lessons.fitted(body))


def test_questions_about_one_issue_differ_at_their_end_alone():
    """A judge of five candidates reads instructions and issue once; so do the writer's samples."""
    first, second = (attempt(1, "cloud", patch(word)) for word in ("a + b", "b + a"))
    asked = [judge.judge_messages(one, INSTANCE)[0] for one in (first, second)]
    shared = asked[0].content[: asked[0].repeats]
    assert asked[1].content.startswith(shared)
    assert INSTANCE.problem.strip() in shared
    assert "Rate each of these" in shared
    assert first.candidate.patch.strip() not in shared
    assert asked[0].content[asked[0].repeats :].count("<diff>") <= 1
    known = RepositoryContext("pytest", "/bin/python", (), "tests/test_a.py", "def test_a(): ...")
    samples = [test_writer.writer_messages(n, 3, INSTANCE, known)[0] for n in (1, 2, 3)]
    for one in samples:
        assert one.content[: one.repeats] == samples[0].content[: one.repeats]
        assert "Answer with the whole file" in one.content[: one.repeats]
        assert len(one.content) - one.repeats < 300
