"""What a long conversation costs: each message is read once, and the identity stays what it was."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from swe_router.agents import manifest, tools
from swe_router.agents.tool_loop import ToolLoop
from swe_router.journal.instance_log import InstanceLog, Receipts
from swe_router.ledger import Ledger
from swe_router.models.metered import MeteredModel
from swe_router.prices import PriceBand, PriceRate
from swe_router.records import (
    Budget,
    CallLimits,
    Completion,
    Message,
    ToolCall,
    digest_of,
)
from swe_router.records.requests import RequestDigests, RunningSum, request_digest
from tests.doubles.agent import INSTANCE, Told
from tests.doubles.talker import QuickSandbox, Talker

TOOLS = tools.tool_specs(manifest.read_manifest("default").tools)
LIMITS = CallLimits(max_output_tokens=100, timeout=60, temperature=0)
PRICE = PriceBand(input=1, output=2, cache_read=1, cache_write=1)
RATE = PriceRate(bands=(PRICE,), source="test", date=datetime.date(2026, 1, 1))

texts = st.text(max_size=6)
calls = st.builds(
    ToolCall, id=texts, name=texts, arguments=st.dictionaries(texts, texts | st.integers())
)
messages = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool"]),
    content=texts,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
)


def as_recorded_so_far(said, offered, limits) -> str:
    """The identity of a request in every run folder made until now."""
    return digest_of(
        {
            "messages": [message.model_dump(mode="json") for message in said],
            "tools": [tool.model_dump(mode="json") for tool in offered],
            "limits": limits.model_dump(mode="json"),
        }
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.lists(messages, max_size=4)), max_size=6))
def test_a_digest_that_goes_on_is_the_digest_of_the_whole_request(moves):
    digests, sizes = RequestDigests(), RunningSum(lambda message: len(message.content))
    said: list[Message] = []
    for number, (kept, new) in enumerate(moves):
        # Grown at its end, cut back, or with another message in its middle.
        said = [*said[:kept], *new]
        limits = LIMITS if number % 3 else LIMITS.model_copy(update={"seed": number})
        offered = TOOLS if number % 2 else ()
        assert digests.of(said, offered, limits) == as_recorded_so_far(said, offered, limits)
        assert request_digest(said, offered, limits) == as_recorded_so_far(said, offered, limits)
        assert sizes.of(said) == sum(len(message.content) for message in said)
        assert sizes.of(said, len(said) // 2) == sum(len(m.content) for m in said[: len(said) // 2])


def test_an_equal_message_of_another_spelling_is_another_request():
    """1 == 1.0, but what is sent differs: what is taken for known are the same objects only."""
    digests = RequestDigests()
    for value in (1, 1.0, True):
        call = ToolCall(id="a", name="bash", arguments={"timeout": value})
        said = [Message(role="assistant", tool_calls=(call,))]
        assert digests.of(said, (), LIMITS) == as_recorded_so_far(said, (), LIMITS)


class CountedMessage(Message):
    """An answer that counts how often it is read."""

    reads: ClassVar[list[int]] = []

    def model_dump(self, **options: Any) -> dict[str, Any]:
        self.reads.append(1)
        return super().model_dump(**options)


def reads_of_an_attempt(tmp_path, steps: int) -> int:
    folder = tmp_path / str(steps)
    folder.mkdir()
    ledger, tape = Ledger(folder / "ledger.jsonl", Decimal(100)), InstanceLog(folder / "tape")
    CountedMessage.reads.clear()
    with ledger.hold("t", Decimal(50), f"{INSTANCE.id}/1-a") as hold:
        model = MeteredModel(
            Talker(message=CountedMessage), hold, RATE, receipts=Receipts(tape, "1-a")
        )
        loop = ToolLoop(
            manifest.read_manifest("default"), command_timeout=20, command_timeout_max=60
        )
        context = Told().context(record=lambda step: tape.record_step("1-a", step))
        end = loop.solve(INSTANCE, model, QuickSandbox(), Budget(dollars=50, steps=steps), context)
    assert end.steps == steps
    return len(CountedMessage.reads)


def test_each_answer_is_read_as_often_in_a_long_attempt_as_in_a_short_one(tmp_path):
    short, long = reads_of_an_attempt(tmp_path, 10), reads_of_an_attempt(tmp_path, 60)
    assert 0 < long - short <= 6 * (60 - 10)


def test_an_answer_of_the_standard_service_is_recorded_as_ever():
    """Seals of steps and digests of receipts made before there were services hang on it."""
    answer = Completion(message=Message(role="assistant", content="ok"))
    assert "service" not in answer.model_dump(mode="json")
    batched = answer.model_copy(update={"service": "batch"})
    assert Completion.model_validate(batched.model_dump(mode="json")).service == "batch"
