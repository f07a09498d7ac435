"""The contract of ``seams.Model``, over every implementation: clients, scripted, wrappers."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest

from swe_router import plugins, prices
from swe_router.errors import ModelError, Refused, UsageError
from swe_router.ledger import Ledger
from swe_router.models.cassette import CassetteMiss, CassetteModel, RecordingModel, ReplayingModel
from swe_router.models.metered import MeteredModel
from swe_router.models.retrying import RetryingModel
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.settings import Tier

LIMITS = CallLimits(max_output_tokens=2000, timeout=60)
BASH = ToolSpec(name="bash", description="run", parameters={"type": "object", "properties": {}})
ASK = (Message(role="system", content="You fix bugs."), Message(role="user", content="Fix it."))
USAGE = {"input_tokens": 9, "output_tokens": 4, "prompt_tokens": 9, "completion_tokens": 4}
ANSWERS = {
    "/v1/messages": {
        "model": "m",
        "content": [
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "c1", "name": "bash", "input": {"command": "ls"}},
        ],
        "stop_reason": "tool_use",
        "usage": USAGE,
    },
    "/v1/responses": {
        "model": "m",
        "status": "completed",
        "output": [
            {"type": "message", "content": [{"type": "output_text", "text": "Looking."}]},
            {
                "type": "function_call",
                "call_id": "c1",
                "name": "bash",
                "arguments": '{"command": "ls"}',
            },
        ],
        "usage": USAGE,
    },
    "/v1/chat/completions": {
        "model": "m",
        "choices": [
            {
                "finish_reason": "tool_calls",
                "message": {
                    "content": "Looking.",
                    "tool_calls": [
                        {"id": "c1", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
                    ],
                },
            }
        ],
        "usage": USAGE,
    },
}
RECORDING = """
[[step]]
say = "Looking."
[[step.call]]
tool = "bash"
command = "ls"

