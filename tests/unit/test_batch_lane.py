"""Whole fleets whose calls go in batches: exact to the cent, and nothing paid twice.

The provider is the strict fake of its API on loopback, which keeps a bill of its own.
"""

from __future__ import annotations

import random
import threading
import time
from decimal import Decimal

import pytest

from swe_router.ledger import log_reader
from tests.doubles.batch_server import BatchServer, Fault, HandClock
from tests.doubles.batched import DIALECTS
from tests.doubles.fleet import Fleet, billed_usd, in_a_process, talking

D = Decimal


def provider(dialect="anthropic", **more):
    return BatchServer(dialect, **{"answer": talking(dialect), **more})


def check_books(fleet, server, *, whole=True):
    """The books against the provider's bill, and the steps against both."""
    figures = fleet.ledger().figures()
    assert figures.settled == billed_usd(server)
    assert (figures.reserved, figures.submitted, figures.lost) == (D(0), D(0), D(0))
    assert figures.overrun == 0
    assert not server.refused
    state = log_reader.read_ledger(fleet.folder / "ledger.jsonl")
    used = sum(
        (c.charged for c in state.calls.values() if c.fate == "settled" and not c.unused), D(0)
    )
    steps = [step for n in range(fleet.size) for step in fleet.steps_of(f"demo__calc-{n}")]
    assert sum((step.completion.usd for step in steps), D(0)) == used
    if whole:
        assert len(steps) == fleet.size * fleet.steps
    return steps


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_step_of_all_instances_goes_in_one_batch_at_half_the_price(tmp_path, dialect):
    with provider(dialect, delays=(0, 0.05), seed=1) as server:
        fleet = Fleet(tmp_path / "run", server)
        fleet.work()
        steps = check_books(fleet, server)
    assert [len(batch.items) for batch in server.batches.values()] == [15, 15, 15]
    assert {step.completion.service for step in steps} == {"batch"}
    assert {one.service for one in server.bill} == {"batch"}
    assert set(fleet.ends.values()) == {"steps"}


BUSY = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
FULL = {"type": "overloaded_error", "message": "Overloaded", "status": 529}


@pytest.mark.parametrize("seed", range(6))
def test_a_fleet_ends_exact_whatever_becomes_of_its_items(tmp_path, seed):
    """Items that fail or expire, batches that are refused, pages in HTML between them."""
    drawn = random.Random(seed)

    def fault(method, path, n):
        if drawn.random() > 0.15 or not ("batches" in path or "files" in path):
            return None
        return drawn.choice([Fault(status=429, body=BUSY), Fault(status=503, body="<html>")])

    with provider(
        DIALECTS[seed % 3],
        delays=(0, 0.3),
        expires=0.28,
        seed=seed,
        fate=lambda custom_id, body: drawn.choice([*["answer"] * 6, FULL]),
        fault=fault,
    ) as server:
        fleet = Fleet(tmp_path / "run", server, retries=8)
        fleet.work()
        steps = check_books(fleet, server)
    assert set(fleet.ends.values()) == {"steps"}
    assert len(server.batches) > 3
    assert {one.service for one in server.bill} == {step.completion.service for step in steps}


def test_a_fleet_whose_parameter_is_refused_goes_on_without_it(tmp_path):
    """What a batch was sent with is known when its refusals are read."""
    why = "Unsupported parameter: 'tool_choice' is not supported with this model."
    error = {"type": "invalid_request_error", "param": "tool_choice", "message": why}

    def fate(name, body):
        return {**error, "status": 400} if "tool_choice" in body else "answer"

    with provider("chat", fate=fate) as server:
        fleet = Fleet(tmp_path / "run", server, size=4, steps=2)
        fleet.work()
        steps = [step for n in range(4) for step in fleet.steps_of(f"demo__calc-{n}")]
        assert fleet.ledger().figures().settled == billed_usd(server)
    assert set(fleet.ends.values()) == {"steps"}
    assert {step.completion.service for step in steps} == {"batch"}
    assert [len(batch.items) for batch in server.batches.values()] == [4, 4, 4]


@pytest.mark.parametrize("seed", range(3))
def test_a_call_past_its_time_is_made_live_and_both_are_paid_once(tmp_path, seed):
    """The batch is cancelled then; what it was billed by that time is on the books, as unused."""
    with provider(DIALECTS[seed], delays=(0.2, 1.5), in_flight=0.1, seed=seed) as server:
        fleet = Fleet(tmp_path / "run", server, steps=2, live_after=0.4)
        fleet.work()
        check_books(fleet, server)
    assert any(one.service == "standard" for one in server.bill)
    assert any(batch.cancelled_at for batch in server.batches.values())
    assert set(fleet.ends.values()) == {"steps"}


