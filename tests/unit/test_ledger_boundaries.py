"""The ledger at its boundaries: exact sums, what is just allowed, and each word of a refusal."""

from __future__ import annotations

import gc
import json
import os
import socket
import stat
from decimal import Decimal

import psutil
import pytest

from swe_router.errors import JournalError, LedgerRefused, UsageError
from swe_router.ledger import Ledger, owner
from swe_router.ledger.log_reader import describe_damage, read_ledger
from swe_router.ledger.state import LedgerState, instance_of_key
from tests.doubles.office import NOTHING, Office, WouldWait

D = Decimal


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path / "ledger.jsonl")


def entries(office):
    return [json.loads(line) for line in office.path.read_text().splitlines()]


def refusal(ask):
    with pytest.raises(LedgerRefused) as caught:
        ask()
    return str(caught.value)


def test_a_hold_says_what_it_is_for_and_what_is_left(office):
    hold = office.ledger("a").hold("local", D("0.5"), "x/1")
    assert (hold.id, hold.key, hold.spent, hold.remaining) == ("h1", "x/1", 0, D("0.5"))
    call = hold.reserve(D("0.5"))
    assert (call, hold.remaining) == ("r2", 0)
    assert refusal(lambda: hold.reserve(D("0.01"))) == (
        "a call needs 0.01 USD; of its attempt's 0.5 0.0 is left"
    )
    hold.settle(call, D("0.2"), NOTHING, note="billed late")
    assert entries(office)[-1]["note"] == "billed late"
    hold.release()
    hold.release()
    assert [one["op"] for one in entries(office)] == [
        "open",
        "hold",
        "reserve",
        "settle",
        "release",
    ]
    assert refusal(lambda: hold.reserve(D("0.1"))) == (
        "the money of x/1 on tier local was released"
    )


def test_nothing_may_be_held_reserved_and_settled(office):
    book = office.ledger("a")
    with book.hold("local", D(0), "x/1") as hold:
        hold.settle(hold.reserve(D(0)), D(0), NOTHING)
    assert book.figures().by_tier["local"].calls == 1
    for bad in (D("-0.01"), D("NaN")):
        with pytest.raises(ValueError, match="is no amount of money"):
            book.hold("local", bad, "x/1")
        with pytest.raises(ValueError, match="is no amount of money"):
            book.raise_cap(bad, "me@here")
        call = book.overhead().reserve(D("0.1"))
        with pytest.raises(ValueError, match="is no amount of money"):
            book.overhead().settle(call, bad, NOTHING)
        book.overhead().lose(call, "cut")
        with pytest.raises(ValueError, match="is no amount of money"):
            book.reconcile(call, bad)


def test_the_whole_budget_may_be_held_and_not_a_cent_more(office):
    book = office.ledger("a")
    assert refusal(lambda: book.hold("local", D("1.01"), "x/1")) == (
        "an attempt on tier local needs 1.01 USD and 1 of 1 USD is free; nobody holds what could"
        " be freed"
    )
    book.hold("local", D("0.25"), "x/1")
    assert refusal(lambda: book.overhead("x/judge").reserve(D("0.76"))) == (
        "a call outside an attempt needs 0.76 USD and 0.75 of 1 USD is free; nobody holds what"
        " could be freed"
    )
    book.hold("local", D("0.75"), "x/2")
    assert book.view().left == 0


def test_calls_under_one_key_stop_at_its_limit(office):
    book = office.ledger("a")
    judge = book.overhead("x/judge", limit=D("0.3"))
    judge.settle(judge.reserve(D("0.3")), D("0.1"), NOTHING)
    again = office.ledger("b").overhead("x/judge", limit=D("0.3"))
    assert refusal(lambda: again.reserve(D("0.21"))) == (
        "a call needs 0.21 USD; 0.2 of 0.3 is left for x/judge"
    )
    again.lose(again.reserve(D("0.2")), "cut")
    assert book.spent_by("x/judge") == D("0.3"), "a lost call is charged"
    assert book.spent_by("nobody") == 0
    assert entries(office)[-1]["why"] == "cut"
    book.overhead("x/other").reserve(D("0.5"))


