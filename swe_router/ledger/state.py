"""What the ledger's entries add up to: a pure fold, exact in Decimal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from swe_router.errors import JournalError
from swe_router.ledger.sent_batch import BatchEntry, SentBatch, SubmittedCall
from swe_router.records import SCHEMA, FrozenRecord

OVERHEAD = "overhead"
ZERO = Decimal(0)

Fate = Literal["open", "submitted", "settled", "void", "lost"]
"""``submitted``: in a batch; its answer comes later, also to a process that began after it."""
UNFINISHED: tuple[Fate, ...] = ("open", "submitted", "lost")
"""What may still be settled or voided: a call given up for lost may be answered after all."""


class MoneyView(FrozenRecord):
    """The money at one moment, USD."""

    budget: Decimal
    spent: Decimal
    """Settled and lost."""
    reserved: Decimal
    left: Decimal
    """Neither spent nor reserved; below 0 only after an overrun."""
    submitted: Decimal = ZERO
    """Part of ``reserved`` that is out in batches."""
    calls_out: int = 0
    """Calls that are out in batches."""
    batches_out: int = 0


class TierFigures(FrozenRecord):
    """What one tier cost, USD."""

    calls: int = 0
    settled: Decimal = ZERO
    lost: Decimal = ZERO


class Figures(FrozenRecord):
    """The closing figures of a run, USD: settled + lost + reserved + unused = budget."""

    budget: Decimal
    reserved: Decimal
    settled: Decimal
    lost: Decimal
    """Charged for answers that never came, until reconciled."""
    unused: Decimal
    overrun: Decimal
    """Part of ``settled`` that was charged above its reservation."""
    submitted: Decimal = ZERO
    """Part of ``reserved`` that is out in batches."""
    by_tier: Mapping[str, TierFigures]


@dataclass
class HoldState:
    """Money held for one attempt."""

    id: str
    tier: str
    key: str
    usd: Decimal
    owner: str
    spent: Decimal = ZERO
    reserved: Decimal = ZERO
    open: bool = True

    @property
    def remaining(self) -> Decimal:
        """What its calls may still reserve."""
        return self.usd - self.spent - self.reserved

    @property
    def held(self) -> Decimal:
        """USD that it withholds from all others beyond what is spent."""
        return max(self.usd - self.spent, self.reserved) if self.open else self.reserved


@dataclass
class CallState:
    """One reservation and what became of it."""

    id: str
    tier: str
    key: str
    usd: Decimal
    owner: str
    hold: str = ""
    fate: Fate = "open"
    charged: Decimal = ZERO
    batched: bool = False
    """Made for a batch: while it is open, nothing was sent."""
    usage: Mapping[str, Any] | None = None
    """What the answer used, as its settlement says; None while there is none."""
    unused: bool = False
    """Paid in a batch after nobody waited for it any more."""


@dataclass(frozen=True)
class BudgetRaise:
    """The cap of a run, raised by somebody."""

    at: float
    """Unix seconds."""
    budget: Decimal
    """USD from then on."""
    by: str
    """``user@host``."""
    pid: int


@dataclass
class LedgerState:
    """All holds and calls of the ledger, with running sums: no query iterates over them."""

    budget: Decimal | None = None
    """The cap in force."""
    opened: Decimal | None = None
    """The cap when the ledger was opened: that of the settings."""
    run: str = ""
    """Seal of the settings that the ledger was opened for; empty where none was recorded."""
    raises: list[BudgetRaise] = field(default_factory=list)
    holds: dict[str, HoldState] = field(default_factory=dict)
    calls: dict[str, CallState] = field(default_factory=dict)
    open_holds: set[str] = field(default_factory=set)
    open_calls: set[str] = field(default_factory=set)
    submitted: set[str] = field(default_factory=set)
    """Calls that are out in batches."""
    batches: dict[str, BatchEntry] = field(default_factory=dict)
    """By token, all that were ever sent."""
    waiting: set[str] = field(default_factory=set)
    """Owners that wait for money, so cannot release any."""
    entries: int = 0
    spent: Decimal = ZERO
    reserved: Decimal = ZERO
    overrun: Decimal = ZERO
    settled: dict[str, Decimal] = field(default_factory=dict)
    """By tier."""
    lost: dict[str, Decimal] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    settled_calls: list[CallState] = field(default_factory=list)
    """In the order in which they were settled."""
    by_key: dict[str, Decimal] = field(default_factory=dict)
    by_instance: dict[str, Decimal] = field(default_factory=dict)
    """Spent, by what stands before the first ``/`` of a key."""

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Take one entry in. Raises ``KeyError``, ``ValueError`` or ``ArithmeticError``."""
        kind = entry["op"]
        if self.opened is None and kind != "open":
            raise ValueError("the opening entry, which says the cap, does not stand before it")
        steps = {
            "open": self._open,
            "raise": self._raise,
            "hold": self._hold,
            "release": self._release,
            "reserve": self._reserve,
            "settle": self._settle,
            "void": self._void,
            "lose": self._lose,
            "reconcile": self._settle,
            "wait": self._wait,
            "go": self._go,
            "send": self._send,
            "submit": self._submit,
            "unsend": self._unsend,
            "adopt": self._adopt,
            "use": self._use,
        }
        if kind not in steps:
            raise ValueError(
                f"this swe-router knows no entry {kind!r}: was it made by a later one?"
            )
        steps[kind](entry)
        self.entries += 1

    @property
    def free(self) -> Decimal:
        """USD neither spent nor reserved."""
        return (self.budget or ZERO) - self.spent - self.reserved

    def taken(self, instance: str) -> Decimal:
        """USD that an instance has spent or holds, over all its attempts and checks."""
        aside = [self.holds[n] for n in self.open_holds]
        alone = [self.calls[n] for n in self.open_calls | self.submitted]
        own = [hold.held for hold in aside if instance_of_key(hold.key) == instance]
        own += [
            call.usd
            for call in alone
            if instance_of_key(call.key) == instance and not self._in_hold(call)
        ]
        return sum(own, self.by_instance.get(instance, ZERO))

    def _in_hold(self, call: CallState) -> bool:
        return bool(call.hold) and self.holds[call.hold].open

    def holders(self) -> set[str]:
        """Owners that hold something."""
        held = {self.holds[name].owner for name in self.open_holds}
        return held | {self.calls[name].owner for name in self.open_calls | self.submitted}

    def submitted_under(self, key: str) -> list[str]:
        """Calls of one attempt that are out in batches."""
        return sorted(name for name in self.submitted if self.calls[name].key == key)

    @property
    def submitted_usd(self) -> Decimal:
        """USD reserved for calls that are out in batches."""
        return sum((self.calls[name].usd for name in self.submitted), ZERO)

    def batches_out(self) -> tuple[SentBatch, ...]:
        """Batches with calls that are not settled yet, in the order in which they were sent."""
        found = []
        for one in self.batches.values() if self.submitted else ():
            calls = tuple(
                SubmittedCall(name, self.calls[name].key, self.calls[name].usd, known)
                for name, known in one.calls.items()
                if name in self.submitted
            )
            if calls:
                found.append(SentBatch(one.token, one.tier, one.at, one.batch_id, calls))
        return tuple(found)

    def call(self, name: str, *fates: Fate) -> CallState:
        """A call, provided that its fate is one of these. Raises ``JournalError`` if not."""
        call = self.calls[name]
        if call.fate not in fates:
            raise JournalError(
                f"reservation {name} ({call.tier}, {call.key}) is already {call.fate}"
            )
        return call

    def _open(self, entry: Mapping[str, Any]) -> None:
        if self.budget is not None:
            raise ValueError("a second opening entry")
        if entry.get("schema", SCHEMA) != SCHEMA:
            raise ValueError(f"it is of another format, {entry['schema']!r}: this is {SCHEMA!r}")
        self.budget = self.opened = _usd(entry["budget"])
        self.run = str(entry.get("run", ""))

    def _raise(self, entry: Mapping[str, Any]) -> None:
        budget = Decimal(entry["budget"])
        if self.budget is None or not budget.is_finite() or budget <= self.budget:
            raise ValueError(f"a cap of {self.budget} is not raised to {budget}")
        at, by, pid = float(entry["at"]), str(entry["by"]), int(entry["pid"])
        self.raises.append(BudgetRaise(at, budget, by, pid))
        self.budget = budget

    @property
    def caps(self) -> tuple[Decimal, ...]:
        """Every cap that the run has had, in order."""
        first = () if self.opened is None else (self.opened,)
        return (*first, *(one.budget for one in self.raises))

    def _hold(self, entry: Mapping[str, Any]) -> None:
        hold = HoldState(
            entry["id"], entry["tier"], entry["key"], _usd(entry["usd"]), entry["party"]
        )
        self.holds[hold.id] = hold
        self.open_holds.add(hold.id)
        self.reserved += hold.usd
        for name in entry.get("adopts", ()):
            self._move_into(self.call(name, "submitted"), hold)

    def _move_into(self, call: CallState, hold: HoldState) -> None:
        """A call that a dead process sent counts against the money of its attempt's successor."""
        self._move(call, reserved=-call.usd)
        call.hold = hold.id
        self._move(call, reserved=call.usd)

    def _release(self, entry: Mapping[str, Any]) -> None:
        hold = self.holds[entry["id"]]
        self.reserved -= hold.held
        hold.open = False
        self.reserved += hold.held
        self.open_holds.discard(hold.id)

    def _reserve(self, entry: Mapping[str, Any]) -> None:
        call = CallState(
            entry["id"],
            entry["tier"],
            entry["key"],
            _usd(entry["usd"]),
            entry["party"],
            entry["hold"],
            batched=bool(entry.get("batched", False)),
        )
        self.calls[call.id] = call
        self.open_calls.add(call.id)
        self._move(call, reserved=call.usd)

    def _settle(self, entry: Mapping[str, Any]) -> None:
        call = self.call(entry["id"], *UNFINISHED)
        usd = _usd(entry["usd"])
        self._close(call, "settled", usd)
        call.unused = bool(entry.get("unused", False))
        _add(self.settled, call.tier, usd)
        self.answered[call.tier] = self.answered.get(call.tier, 0) + 1
        call.usage = entry.get("usage")
        self.settled_calls.append(call)
        self.overrun += max(ZERO, usd - call.usd)

    def _void(self, entry: Mapping[str, Any]) -> None:
        self._close(self.call(entry["id"], *UNFINISHED), "void", ZERO)

    def _lose(self, entry: Mapping[str, Any]) -> None:
        call = self.call(entry["id"], "open", "submitted")
        self._close(call, "lost", call.usd)
        _add(self.lost, call.tier, call.usd)

    def _close(self, call: CallState, fate: Fate, usd: Decimal) -> None:
        if call.fate in ("open", "submitted"):
            self.open_calls.discard(call.id)
            self.submitted.discard(call.id)
            self._move(call, reserved=-call.usd, spent=usd)
        else:
            _add(self.lost, call.tier, -call.charged)
            self._move(call, spent=usd - call.charged)
        _add(self.by_key, call.key, usd - call.charged)
        _add(self.by_instance, instance_of_key(call.key), usd - call.charged)
        call.fate, call.charged = fate, usd

    def _move(self, call: CallState, *, reserved: Decimal = ZERO, spent: Decimal = ZERO) -> None:
        hold = self.holds[call.hold] if call.hold else None
        self.spent += spent
        if hold is None:
            self.reserved += reserved
            return
        self.reserved -= hold.held
        hold.spent += spent
        hold.reserved += reserved
        self.reserved += hold.held

    def _send(self, entry: Mapping[str, Any]) -> None:
        calls = {str(name): dict(known) for name, known in entry["calls"].items()}
        for name in calls:
            call = self.call(name, "open")
            call.fate, call.owner = "submitted", entry["party"]
            self.open_calls.discard(name)
            self.submitted.add(name)
        token = str(entry["token"])
        self.batches[token] = BatchEntry(token, str(entry["tier"]), float(entry["at"]), calls)

    def _submit(self, entry: Mapping[str, Any]) -> None:
        self.batches[entry["token"]].batch_id = str(entry["batch"])

    def _unsend(self, entry: Mapping[str, Any]) -> None:
        for name in self.batches.pop(entry["token"]).calls:
            if name in self.submitted:
                call = self.calls[name]
                call.fate, call.owner = "open", entry["party"]
                self.submitted.discard(name)
                self.open_calls.add(name)

    def _adopt(self, entry: Mapping[str, Any]) -> None:
        for name in self.submitted:
            self.calls[name].owner = entry["party"]

    def _use(self, entry: Mapping[str, Any]) -> None:
        self.calls[entry["id"]].unused = False

    def _wait(self, entry: Mapping[str, Any]) -> None:
        self.waiting.add(entry["party"])

    def _go(self, entry: Mapping[str, Any]) -> None:
        self.waiting.discard(entry["party"])


def instance_of_key(key: str) -> str:
    """The instance that a key belongs to: ``INSTANCE/ATTEMPT`` or ``INSTANCE/verify:ATTEMPT``."""
    return key.partition("/")[0]


def _usd(text: str) -> Decimal:
    """An amount of a ledger. Raises ``ValueError`` for one below 0 or without an end."""
    usd = Decimal(text)
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"{text} is no amount")
    return usd


def _add(sums: dict[str, Decimal], name: str, usd: Decimal) -> None:
    sums[name] = sums.get(name, ZERO) + usd