def test_a_live_call_that_the_attempt_cannot_pay_goes_on_waiting_for_its_batch(tmp_path):
    """The batch reserves half of what the live call would."""
    with provider(delays=(0.5, 0.6)) as server:
        fleet = Fleet(tmp_path / "run", server, steps=1, live_after=0.05)
        fleet.attempt_usd = D("0.08")
        fleet.work()
        check_books(fleet, server)
    assert {one.service for one in server.bill} == {"batch"}
    assert set(fleet.ends.values()) == {"steps"}


def test_the_cap_holds_with_all_calls_out(tmp_path):
    with provider(delays=(0, 0.1)) as server:
        fleet = Fleet(tmp_path / "run", server, steps=2, budget=D("1.2"))
        fleet.attempt_usd = D("0.1")
        fleet.work()
        check_books(fleet, server, whole=False)
    assert fleet.most_reserved <= D("1.2")
    assert set(fleet.ends.values()) == {"steps"}, "those that waited for money got it"


def work_until_sent(fleet, clock):
    """The run is stopped once its first batch is out; then the provider's time goes on."""

    def stop():
        while not any("calls sent" in line for line in fleet.notices):
            time.sleep(0.01)
        fleet.stopping.set()

    threading.Thread(target=stop, daemon=True).start()
    fleet.work()
    clock.now += 10
    fleet.server.delays = (0, 0)


def test_a_stop_leaves_the_batches_out_and_the_next_process_uses_their_answers(tmp_path):
    clock = HandClock()
    with provider(clock=clock, delays=(5, 9)) as server:
        fleet = Fleet(tmp_path / "run", server)
        work_until_sent(fleet, clock)
        out = fleet.ledger().batches.out()
        assert [len(batch.calls) for batch in out] == [15]
        assert all("is out in batch msgbatch_0000" in why for why in fleet.ends.values())
        assert fleet.ledger().figures().lost == 0
        successor = Fleet(tmp_path / "run", server)
        successor.work()
        check_books(successor, server)
    assert [len(batch.items) for batch in server.batches.values()] == [15, 15, 15]


def test_the_next_process_collects_though_it_sends_no_batches(tmp_path):
    clock = HandClock()
    with provider(clock=clock, delays=(5, 9)) as server:
        fleet = Fleet(tmp_path / "run", server, size=5)
        work_until_sent(fleet, clock)
        successor = Fleet(tmp_path / "run", server, size=5, sends=False)
        successor.work()
        steps = check_books(successor, server)
    assert len(server.batches) == 1
    assert sorted(step.completion.service for step in steps) == ["batch"] * 5 + ["standard"] * 10


def test_an_answer_that_came_when_nobody_asked_serves_its_attempt_later(tmp_path):
    clock = HandClock()
    with provider(clock=clock, delays=(5, 9)) as server:
        fleet = Fleet(tmp_path / "run", server, size=5)
        work_until_sent(fleet, clock)
        Fleet(tmp_path / "run", server, size=0).work()
        state = log_reader.read_ledger(fleet.folder / "ledger.jsonl")
        assert [call.unused for call in state.calls.values()] == [True] * 5
        successor = Fleet(tmp_path / "run", server, size=5)
        successor.work()
        steps = check_books(successor, server)
    assert len(server.bill) == len(steps) == 15


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("acts", [True, False], ids=["made", "not made"])
def test_a_batch_whose_sending_was_not_answered_is_found_or_sent_again(tmp_path, dialect, acts):
    hung = []

    def fault(method, path, n):
        if method == "POST" and path.endswith("/batches") and not hung:
            hung.append(n)
            return Fault(acts=acts, hangs_up=True)
        return None

    with provider(dialect, fault=fault) as server:
        fleet = Fleet(tmp_path / "run", server, size=4, steps=2)
        fleet.work()
        check_books(fleet, server)
    assert hung
    assert len(server.batches) == 2, "sent once each"


@pytest.mark.parametrize("seed", range(3))
def test_a_fleet_killed_at_any_write_pays_nothing_twice(tmp_path, seed):
    """SIGKILL at writes between reservation and settlement; the next process ends the run."""
    drawn = random.Random(seed)
    killed = 0
    for at in sorted(drawn.sample(range(1, 80), 5)):
        with provider(DIALECTS[seed], delays=(0, 0.2), seed=at) as server:
            fleet = Fleet(tmp_path / str(at), server, size=6, steps=2)
            killed += in_a_process(fleet, at)
            successor = Fleet(tmp_path / str(at), server, size=6, steps=2)
            successor.work()
            steps = check_books(successor, server)
            assert len(server.bill) == len(steps), "no request was bought twice"
    assert killed >= 2  # a kill may come after the last write
