"""Items of a conversation, sent in batches to a fake provider."""

from __future__ import annotations

import time
from decimal import Decimal

from swe_router import plugins
from swe_router.records import CallLimits, Message, ToolCall, ToolSpec
from swe_router.settings import Tier
from tests.doubles.batch_http import KEY

DIALECTS = ("anthropic", "chat", "responses")
MODELS = {"anthropic": "claude-sonnet-4-5", "chat": "gpt-4o", "responses": "o3"}
LIMITS = CallLimits(max_output_tokens=2000)
BASH = ToolSpec(name="bash", description="run", parameters={"type": "object", "properties": {}})
CALL = ToolCall(id="c0", name="bash", arguments={"command": "ls"})
TALK = (
    Message(role="system", content="You fix bugs."),
    Message(role="user", content="Fix it: naïve\u2028\u0085 text."),
    Message(role="assistant", content="Looking.", tool_calls=(CALL,)),
    Message(role="tool", content="a.py", tool_call_id="c0"),
)
BATCH = "t0ken"


def model_at(server, *, key=KEY, url="", session="x#1"):
    dialect = server.dialect
    tier = Tier(
        dialect="anthropic" if dialect == "anthropic" else "openai",
        model=MODELS[dialect],
        base_url=url or server.base_url,
        window=100_000,
        attempt_usd=Decimal(1),
    )
    return plugins.load_plugin("models", tier.dialect)(tier, session=session, key=key)


def service_at(server, *, key=KEY, url="", seconds=None):
    model = model_at(server, key=key, url=url)
    return model.batches(seconds) if seconds else model.batches()


def items_of(service, count=3, talk=TALK):
    return [
        service.item(f"{BATCH}-{number}", talk, (BASH,), limits=LIMITS) for number in range(count)
    ]


def ended(service, batch_id):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if (state := service.poll(batch_id)).phase == "ended":
            return state
        time.sleep(0.01)
    raise AssertionError("the batch never ended")


def collected(service, items, token=BATCH):
    batch_id = service.submit(items, token=token)
    state = ended(service, batch_id)
    return state, {answer.custom_id: answer for answer in service.collect(batch_id, items)}


def take(service, step, items, batch_id):
    """One step of a batch's life."""
    if step == "submit":
        return service.submit(items, token=BATCH)
    if step == "find":
        return service.find(items, token=BATCH, since=time.time())
    if step == "collect":
        return list(service.collect(batch_id, items))
    return getattr(service, step)(batch_id)
