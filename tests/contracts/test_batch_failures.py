"""Failures of the batch APIs themselves, at each step of a batch's life."""

from __future__ import annotations

import pytest

from swe_router.errors import (
    BadReply,
    ContextTooLong,
    NoAnswer,
    NoCredit,
    NotProcessed,
    Overloaded,
    RateLimited,
    SettingRefused,
    Unauthorised,
)
from swe_router.models.batches.batch_calls import BatchSeconds
from tests.doubles.batch_http import KEY, PAGE, Fault
from tests.doubles.batch_server import BatchServer, HandClock
from tests.doubles.batched import BATCH, DIALECTS, collected, ended, items_of, service_at, take

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
    ("a stall", Fault(stall=1.0, hangs_up=True), NoAnswer),
    ("a hang-up", Fault(hangs_up=True), NoAnswer),
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("name", "fault", "kind"), WRONG, ids=[name for name, *_ in WRONG])
def test_a_failure_of_the_batch_api_has_its_class_and_asking_again_works(
    dialect, step, name, fault, kind
):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        ended(service, batch_id)
        server.fault = lambda method, path, n: fault
        hasty = service_at(server, seconds=BatchSeconds(control=0.2, transfer=0.2))
        with pytest.raises(kind) as caught:
            take(hasty if fault.stall else service, step, items, batch_id)
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


def of_results(fault):
    def find(method, path, n):
        return fault if path.endswith(("/results", "/content")) else None

    return find


FILES = [
    ("a page", PAGE, Overloaded),
    ("an error", '{"error": {"type": "rate_limit_error", "message": "slow"}}', RateLimited),
    ("a word", "later", BadReply),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("name", "text", "kind"), FILES, ids=[row[0] for row in FILES])
def test_something_in_the_place_of_the_results_is_no_result(dialect, name, text, kind):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        server.fault = of_results(Fault(200, text))
        with pytest.raises(kind):
            list(service.collect(batch_id, items))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_line_that_cannot_be_read_keeps_no_other_from_being_read(dialect):
    spoilt = Fault(changes=lambda text: text.replace("{", "[", 1))
    with BatchServer(dialect, fault=of_results(spoilt)) as server:
        service = service_at(server)
        _, answers = collected(service, items_of(service))
    ends = sorted(answer.end for answer in answers.values())
    assert ends == ["absent", "answered", "answered"]
    (absent,) = [answer.outcome for answer in answers.values() if answer.end == "absent"]
    assert absent.billed
    assert "1 of their lines cannot be read" in str(absent)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_whose_last_line_is_cut_are_asked_for_again(dialect):
    cut = Fault(changes=lambda text: text[:-40])
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        server.fault = of_results(cut)
        with pytest.raises(NoAnswer, match="break off in a line"):
            list(service.collect(batch_id, items))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_that_break_off_are_asked_for_again(dialect):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service, 6)
        batch_id = service.submit(items, token=BATCH)
        ended(service, batch_id)
        server.fault = of_results(Fault(cut=700))
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


def test_a_file_that_was_not_uploaded_makes_no_batch():
    lost = Fault(acts=True, hangs_up=True)
    with BatchServer("chat", fault=lambda method, path, n: lost) as server:
        service = service_at(server)
        with pytest.raises(NoAnswer) as caught:
            service.submit(items_of(service), token=BATCH)
    assert not caught.value.billed
    assert not server.batches


QUEUE = {
    "code": "token_limit_exceeded",
    "line": None,
    "message": "Enqueued token limit reached for gpt-4o in organization org-1. Limit: 90,000"
    " enqueued tokens. Please try again once some in_progress batches have been completed.",
}
LINE = {"code": "invalid_request_error", "line": 2, "message": "prompt is too long: 9 > 8 maximum"}


@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize(
    ("error", "kinds"),
    [(QUEUE, [RateLimited] * 3), (LINE, [NotProcessed, ContextTooLong, NotProcessed])],
    ids=["the queue is full", "one line is wrong"],
)
def test_a_batch_that_failed_as_a_whole_has_errors_of_its_lines_or_of_all(dialect, error, kinds):
    with BatchServer(dialect) as server:
        service = service_at(server)
        items = items_of(service)
        batch_id = service.submit(items, token=BATCH)
        batch = server.batches[batch_id]
        batch.failed, batch.ended_at = [error], batch.created
        state = service.poll(batch_id)
        answers = {answer.custom_id: answer for answer in service.collect(batch_id, items)}
    assert state.phase == "ended"
    assert error["message"] in state.failed
    assert [type(answers[item.custom_id].outcome) for item in items] == kinds
    assert not any(answer.outcome.billed for answer in answers.values())


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_a_cancelled_batch_that_shows_less_than_it_answered_may_have_been_billed(dialect):
    clock = HandClock()
    fates = {f"{BATCH}-0": "absent"}
    with BatchServer(
        dialect,
        delays=(0, 9),
        seed=3,
        in_flight=4,
        clock=clock,
        fate=lambda name, body: fates.get(name, "answer"),
    ) as server:
        service = service_at(server)
        items = items_of(service, 6)
        batch_id = service.submit(items, token=BATCH)
        server.batches[batch_id].items[0].ready = clock.now
        service.cancel(batch_id)
        clock.now += 5
        answers = {answer.custom_id: answer for answer in service.collect(batch_id, items)}
    missing = answers[f"{BATCH}-0"]
    assert (missing.end, missing.outcome.billed) == ("absent", True)
    assert {answer.end for answer in answers.values()} >= {"absent", "answered", "cancelled"}