[[step]]
error = "Overloaded"
"""
BARE = ("anthropic", "openai", "openai-responses", "vllm", "scripted", "cassette")
WRAPPED = ("metered", "retrying", "recording", "replaying")


def _tier(name, url, folder):
    dialect = name.partition("-")[0]
    options = {"recordings": str(folder)} if name == "scripted" else {}
    return Tier(
        dialect=dialect,
        model="o3" if name == "openai-responses" else "some-model",
        base_url=url if dialect == "anthropic" else f"{url}/v1",
        window=100_000,
        attempt_usd=Decimal(1),
        options=options,
    )


class Bench:
    """One implementation under test, answering a first turn well and a second one with 503."""

    def __init__(self, httpserver, folder):
        self.server, self.folder = httpserver, folder
        (folder / "x.toml").write_text(RECORDING)
        for path, answer in ANSWERS.items():
            httpserver.expect_oneshot_request(path).respond_with_json(answer)
            httpserver.expect_request(path).respond_with_data("busy", status=503)

    def bare(self, name):
        if name == "cassette":
            return self.cassette()
        tier = _tier(name, self.server.url_for("").rstrip("/"), self.folder)
        return plugins.load_plugin("models", tier.dialect)(
            tier, session="x#1", key="a-key-for-tests"
        )

    def cassette(self):
        """A cassette that was recorded from ``scripted`` and is now played."""
        tier = _tier("scripted", "", self.folder)
        file = {"file": str(self.folder / "own.jsonl")}
        taped = {**tier.options, **file, "record": "scripted"}
        self.play(CassetteModel(tier.model_copy(update={"options": taped}), session="x#1"))
        return CassetteModel(tier.model_copy(update={"options": file}), session="x#1")

    def model(self, name):
        if name in BARE:
            return self.bare(name)
        ledger = Ledger(self.folder / "ledger.jsonl", Decimal(1))
        rate = prices.flat_rate(Decimal(2), Decimal(10), source="s", on=datetime.date(2026, 11, 24))
        meter = MeteredModel(self.bare("scripted"), ledger.overhead(), rate)
        if name == "metered":
            return meter
        if name == "retrying":
            return RetryingModel(meter, 1, first_wait=0.001)
        tape = RecordingModel(meter, self.folder / "tape.jsonl", session="x#1")
        if name == "recording":
            return tape
        self.play(tape)
        return ReplayingModel(self.folder / "tape.jsonl", session="x#1")

    @staticmethod
    def play(model):
        answer = model.complete(ASK, (BASH,), limits=LIMITS)
        with pytest.raises(ModelError):
            model.complete(after(answer), (BASH,), limits=LIMITS)


def after(answer):
    call = answer.message.tool_calls[0]
    shown = Message(role="tool", content="a.py", tool_call_id=call.id)
    return (*ASK, answer.message, shown)


@pytest.fixture
def bench(httpserver, tmp_path):
    return Bench(httpserver, tmp_path)


@pytest.mark.parametrize("name", [*BARE, *WRAPPED])
def test_every_model_keeps_the_contract(bench, name):
    model = bench.model(name)
    answer = model.complete(ASK, (BASH,), limits=LIMITS)
    assert answer.message.role == "assistant"
    assert answer.message.content == "Looking."
    (call,) = answer.message.tool_calls
    assert (call.name, dict(call.arguments), call.error) == ("bash", {"command": "ls"}, "")
    assert call.id
    assert answer.stop == "tool"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.output_tokens > 0
    assert (answer.usd > 0) == (name in WRAPPED), "the meter, and only it, sets the price"
    assert Completion.model_validate_json(answer.model_dump_json()) == answer
    with pytest.raises(ModelError) as caught:
        model.complete(after(answer), (BASH,), limits=LIMITS)
    assert type(caught.value).__name__ == "Overloaded"
    assert not caught.value.billed


@pytest.mark.parametrize("name", plugins.BUILT_IN["models"])
def test_making_a_model_touches_neither_network_nor_key(tmp_path, name):
    tier = _tier(name, "http://127.0.0.1:9", tmp_path)
    if name == "cassette":
        tape = tmp_path / "tape.jsonl"
        tape.touch()
        tier = tier.model_copy(update={"options": {"file": str(tape)}})
    plugins.load_plugin("models", name)(tier, session="x#1")


def test_a_replay_serves_errors_and_repeats_in_their_order(bench, tmp_path):
    model = bench.model("replaying")
    answer = model.complete(ASK, (BASH,), limits=LIMITS)
    assert answer.usd > 0
    with pytest.raises(CassetteMiss, match="occurrence 2"):
        model.complete(ASK, (BASH,), limits=LIMITS)


def test_a_changed_request_is_a_miss_that_says_so(bench, tmp_path):
    model = bench.model("replaying")
    changed = (ASK[0], Message(role="user", content="Fix it now."))
    with pytest.raises(CassetteMiss, match=r"attempt x#1 has no answer .* 2 other requests"):
        model.complete(changed, (BASH,), limits=LIMITS)
    other = ReplayingModel(tmp_path / "tape.jsonl", session="y#1")
    with pytest.raises(Refused):
        other.complete(ASK, (BASH,), limits=LIMITS)


def test_a_cassette_holds_one_line_for_each_answer(bench, tmp_path):
    bench.model("replaying")
    entries = [json.loads(line) for line in (tmp_path / "tape.jsonl").read_text().splitlines()]
    assert [entry["occurrence"] for entry in entries] == [0, 0]
    assert entries[1]["error"] == "Overloaded"


def test_a_cassette_that_is_not_there_is_said_so(tmp_path):
    tier = _tier("scripted", "", tmp_path).model_copy(update={"options": {"file": "no.jsonl"}})
    with pytest.raises(UsageError, match=r"no cassette 'no\.jsonl'"):
        CassetteModel(tier, session="x#1")


def test_a_cassette_survives_a_kill_and_a_second_recorder(bench, tmp_path):
    bench.model("replaying")
    with (tmp_path / "tape.jsonl").open("ab") as file:
        file.write(b'{"session":"x#1","requ')
    again = RecordingModel(bench.bare("scripted"), tmp_path / "tape.jsonl", session="x#1")
    again.complete(ASK, (BASH,), limits=LIMITS)
    entries = [json.loads(line) for line in (tmp_path / "tape.jsonl").read_text().splitlines()]
    assert [entry["occurrence"] for entry in entries] == [0, 0, 1]
    served = ReplayingModel(tmp_path / "tape.jsonl", session="x#1")
    assert served.complete(ASK, (BASH,), limits=LIMITS).usd > 0
    assert served.complete(ASK, (BASH,), limits=LIMITS).usd == 0
