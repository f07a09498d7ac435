"""The ledger: every cent has one fate, and no crash or tear lends a second one."""

from __future__ import annotations

import json
import os
from decimal import Decimal

import pytest

from swe_router.errors import JournalError, LedgerRefused, UsageError
from swe_router.ledger import Ledger
from tests.doubles.office import NOTHING, Office, WouldWait

D = Decimal


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path / "ledger.jsonl")


def test_a_hold_gives_back_what_its_calls_did_not_use(office):
    book = office.ledger("a")
    with book.hold("local", D("0.6"), "x#1") as hold:
        first = hold.reserve(D("0.4"))
        assert book.view().reserved == D("0.6")
        hold.settle(first, D("0.1"), NOTHING)
        assert (hold.spent, hold.remaining) == (D("0.1"), D("0.5"))
        assert book.view().reserved == D("0.5"), "what is spent is not reserved as well"
    view = book.view()
    assert (view.spent, view.reserved, view.left) == (D("0.1"), D(0), D("0.9"))


def test_figures_sum_to_the_budget_and_name_each_tier(office):
    book = office.ledger("a")
    with book.hold("local", D("0.5"), "x#1") as hold:
        hold.settle(hold.reserve(D("0.2")), D("0.12"), NOTHING)
        hold.lose(hold.reserve(D("0.2")), "cut")
        hold.void(hold.reserve(D("0.1")))
    judge = book.overhead("judge")
    judge.settle(judge.reserve(D("0.1")), D("0.07"), NOTHING)
    open_call = judge.reserve(D("0.05"))
    figures = book.figures()
    assert figures.settled + figures.lost + figures.reserved + figures.unused == D("1")
    assert (figures.settled, figures.lost, figures.reserved) == (D("0.19"), D("0.2"), D("0.05"))
    assert figures.by_tier["local"].lost == D("0.2")
    assert figures.by_tier["overhead"].settled == D("0.07")
    assert book.spent_by("x#1") == D("0.32")
    judge.void(open_call)


def test_a_call_over_its_own_attempt_is_refused_at_once(office):
    hold = office.ledger("a").hold("local", D("0.3"), "x#1")
    office.ledger("b").hold("local", D("0.3"), "y#1")
    with pytest.raises(LedgerRefused, match="its attempt's"):
        hold.reserve(D("0.31"))


def test_no_room_waits_while_a_live_other_holds(office):
    office.ledger("a").hold("local", D("0.7"), "x#1")
    with pytest.raises(WouldWait):
        office.ledger("b").hold("local", D("0.7"), "y#1")


def test_no_room_is_refused_when_nobody_holds(office):
    book = office.ledger("a")
    judge = book.overhead()
    judge.settle(judge.reserve(D("0.6")), D("0.6"), NOTHING)
    with pytest.raises(LedgerRefused, match="nobody holds"):
        office.ledger("b").hold("local", D("0.7"), "y#1")


def test_a_wait_ends_when_the_holder_lets_go(office):
    first = office.ledger("a").hold("local", D("0.7"), "x#1")
    book = office.ledger("b", sleep=lambda _: first.release())
    assert book.hold("local", D("0.7"), "y#1").remaining == D("0.7")


def test_who_got_what_he_waited_for_no_longer_counts_as_waiting(office):
    """Between taking the money and saying so, a third was refused instead of waiting."""
    first = office.ledger("a").hold("local", D("0.7"), "x#1")
    office.ledger("b", sleep=lambda _: first.release()).hold("local", D("0.7"), "y#1")
    ops = [json.loads(line)["op"] for line in office.path.read_text().splitlines()]
    assert ops == ["open", "hold", "wait", "release", "go", "hold"]
    with pytest.raises(WouldWait):
        office.ledger("c").hold("local", D("0.7"), "z#1")


def test_two_holders_do_not_wait_on_each_other(office):
    """Each holds half and wants more: the second to ask is refused, not parked for ever."""
    a, b = office.ledger("a"), office.ledger("b")
    b.hold("local", D("0.5"), "y#1")

    class SecondWasRefused(Exception):
        pass

    def second_asks(_seconds):
        with pytest.raises(LedgerRefused):
            b.hold("local", D("0.4"), "y#2")
        raise SecondWasRefused

    waiting = office.ledger("a", sleep=second_asks)
    a.hold("local", D("0.5"), "x#1")
    with pytest.raises(SecondWasRefused):
        waiting.overhead().reserve(D("0.1"))


def test_a_wait_ends_when_the_run_stops(office):
    office.ledger("a").hold("local", D("0.7"), "x#1")
    with pytest.raises(LedgerRefused, match="stopping"):
        office.ledger("b", stopping=lambda: True).hold("local", D("0.7"), "y#1")


def test_a_dead_holders_call_stays_charged_and_its_rest_comes_back(office):
    hold = office.ledger("a").hold("local", D("0.9"), "x#1")
    call = hold.reserve(D("0.2"))
    office.dead.add("a")
    book = office.ledger("b")
    assert (book.view().spent, book.view().left) == (D("0.2"), D("0.8"))
    book.reconcile(call, D("0.05"))
    assert book.figures().lost == D(0)
    assert book.figures().settled == D("0.05")


