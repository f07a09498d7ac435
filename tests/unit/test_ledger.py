"""The ledger: every cent has one fate, and no crash, tear or race lends a second one."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swe_router.errors import JournalError, LedgerRefused, UsageError
from swe_router.ledger import Ledger
from swe_router.ledger.owner import is_alive, this_process
from swe_router.records import Usage

D = Decimal

NOTHING = Usage()


class WouldWait(Exception):
    """Raised instead of sleeping, so that a test sees a wait."""


def _no_sleep(_seconds):
    raise WouldWait


class Office:
    """Ledgers of several pretended processes over one file; any can die."""

    def __init__(self, path):
        self.path, self.budget, self.dead = path, D("1"), set()

    def ledger(self, process, **kwargs):
        return Ledger(
            self.path,
            self.budget,
            sleep=kwargs.pop("sleep", _no_sleep),
            party=lambda: f"{process}|1",
            alive=lambda name: name not in self.dead,
            **kwargs,
        )


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path / "ledger.jsonl")


def test_a_hold_gives_back_what_its_calls_did_not_use(office):
    book = office.ledger("a")
    with book.hold("local", D("0.6"), "x#1") as hold:
        first = hold.reserve(D("0.4"))
        assert book.view().reserved == D("0.6")
        hold.settle(first, D("0.1"), NOTHING)
        assert (hold.spent, hold.rest) == (D("0.1"), D("0.5"))
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
    assert book.hold("local", D("0.7"), "y#1").rest == D("0.7")


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


def test_another_budget_is_refused(office, tmp_path):
    office.ledger("a")
    with pytest.raises(UsageError, match="budget of 1 USD, not 2"):
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
    with pytest.raises(JournalError, match=r"ledger\.jsonl line 3 is corrupt"):
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
    """200 calls of another are seen without reading the file 200 times over."""
    a, b = office.ledger("a"), office.ledger("b")
    judge = a.overhead()
    for _ in range(20):
        judge.settle(judge.reserve(D("0.01")), D("0.01"), NOTHING)
        assert b.view().spent == a.view().spent
    before = b._log._offset
    assert before == office.path.stat().st_size


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc, as Linux has it")
def test_this_process_lives_and_a_killed_child_does_not():
    assert is_alive(this_process())
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    host, boot, _, _ = this_process().split("|")
    start = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]  # noqa: SIM115, PTH123
    child = "|".join((host, boot, str(pid), start))
    assert is_alive(child)
    assert not is_alive("|".join((host, boot, str(pid), "1"))), "a later process with its number"
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child), "a zombie does not spend"
    os.waitpid(pid, 0)
    assert not is_alive("|".join((host, "another-boot", str(os.getpid()), "1")))
    assert is_alive("|".join(("another-host", "another-boot", "1", "1"))), "nobody can ask it"
    renamed = "|".join(("another-name", boot, str(pid), start))
    assert not is_alive(renamed), "a new container on the same machine can tell"


def test_threads_share_one_ledger(tmp_path):
    book = Ledger(tmp_path / "ledger.jsonl", D("1"))

    def work():
        for n in range(10):
            with book.hold("t", D("0.2"), f"{threading.get_ident()}#{n}") as hold:
                hold.settle(hold.reserve(D("0.2")), D("0.02"), NOTHING)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    figures = book.figures()
    assert (figures.settled, figures.reserved) == (D("0.80"), D(0))


def _worker(path, seed, tell):
    book = Ledger(path, D("3"))
    dice = random.Random(seed)
    for n in range(100):
        try:
            with book.hold("t", D("0.05"), f"{seed}#{n}") as hold:
                for _ in range(2):
                    usd = D(dice.randint(1, 20)) / 1000
                    hold.settle(hold.reserve(D("0.02")), usd, NOTHING)
                    tell.put(usd)
        except LedgerRefused:
            break
    tell.put(None)
    tell.close()
    tell.join_thread()


def test_four_processes_one_killed_never_pass_the_budget(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path, D("3"))
    fork = multiprocessing.get_context("fork")
    tells = [fork.Queue() for _ in range(4)]
    workers = [fork.Process(target=_worker, args=(path, n, tells[n])) for n in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(5):
        tells[0].get(timeout=10)
    os.kill(workers[0].pid, signal.SIGKILL)
    said = D(0)
    for tell in tells[1:]:
        while (usd := tell.get(timeout=20)) is not None:
            said += usd
    for worker in workers:
        worker.join(20)
    figures = Ledger(path, D("3")).figures()
    assert figures.settled + figures.lost <= D("3")
    assert figures.reserved == 0
    assert figures.overrun == 0
    assert figures.settled >= said
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    settled = [entry["id"] for entry in entries if entry["op"] == "settle"]
    assert len(settled) == len(set(settled))
    assert sum(D(e["usd"]) for e in entries if e["op"] == "settle") == figures.settled


money = st.integers(0, 60).map(lambda cents: D(cents) / 100)


class LedgerMachine(RuleBasedStateMachine):
    """Owners that hold, call, crash and tear the file, against plain sums kept beside it."""

    @initialize(folder=st.uuids())
    def open(self, folder):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.office = Office(Path(self.folder.name) / "ledger.jsonl")
        self.number = 0
        self.owners, self.holds, self.calls = {}, {}, {}
        self.spent = D(0)
        self.hire()
        self.hire()

    def hire(self):
        self.number += 1
        name = f"p{self.number}"
        self.owners[name] = self.office.ledger(name)

    @rule(pick=st.integers(0, 9), usd=money)
    def hold(self, pick, usd):
        name = sorted(self.owners)[pick % len(self.owners)]
        try:
            hold = self.owners[name].hold("t", usd, f"k{self.number}")
        except (LedgerRefused, WouldWait):
            assert usd > self.free()
            return
        self.holds[hold.id] = (name, hold, usd)

    @precondition(lambda self: self.holds)
    @rule(pick=st.integers(0, 9), usd=money)
    def reserve(self, pick, usd):
        key = sorted(self.holds)[pick % len(self.holds)]
        name, hold, _ = self.holds[key]
        try:
            call = hold.reserve(usd)
        except LedgerRefused:
            return
        self.calls[call] = (name, hold, key, usd)

    @rule(pick=st.integers(0, 9), usd=money)
    def overhead(self, pick, usd):
        name = sorted(self.owners)[pick % len(self.owners)]
        booking = self.owners[name].overhead()
        try:
            call = booking.reserve(usd)
        except (LedgerRefused, WouldWait):
            assert usd > self.free()
            return
        self.calls[call] = (name, booking, None, usd)

    @precondition(lambda self: self.calls)
    @rule(pick=st.integers(0, 9), fate=st.sampled_from(["settle", "void", "lose"]), share=money)
    def answer(self, pick, fate, share):
        call = sorted(self.calls)[pick % len(self.calls)]
        _, booking, _, usd = self.calls.pop(call)
        if fate == "settle":
            booking.settle(call, usd * share, NOTHING)
            self.spent += usd * share
        elif fate == "void":
            booking.void(call)
        else:
            booking.lose(call)
            self.spent += usd

    @precondition(lambda self: self.holds)
    @rule(pick=st.integers(0, 9))
    def release(self, pick):
        key = sorted(self.holds)[pick % len(self.holds)]
        _, hold, _ = self.holds.pop(key)
        hold.release()
        self._lose(lambda call: call[2] == key)

    @rule(pick=st.integers(0, 9))
    def crash(self, pick):
        name = sorted(self.owners)[pick % len(self.owners)]
        del self.owners[name]
        self.office.dead.add(name)
        self.holds = {key: value for key, value in self.holds.items() if value[0] != name}
        self._lose(lambda call: call[0] == name)
        self.hire()

    @rule(data=st.binary(min_size=1, max_size=20).filter(lambda data: b"\n" not in data))
    def tear(self, data):
        with self.office.path.open("ab") as file:
            file.write(data)

    def _lose(self, matches):
        for name in [name for name, call in self.calls.items() if matches(call)]:
            self.spent += self.calls.pop(name)[3]

    def free(self):
        return next(iter(self.owners.values())).view().left

    @invariant()
    def sums_agree(self):
        for ledger in self.owners.values():
            view = ledger.view()
            assert view.spent == self.spent
            assert view.spent + view.reserved <= D("1")
            assert view.reserved >= sum((call[3] for call in self.calls.values()), D(0))

    def teardown(self):
        if hasattr(self, "folder"):
            figures = self.office.ledger("last").figures()
            assert figures.settled + figures.lost == self.spent
            assert figures.overrun == 0
            self.folder.cleanup()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
