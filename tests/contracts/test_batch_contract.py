"""The contract of ``model_abilities.BatchService``, over both adapters and three endpoints."""

from __future__ import annotations

import json
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
from swe_router.models.batches.batch_calls import split_items
from swe_router.records import Completion
from swe_router.settings import Tier
from tests.doubles import batch_bodies
from tests.doubles.batch_http import Fault
from tests.doubles.batch_server import BatchServer, HandClock
from tests.doubles.batched import (
    BASH,
    BATCH,
    DIALECTS,
    LIMITS,
    TALK,
    collected,
    ended,
    items_of,
    model_at,
    service_at,
    take,
)


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
    # A batch is kept for an hour: five minutes are over before its answers are there.
    same = json.loads(json.dumps(batched.body).replace('"ttl": "1h"', '"ttl": "5m"'))
    assert {**live.body, "service_tier": 0} == {**same, "service_tier": 0}
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
def test_a_parameter_that_is_refused_in_a_batch_is_left_out_of_the_next_one(dialect):
    """Every item that was refused for it is to be sent again, not the first alone."""
    why = "Unsupported parameter: 'tool_choice' is not supported with this model."
    error = {"type": "invalid_request_error", "param": "tool_choice", "message": why}

    def fate(name, body):
        return {**error, "status": 400} if "tool_choice" in body else "answer"

    must = LIMITS.model_copy(update={"tool_choice": "required"})
    with BatchServer(dialect, fate=fate) as server:
        service = service_at(server)

        def made():
            return [service.item(f"{BATCH}-{n}", TALK, (BASH,), limits=must) for n in range(3)]

        _, refused = collected(service, made())
        assert {type(answer.outcome) for answer in refused.values()} == {SettingRefused}
        assert all(answer.learned for answer in refused.values())
        again = made()
        assert all("tool_choice" not in item.body for item in again)
        _, answers = collected(service, again, token="second")
    assert {answer.end for answer in answers.values()} == {"answered"}
    assert len(server.bill) == 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_expires_was_not_processed_and_the_rest_is_answered(dialect):
    clock = HandClock()
    with BatchServer(dialect, delays=(0, 9), seed=3, expires=4, clock=clock) as server:
        service = service_at(server)
        items = items_of(service, 12)
        batch_id = service.submit(items, token=BATCH)
        clock.now += 3
        assert service.poll(batch_id).phase == "running"
        clock.now += 2
        assert service.poll(batch_id).phase == "ended"
        answers = {answer.custom_id: answer for answer in service.collect(batch_id, items)}
    assert {answer.end for answer in answers.values()} == {"answered", "expired"}
    for answer in answers.values():
        if answer.end == "expired":
            assert isinstance(answer.outcome, NotProcessed)
            assert not answer.outcome.billed
    billed = {one.custom_id for one in server.bill}
    assert billed == {name for name, answer in answers.items() if answer.end == "answered"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_cancelled_batch_gives_what_was_being_worked_on(dialect):
    clock = HandClock()
    with BatchServer(dialect, delays=(0, 9), seed=3, in_flight=4, clock=clock) as server:
        service = service_at(server)
        items = items_of(service, 12)
        batch_id = service.submit(items, token=BATCH)
        clock.now += 1
        assert service.cancel(batch_id).phase == "cancelling"
        clock.now += 5
        assert service.poll(batch_id).phase == "ended"
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

    clock = HandClock()
    with BatchServer(dialect, delays=(1, 1), clock=clock) as server:
        service = service_at(server)
        other = [service.item(f"other-{n}", TALK, (BASH,), limits=LIMITS) for n in range(3)]
        service.submit(other, token="other")
        server.fault = fault
        items = items_of(service)
        with pytest.raises(NoAnswer) as caught:
            service.submit(items, token=BATCH)
        assert caught.value.billed
        first = service.find(items, token=BATCH, since=clock.now)
        # Anthropic keeps no token: both batches have three items, and tell once they ended.
        assert len(first.undecided) == (2 if dialect == "anthropic" else 0)
        clock.now += 2
        found = service.find(items, token=BATCH, since=clock.now - 2)
        assert found.batch_id == list(server.batches)[1]
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
    with BatchServer(dialect, page=2) as server:
        service = service_at(server)
        items = items_of(service, 1)
        mine = service.submit(items, token=BATCH)
        for number in range(5):
            ids = (f"o-{number}", f"p-{number}")
            others = [service.item(name, TALK, (), limits=LIMITS) for name in ids]
            service.submit(others, token="other")
        assert service.find(items, token=BATCH, since=time.time() - 60).batch_id == mine
        since = time.time() + 3600
        assert service.find(items, token=BATCH, since=since).batch_id == ""


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