def test_a_call_thought_lost_may_still_be_settled_once(office):
    hold = office.ledger("a").hold("local", D("0.9"), "x#1")
    call = hold.reserve(D("0.2"))
    office.ledger("b").abandon_others()
    hold.settle(call, D("0.1"), NOTHING)
    assert office.ledger("c").view().spent == D("0.1")
    with pytest.raises(LedgerRefused, match="was released"):
        hold.reserve(D("0.1"))


@pytest.mark.parametrize("again", ["settle", "void", "lose", "reconcile"])
def test_a_reservation_has_one_fate(office, again):
    book = office.ledger("a")
    judge = book.overhead()
    call = judge.reserve(D("0.2"))
    judge.settle(call, D("0.1"), NOTHING)
    with pytest.raises(JournalError, match="already settled"):
        {
            "settle": lambda: judge.settle(call, D("0.1"), NOTHING),
            "void": lambda: judge.void(call),
            "lose": lambda: judge.lose(call),
            "reconcile": lambda: book.reconcile(call, D("0.1")),
        }[again]()
    assert office.ledger("b").view().spent == D("0.1")


def test_an_overrun_is_charged_in_full_and_shows(office):
    book = office.ledger("a")
    with book.hold("local", D("0.3"), "x#1") as hold:
        hold.settle(hold.reserve(D("0.3")), D("0.5"), NOTHING)
        with pytest.raises(LedgerRefused):
            hold.reserve(D("0.1"))
    figures = book.figures()
    assert (figures.settled, figures.overrun, figures.unused) == (D("0.5"), D("0.2"), D("0.5"))


def test_a_hold_that_overran_still_keeps_what_its_open_call_reserved(office):
    book = office.ledger("a")
    with book.hold("local", D("0.5"), "x#1") as hold:
        first, second = hold.reserve(D("0.4")), hold.reserve(D("0.1"))
        hold.settle(first, D("0.7"), NOTHING)
        view = book.view()
        assert (view.spent, view.reserved, view.left) == (D("0.7"), D("0.1"), D("0.2"))
        with pytest.raises(WouldWait):
            office.ledger("b").hold("local", D("0.25"), "y#1")
        hold.settle(second, D("0.05"), NOTHING)
        assert book.view().reserved == 0, "an overrun is no money that others may have"
    assert book.view().left == D("0.25")


def test_another_budget_is_refused(office, tmp_path):
    office.ledger("a")
    with pytest.raises(UsageError, match="budget of 1 USD, and the settings say 2"):
        Ledger(office.path, D("2"))
    assert Ledger(office.path, D("1.00")).view().budget == D("1")


def test_a_torn_last_line_is_cut_off_and_the_rest_stands(office):
    office.ledger("a").hold("local", D("0.3"), "x#1")
    with office.path.open("ab") as file:
        file.write(b'{"op":"settle","id":"h1","us')
    book = office.ledger("b")
    assert book.view().reserved == D("0.3")
    book.hold("local", D("0.1"), "y#1")
    assert all(json.loads(line) for line in office.path.read_text().splitlines())


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"op":"dance"}\n',
        b'{"op":"settle","id":"r99","usd":"1"}\n',
        b'{"op":"hold","id":"h9","tier":"t","key":"k","usd":"lots","party":"p|1"}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_corrupt_line_is_named_with_its_file(office, line):
    office.ledger("a").hold("local", D("0.3"), "x#1")
    with office.path.open("ab") as file:
        file.write(line)
        file.write(b'{"op":"go","party":"p|1"}\n')
    with pytest.raises(JournalError, match=r"ledger\.jsonl:3 is damaged"):
        office.ledger("b")


def test_a_shortened_file_is_noticed(office):
    book = office.ledger("a")
    book.hold("local", D("0.3"), "x#1")
    os.truncate(office.path, 10)
    with pytest.raises(JournalError, match="was cut"):
        book.view()


@pytest.mark.parametrize("usd", [D("-0.1"), D("NaN"), D("Infinity")])
def test_what_is_no_money_cannot_be_booked(office, usd):
    with pytest.raises(ValueError, match="no amount of money"):
        office.ledger("a").overhead().reserve(usd)


def test_each_process_reads_only_what_is_new(office):
    """What was read once is not read again: it may be gone, and the sums still stand."""
    a, b = office.ledger("a"), office.ledger("b")
    judge = a.overhead()
    for _ in range(20):
        judge.settle(judge.reserve(D("0.01")), D("0.01"), NOTHING)
        assert b.view().spent == a.view().spent
    with office.path.open("r+b") as file:
        file.write(b"?" * (office.path.stat().st_size - 1))
    judge.settle(judge.reserve(D("0.01")), D("0.01"), NOTHING)
    assert b.view().spent == a.view().spent == D("0.21")


def test_a_book_is_not_opened_by_another_run(tmp_path):
    Ledger(tmp_path / "ledger.jsonl", Decimal(1), run="a" * 64).close()
    Ledger(tmp_path / "ledger.jsonl", Decimal(1), run="a" * 64).close()
    with pytest.raises(UsageError, match="another run's"):
        Ledger(tmp_path / "ledger.jsonl", Decimal(1), run="b" * 64)
    Ledger(tmp_path / "old.jsonl", Decimal(1)).close()
    Ledger(tmp_path / "old.jsonl", Decimal(1), run="b" * 64).close()
