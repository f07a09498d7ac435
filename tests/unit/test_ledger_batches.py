"""Calls that are out in batches: no crash loses them, and none of their money is lent twice."""

from __future__ import annotations

import contextlib
import random
from decimal import Decimal

import pytest

from swe_router.errors import JournalError, LedgerRefused
from swe_router.ledger import CallEnd, log_reader
from tests.doubles.office import NOTHING, Office, WouldWait

D = Decimal


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path / "ledger.jsonl")


def sent(book, hold, usd, token="t1", batch_id="batch_1"):
    call = hold.reserve(D(usd), batched=True)
    book.batches.send(token, "cloud", {call: {"request": f"of {call}"}})
    if batch_id:
        book.batches.submitted(token, batch_id)
    return call


def test_a_batch_of_a_dead_process_stays_reserved_and_is_settled_by_the_next(office):
    book = office.ledger("a")
    call = sent(book, book.hold("cloud", D("0.6"), "x/1"), "0.4")
    office.dead.add("a")
    figures = office.ledger("b").figures()
    assert (figures.lost, figures.reserved, figures.submitted) == (D(0), D("0.4"), D("0.4"))
    successor = office.ledger("b")
    (out,) = successor.batches.adopt()
    assert (out.batch_id, out.tier, [one.reservation for one in out.calls]) == (
        "batch_1",
        "cloud",
        [call],
    )
    assert out.calls[0].known == {"request": f"of {call}"}
    successor.batches.finish([CallEnd.settled(call, D("0.07"), NOTHING)])
    figures = successor.figures()
    assert (figures.settled, figures.reserved, figures.lost) == (D("0.07"), D(0), D(0))
    assert successor.batches.out() == ()


def test_a_call_that_waited_for_a_batch_and_was_never_sent_costs_nothing(office):
    book = office.ledger("a")
    hold = book.hold("cloud", D("0.6"), "x/1")
    hold.reserve(D("0.2"), batched=True)
    hold.reserve(D("0.1"))
    office.dead.add("a")
    figures = office.ledger("b").figures()
    assert (figures.lost, figures.reserved) == (D("0.1"), D(0)), "only the live call may be billed"


def test_the_end_of_an_attempt_leaves_its_batch_and_voids_what_was_not_sent(office):
    book = office.ledger("a")
    with book.hold("cloud", D("0.6"), "x/1") as hold:
        sent(book, hold, "0.2")
        hold.reserve(D("0.1"), batched=True)
    figures = book.figures()
    assert (figures.lost, figures.reserved, figures.submitted) == (D(0), D("0.2"), D("0.2"))


def test_a_batch_counts_against_the_hold_of_the_attempt_that_goes_on(office):
    """The money of one attempt would be withheld twice, and a tight budget refuse the resume."""
    book = office.ledger("a")
    call = sent(book, book.hold("cloud", D("0.9"), "x/1"), "0.5")
    office.dead.add("a")
    successor = office.ledger("b")
    hold = successor.hold("cloud", D("0.9"), "x/1")
    assert successor.view().reserved == D("0.9")
    assert hold.remaining == D("0.4")
    with pytest.raises(LedgerRefused):
        hold.reserve(D("0.41"))
    successor.batches.finish([CallEnd.settled(call, D("0.05"), NOTHING)])
    assert (hold.spent, hold.remaining) == (D("0.05"), D("0.85"))
    hold.release()
    assert successor.view().reserved == D(0)


def test_an_attempt_of_another_name_does_not_take_a_batch_over(office):
    book = office.ledger("a")
    sent(book, book.hold("cloud", D("0.5"), "x/1"), "0.5")
    office.dead.add("a")
    with pytest.raises((LedgerRefused, WouldWait)):
        office.ledger("b").hold("cloud", D("0.6"), "x/2")


def test_what_a_batch_may_free_is_waited_for_by_others(office):
    book = office.ledger("a")
    sent(book, book.hold("cloud", D("0.9"), "x/1"), "0.9")
    office.dead.add("a")
    successor = office.ledger("b")
    other = office.ledger("c")
    successor.batches.adopt()
    with pytest.raises(WouldWait):
        other.hold("cloud", D("0.5"), "y/1")