def test_an_instance_stops_at_its_cap_over_all_its_attempts_and_checks(office):
    book = office.ledger("a")
    with book.hold("local", D("0.3"), "x/1", D("0.5")) as hold:
        call = hold.reserve(D("0.3"))
        assert book.taken_by("x") == D("0.3"), "a call within a hold is not counted twice"
        assert refusal(lambda: book.overhead("x/judge", cap=D("0.5")).reserve(D("0.21"))) == (
            "x may cost 0.5 USD in all: a call outside an attempt needs 0.21 and 0.2 is left"
        )
        judge = book.overhead("x/judge", cap=D("0.5"))
        check = judge.reserve(D("0.2"))
        assert book.taken_by("x") == D("0.5")
        assert refusal(lambda: book.hold("dear", D("0.1"), "x/2", D("0.4"))) == (
            "x may cost 0.4 USD in all: an attempt on tier dear needs 0.1 and 0 is left"
        )
        hold.settle(call, D("0.25"), NOTHING)
        assert book.taken_by("x") == D("0.5"), "the rest of a hold is not free yet"
    judge.void(check)
    assert book.taken_by("x") == D("0.25")
    assert book.taken_by("y") == 0
    assert instance_of_key("a__b-1/verify:1") == "a__b-1"


def test_closing_figures_name_each_tier_with_its_own_sums(office):
    book = office.ledger("a")
    with book.hold("b", D("0.4"), "x/1") as hold:
        hold.settle(hold.reserve(D("0.1")), D("0.2"), NOTHING)
        hold.lose(hold.reserve(D("0.1")))
    with book.hold("a", D("0.1"), "x/2") as hold:
        hold.lose(hold.reserve(D("0.05")))
    book.hold("c", D("0.3"), "x/3")
    figures = book.figures()
    assert (figures.budget, figures.reserved, figures.settled) == (1, D("0.3"), D("0.2"))
    assert (figures.lost, figures.unused, figures.overrun) == (D("0.15"), D("0.35"), D("0.1"))
    assert list(figures.by_tier) == ["a", "b"]
    b = figures.by_tier["b"]
    assert (b.calls, b.settled, b.lost) == (1, D("0.2"), D("0.1"))
    assert (figures.by_tier["a"].calls, figures.by_tier["a"].lost) == (0, D("0.05"))
    view = book.view()
    assert (view.budget, view.spent, view.reserved, view.left) == (
        1, D("0.35"), D("0.3"), D("0.35")
    )  # fmt: skip


def test_a_call_that_cost_less_than_it_reserved_is_no_overrun(office):
    book = office.ledger("a")
    judge = book.overhead()
    judge.settle(judge.reserve(D("0.3")), D("0.1"), NOTHING)
    judge.settle(judge.reserve(D("0.3")), D("0.3"), NOTHING)
    assert book.figures().overrun == 0


def test_what_is_lost_is_listed_until_it_is_reconciled_to_what_it_cost(office):
    book = office.ledger("a")
    judge = book.overhead("x/judge")
    open_call, lost, other = (judge.reserve(D(usd)) for usd in ("0.1", "0.2", "0.3"))
    with pytest.raises(JournalError, match=rf"reservation {open_call} \(overhead, x/judge\) is al"):
        book.reconcile(open_call, D("0.1"))
    judge.lose(lost)
    judge.lose(other)
    assert dict(book.lost()) == {lost: D("0.2"), other: D("0.3")}
    book.reconcile(lost, D("0.25"))
    assert dict(book.lost()) == {other: D("0.3")}
    judge.void(other)
    figures = book.figures()
    assert (figures.settled, figures.lost, figures.overrun) == (D("0.25"), 0, D("0.05"))
    assert (book.spent_by("x/judge"), book.taken_by("x")) == (D("0.25"), D("0.35"))
    assert figures.by_tier["overhead"].calls == 1


def test_a_cap_is_raised_by_somebody_and_never_lowered(office):
    book, other = office.ledger("a", clock=lambda: 12.34567), office.ledger("b")
    book.overhead().settle(book.overhead().reserve(D("0.50")), D("0.50"), NOTHING)
    book.hold("local", D("0.2"), "x/1")
    assert not book.raise_cap(D("1.00"), "me@here")
    with pytest.raises(UsageError) as caught:
        book.raise_cap(D("0.9"), "me@here")
    assert str(caught.value) == (
        f"the cap of {office.path.parent} is $1, with $0.5 spent and $0.2 held: --budget raises"
        " it, and $0.9 would lower it"
    )
    assert book.raise_cap(D("1.5"), "me@here")
    assert other.view().budget == D("1.5")
    assert entries(office)[-1] == {
        "op": "raise", "at": 12.346, "budget": "1.5", "by": "me@here", "pid": os.getpid()
    }  # fmt: skip
    state = read_ledger(office.path)
    assert (state.opened, state.budget, state.caps) == (1, D("1.5"), (1, D("1.5")))
    assert LedgerState().caps == ()
    assert office.ledger("c").view().left == D("0.8"), "it opens with the budget of the settings"
    with pytest.raises(UsageError, match="was opened with a budget of 1 USD"):
        Ledger(office.path, D("1.5"))


