"""The contract of ``model_abilities.BatchService``, over both adapters and three endpoints."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from swe_router import plugins
from swe_router.errors import (
    BatchGone,
    ContextTooLong,
    ModelUnknown,
    NoAnswer,
    NoCredit,
    NotProcessed,
    Overloaded,
    RateLimited,
    SettingRefused,
    Unauthorised,
)
from swe_router.model_abilities import BatchItem, HasBatches
from swe_router.models.batch_calls import BatchSeconds, split_items
from swe_router.records import CallLimits, Completion, Message, ToolCall, ToolSpec
from swe_router.settings import Tier
from tests.doubles import batch_bodies
from tests.doubles.batch_server import KEY, PAGE, BatchServer, Fault

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


@pytest.mark.parametrize("dialect", DIALECTS)
def test_items_come_back_as_the_answers_of_live_calls(dialect):
    def answer(body, service):
        call = ("bash", {"command": "ls"})
        return batch_bodies.reply(dialect, text="Right.", calls=[call], service=service)

    with BatchServer(dialect, answer=answer, delays=(0, 0.05), seed=1) as server:
        model = model_at(server)
        live = model.complete(TALK, (BASH,), limits=LIMITS)
        service = model.batches()
        state, answers = collected(service, items_of(service, 5))
    assert not server.refused
    assert (state.total, state.done, state.failed) == (5, 5, "")
    assert state.expires > state.created > time.time() - 600
    assert len(answers) == 5
    for answer in answers.values():
        assert answer.end == "answered"
        assert answer.outcome.message == live.message
        assert answer.outcome.stop == live.stop == "tool"
        assert answer.outcome.usage.seconds == 0
        assert answer.outcome.usage.model_copy(update={"seconds": live.usage.seconds}) == live.usage
        assert Completion.model_validate_json(answer.outcome.model_dump_json()) == answer.outcome
    assert sorted(one.custom_id for one in server.bill) == ["", *sorted(answers)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_item_is_sent_with_the_body_of_a_live_call(dialect):
    with BatchServer(dialect) as server:
        model = model_at(server)
        model.complete(TALK, (BASH,), limits=LIMITS)
        collected(model.batches(), items_of(model.batches(), 1))
        live, batched = server.bill
    assert {**live.body, "service_tier": 0} == {**batched.body, "service_tier": 0}
    assert "service_tier" not in batched.body


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_size_of_an_item_is_not_less_than_what_it_takes(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service, 2)
        sizes = (100, sum(item.size for item in items) + 20)
        server.sizes = sizes
        service.submit(items, token=BATCH)
    assert not server.refused


ERRORS = [
    ({"type": "overloaded_error", "message": "Overloaded", "status": 529}, Overloaded),
    ({"type": "rate_limit_error", "message": "slow down", "status": 429}, RateLimited),
    ({"type": "api_error", "message": "Internal server error", "status": 500}, Overloaded),
    ({"type": "authentication_error", "message": "invalid api key", "status": 401}, Unauthorised),
    ({"type": "billing_error", "message": "Your credit balance is too low", "status": 400},
     NoCredit),
    ({"type": "not_found_error", "message": "model: m", "status": 404}, ModelUnknown),
    ({"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum",
      "status": 400}, ContextTooLong),
    ({"type": "invalid_request_error", "message": "max_tokens: 9 > 8, which is the maximum allowed"
      " number of output tokens", "status": 400}, SettingRefused),
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("error", "kind"), ERRORS)
def test_an_items_own_error_has_the_class_of_a_live_one_and_costs_nothing(dialect, error, kind):
    fates = {f"{BATCH}-1": error}
    with BatchServer(dialect, fate=lambda name, body: fates.get(name, "answer")) as server:
        service = service_at(server)
        _, answers = collected(service, items_of(service))
    wrong = answers[f"{BATCH}-1"]
    assert (wrong.end, type(wrong.outcome)) == ("errored", kind)
    assert not wrong.outcome.billed
    assert [answers[f"{BATCH}-{n}"].end for n in (0, 2)] == ["answered", "answered"]
    assert len(server.bill) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_expires_was_not_processed_and_the_rest_is_answered(dialect):
    with BatchServer(dialect, delays=(0.0, 0.6), seed=3, expires=0.3) as server:
        service = service_at(server)
        _, answers = collected(service, items_of(service, 12))
    ends = {answer.end for answer in answers.values()}
    assert ends == {"answered", "expired"}
    for answer in answers.values():
        if answer.end == "expired":
            assert isinstance(answer.outcome, NotProcessed)
            assert not answer.outcome.billed
    billed = {one.custom_id for one in server.bill}
    assert billed == {name for name, answer in answers.items() if answer.end == "answered"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_cancelled_batch_gives_what_was_being_worked_on(dialect):
    with BatchServer(dialect, delays=(0.0, 5.0), seed=3, in_flight=0.4) as server:
        service = service_at(server)
        items = items_of(service, 40)
        batch_id = service.submit(items, token=BATCH)
        assert service.cancel(batch_id).phase == "cancelling"
        ended(service, batch_id)
        answers = list(service.collect(batch_id, items))
    assert {answer.end for answer in answers} == {"answered", "cancelled"}
    billed = {one.custom_id for one in server.bill}
    assert billed == {answer.custom_id for answer in answers if answer.end == "answered"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_item_that_the_results_do_not_mention_may_have_been_billed(dialect):
    fates = {f"{BATCH}-1": "absent"}
    with BatchServer(dialect, fate=lambda name, body: fates.get(name, "answer")) as server:
        service = service_at(server)
        _, answers = collected(service, items_of(service))
    missing = answers[f"{BATCH}-1"]
    assert (missing.end, type(missing.outcome)) == ("absent", NoAnswer)
    assert missing.outcome.billed
    assert len(server.bill) == 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_resume_that_knows_ids_and_caps_alone_reads_the_same(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        ended(service, batch_id)
        first = {answer.custom_id: answer for answer in service.collect(batch_id, items)}
        bare = [BatchItem(item.custom_id, item.max_output_tokens) for item in items]
        again = {a.custom_id: a for a in service_at(server).collect(batch_id, bare)}
    assert again == first


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_batch_whose_submit_was_not_answered_is_found(dialect):
    def fault(method, path, n):
        create = method == "POST" and path.endswith("/batches")
        return Fault(acts=True, hangs_up=True) if create else None

    with BatchServer(dialect, delays=(0.1, 0.2)) as server:
        service = service_at(server)
        other = [service.item(f"other-{n}", TALK, (BASH,), limits=LIMITS) for n in range(3)]
        service.submit(other, token="other")
        server.fault = fault
        began = time.time()
        items = items_of(service)
        with pytest.raises(NoAnswer) as caught:
            service.submit(items, token=BATCH)
        assert caught.value.billed
        found = service.find(items, token=BATCH, since=began)
        while found.undecided:
            time.sleep(0.05)
            found = service.find(items, token=BATCH, since=began)
        assert len(server.batches) == 2
        assert found.batch_id == list(server.batches)[1]
        ended(service, found.batch_id)
        assert len(list(service.collect(found.batch_id, items))) == 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_batch_that_was_never_made_is_not_found(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server)
        collected(service, items_of(service), token="other")
        mine = [service.item("mine-0", TALK, (), limits=LIMITS)]
        assert service.find(mine, token="mine", since=time.time()).batch_id == ""
        assert not service.find(mine, token="mine", since=time.time()).undecided


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_listing_is_looked_through_page_by_page(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service, 1)
        mine = service.submit(items, token=BATCH)
        for number in range(101):
            other = service.item(f"o-{number}", TALK, (), limits=LIMITS)
            service.submit([other, service.item("p", TALK, (), limits=LIMITS)], token="other")
        assert service.find(items, token=BATCH, since=time.time() - 60).batch_id == mine


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("step", ["poll", "collect", "cancel"])
def test_a_batch_that_the_provider_does_not_have_is_gone(dialect, step):
    with BatchServer(dialect) as server:
        service = service_at(server)
        with pytest.raises(BatchGone) as caught:
            take(service, step, [], "msgbatch_none")
    assert caught.value.billed
    assert not caught.value.retry


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_that_were_deleted_are_gone(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        ended(service, batch_id)
        server.batches[batch_id].deleted = True
        with pytest.raises(BatchGone):
            list(service.collect(batch_id, items))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_batch_that_runs_gives_no_results_and_is_not_gone(dialect):
    with BatchServer(dialect, delays=(9, 9)) as server:
        service = service_at(server)
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        with pytest.raises(Overloaded, match="has not ended"):
            list(service.collect(batch_id, items))


STEPS = ("submit", "poll", "collect", "cancel", "find")
WRONG = [
    ("a page", Fault(200, PAGE), Overloaded),
    ("a page of 502", Fault(502, PAGE), Overloaded),
    ("a page of 404", Fault(404, PAGE.replace("502 Bad Gateway", "404 Not Found")),
     SettingRefused),
    ("500", Fault(500, {"error": {"type": "api_error", "message": "Internal error"}}), Overloaded),
    ("429", Fault(429, {"error": {"type": "rate_limit_error", "message": "batch requests"}},
                  headers={"retry-after": "7"}), RateLimited),
    ("403", Fault(403, {"error": {"type": "permission_error", "message": "not allowed"}}),
     Unauthorised),
    ("no credit", Fault(400, {"error": {"message": "Your credit balance is too low"}}), NoCredit),
    ("a stall", Fault(stall=3.0, hangs_up=True), NoAnswer),
    ("a hang-up", Fault(hangs_up=True), NoAnswer),
]  # fmt: skip


def take(service, step, items, batch_id):
    if step == "submit":
        return service.submit(items, token=BATCH)
    if step == "find":
        return service.find(items, token=BATCH, since=time.time())
    if step == "collect":
        return list(service.collect(batch_id, items))
    return getattr(service, step)(batch_id)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("name", "fault", "kind"), WRONG, ids=[name for name, *_ in WRONG])
def test_a_failure_of_the_batch_api_has_its_class_and_asking_again_works(
    dialect, step, name, fault, kind
):
    with BatchServer(dialect) as server:
        service = service_at(server, seconds=BatchSeconds(control=0.3, transfer=0.3))
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        ended(service, batch_id)
        server.fault = lambda method, path, n: fault
        with pytest.raises(kind) as caught:
            take(service, step, items, batch_id)
        assert KEY not in str(caught.value)
        if name == "429":
            assert caught.value.after == 7
        server.fault = lambda method, path, n: None
        if step != "cancel":
            take(service, step, items, batch_id)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("fault", "may_exist"),
    [
        (Fault(500, {"error": {"type": "api_error", "message": "Internal error"}}), True),
        (Fault(200, PAGE), True),
        (Fault(200, "{}"), True),
        (Fault(hangs_up=True), True),
        (Fault(529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}), False),
        (Fault(429, {"error": {"type": "rate_limit_error", "message": "slow"}}), False),
        (Fault(401, {"error": {"type": "authentication_error", "message": "no"}}), False),
    ],
)
def test_a_submit_says_whether_a_batch_may_have_been_made(dialect, fault, may_exist):
    with BatchServer(dialect) as server:
        service = service_at(server)
        server.fault = lambda method, path, n: fault if path.endswith("/batches") else None
        with pytest.raises(Exception) as caught:  # noqa: PT011
            service.submit(items_of(service), token=BATCH)
    assert caught.value.billed == may_exist


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_that_break_off_are_asked_for_again(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service, 6)
        batch_id = service.submit(items, token=BATCH)
        ended(service, batch_id)
        server.fault = lambda method, path, n: (
            Fault(cut=700) if path.endswith(("/results", "/content")) else None
        )
        with pytest.raises(NoAnswer):
            list(service.collect(batch_id, items))
        server.fault = lambda method, path, n: None
        assert len(list(service.collect(batch_id, items))) == 6


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_key_and_no_key_are_said_at_each_step(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server, key="a-wrong-key")
        for step in STEPS:
            with pytest.raises(Unauthorised) as caught:
                take(service, step, items_of(service), "b")
            assert "a-wrong-key" not in str(caught.value)
            assert not caught.value.billed


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_server_without_a_batch_api_says_so(dialect):
    missing = Fault(404, {"detail": "Not Found"})
    with BatchServer(dialect, fault=lambda method, path, n: missing) as server:
        service = service_at(server)
        with pytest.raises(SettingRefused, match="has no batch API: run without --batch") as caught:
            service.submit(items_of(service), token=BATCH)
    assert not caught.value.billed


def test_models_say_whether_they_have_batches(tmp_path):
    for name in plugins.BUILT_IN["models"]:
        options = {"recordings": str(tmp_path)} if name == "scripted" else {}
        if name == "cassette":
            (tmp_path / "tape.jsonl").touch()
            options = {"file": str(tmp_path / "tape.jsonl")}
        tier = Tier(dialect=name, model="m", base_url="http://127.0.0.1:9", window=9000,
                    attempt_usd=Decimal(1), options=options)  # fmt: skip
        model = plugins.load_plugin("models", name)(tier, session="x#1")
        has = isinstance(model, HasBatches) and model.batches() is not None
        assert has == (name in ("anthropic", "openai"))


def test_items_go_in_as_few_batches_as_the_limits_allow():
    with BatchServer("chat") as server:
        service = service_at(server)
        items = items_of(service, 7)
    one = items[0].size
    sizes = type(service.sizes)
    assert [len(b) for b in split_items(items, sizes(items=3, size=10**9))] == [3, 3, 1]
    assert [len(b) for b in split_items(items, sizes(items=99, size=2 * one + 1))] == [2, 2, 2, 1]
    assert [len(b) for b in split_items(items, sizes(items=99, size=one - 1))] == [1] * 7
    assert split_items([], sizes(items=3, size=9)) == []