def test_a_batch_that_was_not_made_leaves_its_calls_as_they_were(office):
    book = office.ledger("a")
    hold = book.hold("cloud", D("0.5"), "x/1")
    call = sent(book, hold, "0.5", batch_id="")
    book.batches.unsend("t1")
    assert book.batches.out() == ()
    book.batches.send("t2", "cloud", {call: {}})
    hold.void(call)
    assert book.view().spent == 0
    assert hold.remaining == D("0.5")


def test_a_call_is_sent_once(office):
    book = office.ledger("a")
    call = sent(book, book.hold("cloud", D("0.5"), "x/1"), "0.5")
    with pytest.raises(JournalError, match="already submitted"):
        book.batches.send("t2", "cloud", {call: {}})


def test_a_verifiers_limit_counts_what_is_out(office):
    book = office.ledger("a")
    judge = book.overhead("x/verify:1", D("0.5"))
    sent(book, judge, "0.3")
    with pytest.raises(LedgerRefused, match=r"0\.2 of 0\.5 is left"):
        judge.reserve(D("0.3"))


def test_a_batch_is_settled_once_though_two_processes_collect_it(office):
    book = office.ledger("a")
    call = sent(book, book.hold("cloud", D("0.5"), "x/1"), "0.5")
    twin = office.ledger("b")
    book.batches.finish([CallEnd.settled(call, D("0.1"), NOTHING)])
    twin.batches.finish([CallEnd.settled(call, D("0.1"), NOTHING)])
    assert twin.figures().settled == D("0.1")


@pytest.mark.parametrize("seed", range(12))
def test_the_cap_holds_and_every_cent_has_one_fate_with_dozens_of_calls_out(tmp_path, seed):
    """Against plain sums kept here: holds, batches, ends in any order, crashes between them."""
    drawn = random.Random(seed)
    office = Office(tmp_path / "ledger.jsonl")
    office.budget = budget = D("20")
    process = 0
    book = office.ledger("p0")
    holds, left, out, waiting, spent, number = {}, {}, {}, {}, D(0), 0
    for _ in range(160):
        deed = drawn.choice(["hold", "hold", "call", "call", "call", "send", "end", "end", "die"])
        if deed == "hold":
            number += 1
            usd = D(drawn.randint(1, 90)) / 100
            with contextlib.suppress(LedgerRefused, WouldWait):
                holds[f"i{number}/1"] = book.hold("cloud", usd, f"i{number}/1")
                left[f"i{number}/1"] = usd
        elif deed == "call" and holds:
            key = drawn.choice(sorted(holds))
            usd = min(holds[key].remaining, D(drawn.randint(1, 40)) / 100)
            if usd > 0:
                waiting[holds[key].reserve(usd, batched=True)] = (key, usd)
        elif deed == "send" and waiting:
            number += 1
            book.batches.send(f"t{number}", "cloud", {call: {} for call in waiting})
            book.batches.submitted(f"t{number}", f"b{number}")
            out |= waiting
            waiting = {}
        elif deed == "end" and out:
            call = drawn.choice(sorted(out))
            key, usd = out.pop(call)
            end = drawn.choice(["settle", "void", "lose"])
            if end == "settle":
                usd = usd * drawn.randint(0, 100) / 100
                book.batches.finish([CallEnd.settled(call, usd, NOTHING)])
            else:
                usd = D(0) if end == "void" else usd
                made = CallEnd.void(call) if end == "void" else CallEnd.lost(call, "absent")
                book.batches.finish([made])
            spent += usd
            left[key] -= usd
        elif deed == "die" and drawn.random() < 0.3:
            office.dead.add(f"p{process}")
            process += 1
            book, holds, waiting = office.ledger(f"p{process}"), {}, {}
            assert len(book.batches.adopt()) <= len(out)
        view = book.view()
        held = sum((left[key] for key in holds), D(0))
        orphans = sum((usd for key, usd in out.values() if key not in holds), D(0))
        assert view.spent == spent
        assert view.submitted == sum((usd for _, usd in out.values()), D(0))
        assert view.spent + view.reserved + view.left == budget
        assert view.left >= 0
        assert view.reserved == held + orphans
    read = log_reader.read_ledger(office.path)
    assert (read.spent, read.submitted_usd) == (view.spent, view.submitted)
    assert len(out) + spent > 0
