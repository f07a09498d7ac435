"""The ledger of a run: holds for attempts, reservations for calls, and who must wait."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router.errors import LedgerRefused, UsageError
from swe_router.ledger.batch_book import BatchBook
from swe_router.ledger.holds import Hold, Overhead, check_amount
from swe_router.ledger.log import Entry, LedgerLog
from swe_router.ledger.owner import is_alive, process_of_owner, this_thread
from swe_router.ledger.state import (
    OVERHEAD,
    UNFINISHED,
    ZERO,
    CallState,
    Fate,
    Figures,
    HoldState,
    LedgerState,
    MoneyView,
    TierFigures,
    instance_of_key,
)
from swe_router.records import SCHEMA

FIRST_NAP, LONGEST_NAP = 0.02, 0.5


class Ledger:
    """All money of a run, in one file, for every thread, worker and resume.

    ``clock`` gives Unix seconds; ``sleep`` waits seconds while money is held by others;
    ``stopping`` ends such waits when the user asked the run to stop. A hold, and a wait,
    belongs to the thread that took it: ``owner`` names it, ``alive`` asks for its process.
    """

    def __init__(
        self,
        path: Path,
        budget: Decimal,
        *,
        run: str = "",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        stopping: Callable[[], bool] = lambda: False,
        owner: Callable[[], str] = this_thread,
        alive: Callable[[str], bool] = is_alive,
    ) -> None:
        """Open or create the ledger, and charge what dead processes left unanswered.

        ``budget`` is the one that the run began with; the file may say that it was raised since.
        ``run``: the seal of the settings that it belongs to; a ledger without one fits any run.
        Raises ``UsageError`` when it began with another, ``JournalError`` when it is corrupt.
        """
        self._path = path
        self._clock, self._sleep, self._stopping = clock, sleep, stopping
        self._owner, self._alive = owner, alive
        self._state = LedgerState()
        self._log = LedgerLog(path, self._state.apply)
        self.batches = BatchBook(self._log, self._state, self._entry, owner)
        with self._log.locked():
            if self._state.budget is None:
                of = {"run": run} if run else {}
                self._append("open", schema=SCHEMA, budget=str(budget), **of)
            if self._state.opened != budget:
                raise UsageError(budget_mismatch(path, self._state, budget))
            if run and self._state.run not in ("", run):
                raise UsageError(run_mismatch(path))
            self._reap()

    def hold(self, tier: str, usd: Decimal, key: str, cap: Decimal | None = None) -> Hold:
        """Hold an attempt's dollar limit; waits while others hold what could be freed.

        ``key`` names the attempt; ``cap``: USD that its instance may cost in all. Calls of it that
        are out in batches count against the new hold. Raises ``LedgerRefused`` when it fits
        nowhere.
        """
        check_amount(usd)
        fields = {"tier": tier, "key": key, "usd": str(usd)}
        name = self._take("hold", usd, f"an attempt on tier {tier}", fields, cap)
        return Hold(self, self._state.holds[name])

    def overhead(
        self, key: str = "", limit: Decimal | None = None, cap: Decimal | None = None
    ) -> Overhead:
        """Where calls outside an attempt, such as judges, are booked; ``key`` names their owner.

        ``limit``: USD that all calls under this key may cost; ``cap``: as for ``hold``.
        """
        return Overhead(self, key, limit, cap)

    def reconcile(self, reservation: str, usd: Decimal) -> None:
        """Replace the charge of a lost call by what it really cost."""
        check_amount(usd)
        with self._log.locked():
            self._state.call(reservation, "lost")
            self._append("reconcile", id=reservation, usd=str(usd))

    def raise_cap(self, budget: Decimal, by: str) -> bool:
        """Let the run spend up to ``budget`` USD; False when that is its cap already.

        Every process with the ledger open applies it from its next read on. ``by``: the user who
        raises it. Raises ``UsageError`` for a lower one: others may decide by the cap at this
        moment.
        """
        check_amount(budget)
        with self._log.locked():
            state = self._state
            cap = state.budget or ZERO
            if budget < cap:
                raise UsageError(
                    f"the cap of {self._path.parent} is ${cap:f}, with ${state.spent.normalize():f}"
                    f" spent and ${state.reserved.normalize():f} held: --budget raises it, and"
                    f" ${budget:f} would lower it"
                )
            if budget > cap:
                self._append("raise", budget=str(budget), by=by, pid=os.getpid())
            return budget > cap

    def view(self) -> MoneyView:
        """The money at this moment."""
        with self._log.locked():
            state = self._state
            return MoneyView(
                budget=state.budget or ZERO,
                spent=state.spent,
                reserved=state.reserved,
                left=state.free,
                submitted=state.submitted_usd,
                calls_out=len(state.submitted),
                batches_out=len(state.batches_out()),
            )

    def settled_since(self, number: int) -> Sequence[CallState]:
        """The calls that were settled after the first ``number``, in order."""
        with self._log.locked():
            return tuple(self._state.settled_calls[number:])

    def figures(self) -> Figures:
        """The closing figures; what dead processes left unanswered is charged first."""
        with self._log.locked():
            self._reap()
            state = self._state
            tiers = sorted({*state.settled, *state.lost})
            return Figures(
                budget=state.budget or ZERO,
                reserved=state.reserved,
                settled=sum(state.settled.values(), ZERO),
                lost=sum(state.lost.values(), ZERO),
                unused=state.free,
                overrun=state.overrun,
                submitted=state.submitted_usd,
                by_tier={name: _tier(state, name) for name in tiers},
            )

    def taken_by(self, instance: str) -> Decimal:
        """USD that an instance has spent or holds, under all its keys."""
        with self._log.locked():
            return self._state.taken(instance)

    def spent_by(self, key: str) -> Decimal:
        """USD settled and lost under one key, over all its holds."""
        with self._log.locked():
            return self._state.by_key.get(key, ZERO)

    def taken_by_tier(self, key: str, tier: str) -> Decimal:
        """USD that calls of one tier cost or reserve under one key."""
        with self._log.locked():
            calls = [one for one in self._state.calls.values() if one.key == key]
            taken = (
                one.usd if one.fate in ("open", "submitted") else one.charged
                for one in calls
                if one.tier == tier
            )
            return sum(taken, ZERO)

    def submitted_by(self, key: str) -> Decimal:
        """USD reserved under one key for calls that are out in batches."""
        with self._log.locked():
            calls = self._state.calls
            return sum((calls[name].usd for name in self._state.submitted_under(key)), ZERO)

    def lost(self) -> Mapping[str, Decimal]:
        """Reservations that are charged without an answer, for ``reconcile``."""
        with self._log.locked():
            calls = self._state.calls.values()
            return {call.id: call.charged for call in calls if call.fate == "lost"}

    def abandon_others(self) -> None:
        """Treat every other process as dead: for a resume that holds the run's lock."""
        with self._log.locked():
            self._reap(spare={process_of_owner(self._owner())})

    def close(self) -> None:
        """Close the file; what is held stays held."""
        self._log.close()

    def _take(
        self, op: str, usd: Decimal, what: str, fields: Mapping[str, Any], cap: Decimal | None
    ) -> str:
        """Append ``op`` once ``usd`` is free, and give the new entry's id."""
        nap, waiting = FIRST_NAP, False
        try:
            while True:
                with self._log.locked():
                    adopted = self._adopted(op, fields["key"])
                    more = max(ZERO, usd - sum(adopted.values(), ZERO))
                    self._within(cap, more, what, instance_of_key(fields["key"]))
                    if more > self._state.free:
                        self._reap()
                    fits = more <= self._state.free
                    why = "" if fits else self._why_not_wait(more, what)
                    if waiting and (fits or why):
                        # In one step with the end of the wait: a owner still marked waiting would
                        # make others be refused instead of waiting for its release.
                        waiting = False
                        self._append("go", party=self._owner())
                    if fits:
                        out = {"adopts": list(adopted)} if adopted else {}
                        return self._new(op, {**fields, **out})
                    if why:
                        raise LedgerRefused(why)
                    if not waiting:
                        self._append("wait", party=self._owner())
                        waiting = True
                self._sleep(nap)
                nap = min(nap * 1.5, LONGEST_NAP)
        finally:
            if waiting:
                with self._log.locked():
                    self._append("go", party=self._owner())

    def _adopted(self, op: str, key: str) -> dict[str, Decimal]:
        """Calls of an attempt that are out and in no hold, with what is reserved for them."""
        state = self._state
        if op != "hold" or not state.submitted:
            return {}
        calls = [state.calls[name] for name in state.submitted_under(key)]
        return {one.id: one.usd for one in calls if one.hold and not state.holds[one.hold].open}

    def _within(self, cap: Decimal | None, usd: Decimal, what: str, instance: str) -> None:
        """Raise ``LedgerRefused`` where an instance would come over its own cap."""
        if cap is not None and self._state.taken(instance) + usd > cap:
            left = max(ZERO, cap - self._state.taken(instance))
            raise LedgerRefused(
                f"{instance} may cost {cap} USD in all: {what} needs {usd} and {left} is left"
            )

    def _why_not_wait(self, usd: Decimal, what: str) -> str:
        """Why waiting for ``usd`` is in vain; empty when somebody may free it."""
        state = self._state
        need = f"{what} needs {usd} USD and {state.free} of {state.budget} USD is free"
        if self._stopping():
            return f"{need}; the run is stopping"
        # A waiting owner releases nothing; waiting on it could deadlock.
        if state.holders() - state.waiting - {self._owner()}:
            return ""
        return f"{need}; nobody holds what could be freed"

    def reserve_in(
        self, hold: HoldState, usd: Decimal, *, batched: bool = False, tier: str = ""
    ) -> str:
        """A reservation within an attempt's own money; see ``Hold.reserve``."""
        check_amount(usd)
        with self._log.locked():
            if not hold.open:
                raise LedgerRefused(f"the money of {hold.key} on tier {hold.tier} was released")
            if usd > hold.remaining:
                raise LedgerRefused(
                    f"a call needs {usd} USD; of its attempt's {hold.usd} {hold.remaining} is left"
                )
            whose = tier or hold.tier
            fields = {"tier": whose, "key": hold.key, "usd": str(usd), "hold": hold.id}
            return self._new("reserve", {**fields, **_batched(batched)})

    def reserve_overhead(
        self, key: str, usd: Decimal, cap: Decimal | None = None, *, batched: bool = False
    ) -> str:
        """A reservation against the run's budget; see ``Overhead.reserve``."""
        check_amount(usd)
        fields = {"tier": OVERHEAD, "key": key, "usd": str(usd), "hold": "", **_batched(batched)}
        return self._take("reserve", usd, "a call outside an attempt", fields, cap)

    def finish(self, op: str, reservation: str, **fields: Any) -> None:
        """Settle, void or lose a reservation. Raises ``JournalError`` when that was done."""
        with self._log.locked():
            # A call given up for lost may still be answered: its holder was only thought dead.
            fates: tuple[Fate, ...] = ("open", "submitted") if op == "lose" else UNFINISHED
            call = self._state.call(reservation, *fates)
            entry = self._entry(op, id=reservation, **fields)
            # A settlement within a hold is made durable by the next reservation or the release,
            # and until then by its receipt: what a power cut takes is reconciled from that.
            self._log.append(entry, durable=not (op == "settle" and call.hold))

    def release(self, hold: HoldState) -> None:
        """Release what remains of a hold; see ``Hold.release``."""
        with self._log.locked():
            if not hold.open:
                return
            calls = self._state.calls
            names = [n for n in sorted(self._state.open_calls) if calls[n].hold == hold.id]
            self._log.append(
                *(self._unanswered(name, "the attempt ended") for name in names),
                self._entry("release", id=hold.id),
            )

    def _reap(self, spare: set[str] | None = None) -> None:
        """Charge the unanswered calls of dead processes and free the rest of their holds."""
        state = self._state
        owners = state.holders() | state.waiting
        processes = {process_of_owner(owner) for owner in owners}
        alive = {name for name in processes if (name in spare if spare else self._alive(name))}
        dead = {owner for owner in owners if process_of_owner(owner) not in alive}
        calls = [n for n in sorted(state.open_calls) if state.calls[n].owner in dead]
        holds = [n for n in sorted(state.open_holds) if state.holds[n].owner in dead]
        made = [
            *(self._unanswered(name, "its process is gone") for name in calls),
            *(self._entry("release", id=name) for name in holds),
            *(self._entry("go", party=owner) for owner in sorted(state.waiting & dead)),
        ]
        if made:
            self._log.append(*made)

    def _unanswered(self, name: str, why: str) -> Entry:
        """The end of an open call: lost, unless it waited for a batch and was never sent."""
        if self._state.calls[name].batched:
            return self._entry("void", id=name)
        return self._entry("lose", id=name, why=why)

    def _new(self, op: str, fields: Mapping[str, Any]) -> str:
        name = f"{op[0]}{self._state.entries}"
        self._append(op, id=name, party=self._owner(), **fields)
        return name

    def _append(self, op: str, **fields: Any) -> None:
        self._log.append(self._entry(op, **fields))

    def _entry(self, op: str, **fields: Any) -> Entry:
        return {"op": op, "at": round(self._clock(), 3), **fields}


def budget_mismatch(path: Path, state: LedgerState, budget: Decimal) -> str:
    """The error text when settings name another budget than the ledger was opened with."""
    folder = shlex.quote(str(path.parent))
    return (
        f"{path} was opened with a budget of {state.opened} USD, and the settings say {budget}:"
        f" they are sealed. Put {state.opened} back; `swe-router resume {folder} --budget USD`"
        " raises the cap"
    )


def run_mismatch(path: Path) -> str:
    """The error text for a ledger that belongs to other settings or another start."""
    return (
        f"{path} is another run's, or {path.parent / 'settings.json'} is: they were not begun"
        " together. The ledger is where the money of a run is counted: bring its own back"
    )


def _batched(batched: bool) -> dict[str, bool]:
    """The field of a call that is made for a batch; none for all others."""
    return {"batched": True} if batched else {}


def _tier(state: LedgerState, name: str) -> TierFigures:
    return TierFigures(
        calls=state.answered.get(name, 0),
        settled=state.settled.get(name, ZERO),
        lost=state.lost.get(name, ZERO),
    )