def test_naps_grow_by_half_and_end_at_half_a_second(office):
    first, naps = office.ledger("a").hold("local", D("0.7"), "x/1"), []

    def sleep(seconds):
        naps.append(round(seconds, 6))
        if len(naps) == 12:
            first.release()

    office.ledger("b", sleep=sleep).hold("local", D("0.7"), "y/1")
    assert naps[:4] == [0.02, 0.03, 0.045, 0.0675]
    assert naps[-3:] == [0.5, 0.5, 0.5]
    assert [one["op"] for one in entries(office)].count("wait") == 1


def test_a_wait_that_is_broken_off_is_over(office):
    office.ledger("a").hold("local", D("0.7"), "x/1")
    with pytest.raises(WouldWait):
        office.ledger("b").hold("local", D("0.7"), "y/1")
    assert [one["op"] for one in entries(office)] == ["open", "hold", "wait", "go"]
    assert entries(office)[-1]["party"] == "b|1"


def test_a_wait_ends_in_a_refusal_when_the_holder_waits_as_well(office):
    office.ledger("a").hold("local", D("0.7"), "x/1")

    def sleep(_seconds):
        with pytest.raises(LedgerRefused, match="nobody holds"):
            office.ledger("a").hold("local", D("0.7"), "x/2")
        raise WouldWait

    with pytest.raises(WouldWait):
        office.ledger("b", sleep=sleep).hold("local", D("0.7"), "y/1")
    ops = [one["op"] for one in entries(office)]
    assert ops == ["open", "hold", "wait", "go"]


def test_money_of_the_dead_is_found_when_it_is_needed(office):
    hold = office.ledger("a").hold("local", D("0.7"), "x/1")
    book = office.ledger("b")
    call = hold.reserve(D("0.1"))
    office.dead.add("a")
    assert book.hold("local", D("0.9"), "y/1").remaining == D("0.9")
    assert [one["op"] for one in entries(office)] == [
        "open", "hold", "reserve", "lose", "release", "hold"
    ]  # fmt: skip
    assert entries(office)[3]["why"] == "its process is gone"
    assert dict(book.lost()) == {call: D("0.1")}


def test_one_who_died_waiting_waits_no_more(office):
    first = office.ledger("a").hold("local", D("0.7"), "x/1")
    with office.path.open("ab") as file:
        file.write(b'{"op":"wait","at":1,"party":"z|1"}\n')
    office.dead.add("z")
    book = office.ledger("b")
    assert entries(office)[-1]["op"] == "go"
    assert entries(office)[-1]["party"] == "z|1"
    first.release()
    count = len(entries(office))
    book.figures()
    assert len(entries(office)) == count, "nobody died: nothing is written"


def test_a_resume_spares_itself_alone(office):
    mine, others = office.ledger("a"), office.ledger("b")
    kept, gone = mine.hold("local", D("0.2"), "x/1"), others.hold("local", D("0.3"), "y/1")
    mine.abandon_others()
    kept.reserve(D("0.1"))
    with pytest.raises(LedgerRefused, match="was released"):
        gone.reserve(D("0.1"))


def test_a_hold_released_with_open_calls_charges_its_own_only(office):
    book = office.ledger("a")
    hold, other = book.hold("local", D("0.3"), "x/1"), book.hold("local", D("0.3"), "x/2")
    calls = [hold.reserve(D("0.1")), hold.reserve(D("0.05"))]
    kept = other.reserve(D("0.1"))
    hold.release()
    assert dict(book.lost()) == {calls[0]: D("0.1"), calls[1]: D("0.05")}
    assert {one["why"] for one in entries(office) if one["op"] == "lose"} == {"the attempt ended"}
    other.settle(kept, D("0.1"), NOTHING)
    view = book.view()
    assert (view.spent, view.reserved) == (D("0.25"), D("0.2"))


def test_a_closed_ledger_opens_again_where_it_is_used(office):
    book = office.ledger("a")
    gc.collect()
    before = psutil.Process().num_fds()
    book.close()
    book.close()
    assert psutil.Process().num_fds() == before - 1
    assert book.view().left == 1
    assert not stat.S_IMODE(office.path.stat().st_mode) & 0o111, "no program"


def test_a_ledger_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot open the ledger .*ledger\.jsonl: No such file"):
        Ledger(tmp_path / "gone" / "ledger.jsonl", D(1))


