"""A real vLLM server behind the client: SWE_ROUTER_VLLM_URL (…/v1) and SWE_ROUTER_VLLM_MODEL."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal

import pytest

from swe_router import prices
from swe_router.ledger import Ledger
from swe_router.models.metered import MeteredModel
from swe_router.models.openai import VllmModel
from swe_router.models.retrying import RetryingModel
from swe_router.records import CallLimits, Message, ToolSpec
from swe_router.settings import Tier

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
ASK = (Message(role="user", content="Open tests/test_a.py at line 120."),)


@pytest.fixture
def tier():
    return Tier(
        dialect="vllm",
        model=os.environ["SWE_ROUTER_VLLM_MODEL"],
        base_url=os.environ["SWE_ROUTER_VLLM_URL"],
        window=4096,
        max_output_tokens=200,
        temperature=0.0,
        attempt_usd=Decimal("0.5"),
    )


def test_a_forced_tool_call_is_well_formed_and_measured(tier):
    limits = CallLimits(max_output_tokens=200, timeout=300, tool_choice="required", seed=1)
    answer = VllmModel(tier, session="x#1").complete(ASK, (OPEN,), limits=limits)
    (call,) = answer.message.tool_calls
    assert (call.name, call.error) == ("open_file", "")
    assert isinstance(call.arguments["line"], int)
    assert answer.usage.prompt_tokens > 20
    assert answer.usage.seconds > 0


def test_a_conversation_is_paid_by_the_gpu_second_within_its_reservation(tier, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", Decimal(1))
    rate = prices.gpu_hour(Decimal(2), 1, datetime.date(2026, 11, 24))
    limits = CallLimits(max_output_tokens=20, timeout=300)
    with ledger.hold("local", Decimal("0.5"), "x#1") as hold:
        meter = MeteredModel(VllmModel(tier, session="x#1"), hold, rate)
        model = RetryingModel(meter, 2)
        first = model.complete(ASK, limits=limits)
        more = (*ASK, first.message, Message(role="user", content="Go on."))
        second = model.complete(more, limits=limits)
    figures = ledger.figures()
    assert figures.settled == first.usd + second.usd > 0
    assert figures.overrun == 0
    assert second.usage.prompt_tokens > first.usage.prompt_tokens
