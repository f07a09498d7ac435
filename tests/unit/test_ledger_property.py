"""Any order of holds, calls, crashes and tears leaves the sums that were kept beside it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swe_router.errors import LedgerRefused
from tests.doubles.office import NOTHING, Office, WouldWait

D = Decimal

money = st.integers(0, 60).map(lambda cents: D(cents) / 100)


class LedgerMachine(RuleBasedStateMachine):
    """Owners that hold, call, crash and tear the file, against plain sums kept beside it."""

    @initialize(folder=st.uuids())
    def open(self, folder):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.office = Office(Path(self.folder.name) / "ledger.jsonl")
        self.number = 0
        self.owners, self.holds, self.calls, self.used = {}, {}, {}, {}
        self.spent = D(0)
        self.hire()
        self.hire()

    def hire(self):
        self.number += 1
        name = f"p{self.number}"
        self.owners[name] = self.office.ledger(name)

    @rule(pick=st.integers(0, 9), usd=money)
    def hold(self, pick, usd):
        name, before = sorted(self.owners)[pick % len(self.owners)], self.free()
        try:
            hold = self.owners[name].hold("t", usd, f"k{self.number}")
        except (LedgerRefused, WouldWait):
            assert usd > self.free()
            return
        assert usd <= before
        self.holds[hold.id] = (name, hold, usd)
        self.used[hold.id] = D(0)

    @precondition(lambda self: self.holds)
    @rule(pick=st.integers(0, 9), usd=money)
    def reserve(self, pick, usd):
        key = sorted(self.holds)[pick % len(self.holds)]
        name, hold, whole = self.holds[key]
        rest = whole - self.used[key] - self.asked(key)
        try:
            call = hold.reserve(usd)
        except LedgerRefused:
            assert usd > rest
            return
        assert usd <= rest
        self.calls[call] = (name, hold, key, usd)

    @rule(pick=st.integers(0, 9), usd=money)
    def overhead(self, pick, usd):
        name = sorted(self.owners)[pick % len(self.owners)]
        booking, before = self.owners[name].overhead(), self.free()
        try:
            call = booking.reserve(usd)
        except (LedgerRefused, WouldWait):
            assert usd > self.free()
            return
        assert usd <= before
        self.calls[call] = (name, booking, None, usd)

    @precondition(lambda self: self.calls)
    @rule(pick=st.integers(0, 9), fate=st.sampled_from(["settle", "void", "lose"]), share=money)
    def answer(self, pick, fate, share):
        call = sorted(self.calls)[pick % len(self.calls)]
        _, booking, key, usd = self.calls.pop(call)
        if fate == "settle":
            booking.settle(call, usd * share, NOTHING)
        elif fate == "void":
            booking.void(call)
        else:
            booking.lose(call)
        charged = {"settle": usd * share, "void": D(0), "lose": usd}[fate]
        self.spent += charged
        if key is not None:
            self.used[key] += charged

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

    def asked(self, key):
        """USD of the open calls of a hold; of those without one for None."""
        return sum((call[3] for call in self.calls.values() if call[2] == key), D(0))

    def reserved(self):
        """By the sums kept here: what holds have left, and open calls without a hold."""
        held = (whole - self.used[key] for key, (_, _, whole) in self.holds.items())
        return sum(held, self.asked(None))

    def free(self):
        return D("1") - self.spent - self.reserved()

    @invariant()
    def sums_agree(self):
        for ledger in self.owners.values():
            view = ledger.view()
            assert view.spent == self.spent
            assert view.reserved == self.reserved()
            assert view.left == self.free() >= 0

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