APPLIED = [
    ({"op": "hold"}, "the opening entry, which says the cap, does not stand before it"),
    ({"op": "open", "budget": "-1"}, "-1 is no amount"),
    ({"op": "open", "budget": "Infinity"}, "Infinity is no amount"),
    ({"op": "open", "budget": "1", "schema": "other"}, "it is of another format, 'other'"),
]


@pytest.mark.parametrize(("entry", "fault"), APPLIED)
def test_a_ledger_opens_with_its_cap(entry, fault):
    with pytest.raises(ValueError, match=fault):
        LedgerState().apply(entry)


def opened():
    state = LedgerState()
    state.apply({"op": "open", "budget": "1"})
    return state


@pytest.mark.parametrize("budget", ["1", "0.5", "Infinity", "NaN"])
def test_an_entry_that_raises_no_cap_is_damaged(budget):
    raised = {"op": "raise", "at": 1, "by": "me", "pid": 1, "budget": budget}
    with pytest.raises((ValueError, ArithmeticError)):
        opened().apply(raised)
    state = opened()
    state.apply({**raised, "budget": "1.01"})
    assert (state.budget, state.raises[0].by, state.raises[0].pid) == (D("1.01"), "me", 1)


def test_a_second_opening_and_an_unknown_entry_are_damage():
    state = opened()
    with pytest.raises(ValueError, match="a second opening entry"):
        state.apply({"op": "open", "budget": "1"})
    with pytest.raises(ValueError, match="knows no entry 'dance': was it made by a later one"):
        state.apply({"op": "dance"})
    assert (state.entries, state.run, state.free) == (1, "", 1)
    assert LedgerState().free == 0


def test_a_report_reads_up_to_a_torn_line_and_names_a_damaged_one(office):
    office.ledger("a").hold("local", D("0.3"), "x/1")
    whole = office.path.read_bytes()
    office.path.write_bytes(whole + b'{"op":"go"')
    assert read_ledger(office.path).reserved == D("0.3")
    assert office.path.read_bytes().endswith(b'{"op":"go"'), "a report writes nothing"
    for line, fault in (
        (b"[]", "not an object"), (b"{}", "no 'op'"), (b'{"op":"dance"}', "knows no entry"),
    ):  # fmt: skip
        office.path.write_bytes(whole + line + b"\n")
        with pytest.raises(UsageError, match=rf"ledger\.jsonl:3 is damaged \(.*{fault}"):
            read_ledger(office.path)
    assert read_ledger(office.path.parent / "none.jsonl").budget is None
    text = describe_damage(office.path, 7, KeyError("usd"))
    assert f"{office.path}:7 is damaged (no 'usd'): restore the line" in text


def test_an_owner_is_a_thread_of_a_process():
    assert owner.process_of_owner(owner.this_thread()) == owner.this_process()
    assert owner.this_thread() != owner.this_process()
    assert owner.this_person().endswith(f"@{socket.gethostname()}")


def test_a_process_of_another_boot_is_gone_and_of_another_machine_cannot_be_asked():
    host, boot, pid, start = owner.this_process().split("|")
    assert not owner.is_alive("|".join((host, "another", pid, start)))
    assert owner.is_alive("|".join(("elsewhere", "another", pid, start)))
    assert owner.is_alive("|".join(("elsewhere", "", pid, start))), "no boot: it cannot be asked"
    assert owner.is_alive("|".join((host, "", pid, start)))
    assert not owner.is_alive("|".join((host, "", pid, "1")))
    assert not owner.is_alive("|".join((host, boot, "4194999", "")))
    assert not owner.is_alive("|".join((host, boot, "4194999", "7")))


def test_a_damaged_line_is_numbered_after_ones_own(office):
    book = office.ledger("a")
    book.hold("local", D("0.1"), "x/1").release()
    with office.path.open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(JournalError, match=r"ledger\.jsonl:4 is damaged"):
        book.view()


def test_a_ledger_of_no_run_says_nothing_of_one(office, tmp_path):
    office.ledger("a")
    assert "run" not in entries(office)[0]
    Ledger(tmp_path / "of.jsonl", D(1), run="seal").close()
    assert read_ledger(tmp_path / "of.jsonl").run == "seal"


def test_a_ledger_that_nobody_has_any_more_keeps_no_file_open(tmp_path):
    gc.collect()
    before = psutil.Process().num_fds()
    for _ in range(3):
        Ledger(tmp_path / "ledger.jsonl", Decimal(1)).view()
        gc.collect()
    assert psutil.Process().num_fds() == before
