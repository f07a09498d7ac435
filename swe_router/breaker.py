"""What to do while a provider, an engine or a store is away: wait for it together, then give up.

Every process of a run knows the same: one small file in the run folder says which service is away,
since when, and who may knock next. A call that meets such a failure is made again until it goes
through, so that its attempt waits where it stands; nobody else is sent ahead meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from swe_router.errors import BoundaryError, LedgerRefused, ModelError, RateLimited, StillAway

T = TypeVar("T")
ShowMessage = Callable[[str], None]

SERVER_STATUSES = frozenset({429, 502, 503, 521, 522, 523, 529})
"""HTTP statuses that a server, or the gateway before it, gives whatever it is asked."""
POLL_SECONDS = 0.25
MAX_DOUBLINGS = 16
MAX_RETRY_AFTER_SECONDS = 60.0
"""Seconds; a provider that asks for a longer wait is knocked at after this much."""


@dataclass(frozen=True)
class Patience:
    """How long a service is waited for; seconds."""

    failures: int = 3
    """Equal failures in a row after which it is paused for everybody."""
    first_wait: float = 2.0
    longest_wait: float = 20.0
    give_up_seconds: float = 240.0
    """After so long without one success it is given up."""
    refused_seconds: float = 120.0
    """The same for a failure that somebody has to mend; never more than ``give_up_seconds``."""

    def max_wait_seconds(self, outage: Outage) -> float:
        """Seconds that a service which failed like this is waited for."""
        return min(self.give_up_seconds, self.refused_seconds if outage.refused else inf)

    def probe_delay(self, failed_probes: int) -> float:
        """Seconds before the knock after ``failed_probes`` that failed."""
        return min(
            self.longest_wait, self.first_wait * 2.0 ** min(failed_probes - 1, MAX_DOUBLINGS)
        )


@dataclass(frozen=True)
class Outage:
    """What is known of a service that failed last; times are unix seconds."""

    kind: str
    """Class and status of the failure."""
    cause: str
    """The same in words."""
    why: str
    """The message of the last failure."""
    since: float
    """First failure since the last success."""
    equal: int = 1
    """Failures of this kind in a row."""
    knocks: int = 1
    next: float = 0.0
    """When the next one may try."""
    held: bool = False
    """Somebody waits for it: ``since`` counts."""
    paused: bool = False
    given_up: bool = False
    refused: bool = False
    """Somebody has to mend it (``errors.for_people``)."""
    who: tuple[str, ...] = field(default=())
    """Instances that met it last, up to as many as it takes."""


def is_service_failure(error: BaseException) -> bool:
    """Whether a failure is one that every instance would meet now."""
    if isinstance(error, BoundaryError) and error.says_nothing_of_instance:
        return True
    return isinstance(error, ModelError) and error.status in SERVER_STATUSES


class Breaker:
    """The services of one run as its processes know them together.

    ``patience`` gives that for a service by name; ``notify`` gets a line whenever a service is
    paused, comes back or is given up (once in all processes); ``on_give_up`` is called once then.
    Once a service is given up (open), calls fail at once; one probe at a time is let through when
    its time comes (half-open).
    """

    def __init__(
        self,
        folder: Path,
        patience: Callable[[str], Patience],
        *,
        stopping: Callable[[], bool] = lambda: False,
        notify: ShowMessage = lambda line: None,
        on_give_up: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        limit_clock: Callable[[], float] | None = None,
        slept_seconds_since: Callable[[float], float] = lambda since: 0.0,
    ) -> None:
        """``limit_clock``: the clock of ``now``; ``slept_seconds_since`` gives seconds of sleep."""
        self._file, self._lock = folder / "breaker.json", folder / "breaker.lock"
        self._name = str(self._file)
        self.notify = notify
        self._patience, self._stopping = patience, stopping
        self._gave_up, self._clock, self._sleep = on_give_up, clock, sleep
        self._limits, self._slept = limit_clock or clock, slept_seconds_since
        self._waited, self._waiting, self._since = 0.0, 0, 0.0
        self._counting = threading.Lock()

    def call_when_available(
        self,
        service: str,
        call: Callable[[], T],
        *,
        instance_id: str = "",
        on_pause: ShowMessage = lambda why: None,
        check_service: Callable[[], None] = lambda: None,
    ) -> T:
        """What ``call`` gives, made again for as long as the service is away.

        A failure that may be this call's own is passed on, until it was met by as many instances
        (``instance_id``) in a row as it takes; ``check_service`` then raises if the service is away
        after all. ``on_pause`` receives why this call waits. Raises ``StillAway`` when the run
        gives the service up, or is stopped meanwhile.
        """
        mine = False
        while True:
            begun = self.now()
            knocking = self._wait_for_admission(service, mine, on_pause)
            try:
                if knocking:
                    check_service()  # costs nothing, where the call itself may be billed unanswered
                made = call()
            except (LedgerRefused, StillAway):
                raise
            except BoundaryError as error:
                met: BoundaryError = error
            else:
                self._record_success(service)
                return made
            if met.counts:
                self._record_success(service)  # an answer, if a bad one
                raise met
            if not is_service_failure(met):
                met, away = self._attribute_failure(service, met, instance_id, check_service)
                if not away:
                    raise met
            mine = True
            self._record_failure(service, met, instance_id)
            self._refund_time(begun)

    def outages(self) -> Mapping[str, Outage]:
        """Every service that failed last, by name."""
        try:
            tree = json.loads(self._file.read_text(encoding="utf-8"))
            return {
                name: Outage(**{**row, "who": tuple(row.get("who", ()))})
                for name, row in tree.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # nothing is away, or a file of another version: found out anew

    def given_up(self) -> Mapping[str, Outage]:
        """The services that the run gave up."""
        return {name: row for name, row in self.outages().items() if row.given_up}

    def require(self, service: str) -> None:
        """Raise ``StillAway`` for a service that was given up and is not to be knocked at now."""
        row = self.given_up().get(service)
        if row is not None and self._clock() < row.next:
            raise _still_away_error(service, row, self._clock())

    def is_paused(self, service: str) -> bool:
        """Whether everybody waits for the service."""
        row = self.outages().get(service)
        return row is not None and row.paused

    def forget(self) -> None:
        """A new launch: what was away may be back."""
        self._file.unlink(missing_ok=True)

    def now(self) -> float:
        """Seconds less what this process spent waiting: the clock of time limits."""
        with self._counting:
            now = self._limits()
            return now - self._waited - (now - self._since if self._waiting else 0.0)

    def _attribute_failure(
        self,
        service: str,
        failure: BoundaryError,
        instance_id: str,
        check_service: Callable[[], None],
    ) -> tuple[BoundaryError, bool]:
        """The failure behind a failure, and whether it is the service's rather than the call's."""
        try:
            check_service()
        except BoundaryError as error:
            return error, True
        row = self.outages().get(service)
        others = (
            set(row.who) - {instance_id}
            if row is not None and row.kind == _failure_kind(failure)
            else set()
        )
        if len(others) + 1 >= self._patience(service).failures or (row and row.paused):
            return failure, True
        self._record_failure(service, failure, instance_id, pause=False)
        return failure, False

    def _wait_for_admission(
        self, service: str, has_failed_here: bool, on_pause: ShowMessage
    ) -> bool:
        """Returns when this call may be made; True for one that is a knock."""
        notified = False
        with contextlib.ExitStack() as stack:
            while self._any_outage():
                row = self.outages().get(service)
                if row is None or not (row.paused or has_failed_here):
                    return False
                patience, now = self._patience(service), self._clock()
                stopping = self._stopping()
                late = now - row.since - self._slept(row.since) >= patience.max_wait_seconds(row)
                if late and not (row.given_up or stopping):
                    self._give_up(service)
                    continue
                if now >= row.next and not stopping and self._claim_probe(service):
                    return True
                if row.given_up or stopping:
                    raise _still_away_error(service, row, now)
                if not notified:
                    notified = True
                    on_pause(f"held: {service}: {row.cause}")
                    stack.enter_context(self.stop_limit_clock())
                self._sleep(max(0.01, min(POLL_SECONDS, row.next - now)))
        return False

    def _any_outage(self) -> bool:
        """Whether anything at all is away."""
        return os.path.exists(self._name)  # noqa: PTH110  (asked four times a step)

    @contextmanager
    def stop_limit_clock(self) -> Iterator[None]:
        """Time that no limit counts; several threads of one process wait as one."""
        with self._counting:
            self._waiting += 1
            if self._waiting == 1:
                self._since = self._limits()
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1
                if not self._waiting:
                    self._waited += self._limits() - self._since

    def _refund_time(self, started_at: float) -> None:
        """A call that failed because its service is away takes no time from its attempt."""
        lost = self.now() - started_at  # what other threads gave back meanwhile is not in it twice
        with self._counting:
            self._waited += max(0.0, lost)

    def _claim_probe(self, service: str) -> bool:
        """True for the one that knocks; the next one's time is set."""
        with self._locked_state() as state:
            row, now = state.get(service), self._clock()
            if row is None or now < row.next:
                return row is None
            wait = self._patience(service).probe_delay(row.knocks + 1)
            state[service] = replace(row, next=now + wait)
            return True

    def _record_failure(
        self, service: str, error: BoundaryError, instance_id: str, *, pause: bool = True
    ) -> None:
        """Note a failure; from so many equal ones in a row on the service is paused."""
        patience, line = self._patience(service), ""
        with self._locked_state() as state:
            row, now, kind = state.get(service), self._clock(), _failure_kind(error)
            before = row or Outage(kind="", cause="", why="", since=now, equal=0, knocks=0)
            if not before.held:
                before = replace(before, since=now)
            same = before.kind == kind
            equal, knocks = (before.equal if same else 0) + 1, before.knocks + 1
            seen = [*(before.who if same else ()), *([instance_id] if instance_id else [])]
            enough = equal >= patience.failures or knocks >= 2 * patience.failures
            asked = error.after or 0.0 if isinstance(error, ModelError) else 0.0
            wait = max(patience.probe_delay(knocks), min(asked, MAX_RETRY_AFTER_SECONDS))
            after = replace(
                before,
                kind=kind,
                cause=short_cause(error),
                refused=error.for_people,
                why=" ".join(str(error).split())[:300],
                equal=equal,
                knocks=knocks,
                next=now + wait,
                held=before.held or pause,
                paused=before.paused or (pause and enough),
                who=tuple(dict.fromkeys(seen))[-patience.failures :],
            )
            state[service] = after
            if after.given_up:
                pass  # knocked at by the way: nobody waits for it
            elif after.paused and not before.paused:
                line = f"{service} is paused: {after.cause} ({after.why})"
            elif after.paused:
                line = f"{service}: still {after.cause}"
            if line:
                left = after.since + patience.max_wait_seconds(after) - now
                until = f"given up in {max(0.0, left):.0f} s" if left < inf else "it is coming back"
                line += f"; knocking again in {after.next - now:.0f} s, {until}"
        if line:
            self.notify(line)

    def _record_success(self, service: str) -> None:
        """A success: nothing is away any more, but for what the run is ending for."""
        if not self._any_outage():
            return
        with self._locked_state() as state:
            over = service in state and state[service].given_up and self._stopping()
            row = None if over else state.pop(service, None)
        if row is not None and row.paused:
            self.notify(f"{service} is back after {self._clock() - row.since:.0f} s")

    def _give_up(self, service: str) -> Outage | None:
        with self._locked_state() as state:
            row = state.get(service)
            if row is None or row.given_up:
                return row
            row = state[service] = replace(row, given_up=True, paused=True)
        waited = self._clock() - row.since
        self.notify(f"{service} is given up after {waited:.0f} s: {row.cause} ({row.why})")
        self._gave_up()
        return row

    @contextmanager
    def _locked_state(self) -> Iterator[dict[str, Outage]]:
        """The file's rows under its lock; written back whole, gone when there are none."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = dict(self.outages())
            state = dict(before)
            yield state
            if state == before:
                return
            if not state:
                self._file.unlink(missing_ok=True)
                return
            fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}.{threading.get_ident()}")
            rows: dict[str, Any] = {name: asdict(row) for name, row in state.items()}
            fresh.write_text(json.dumps(rows), encoding="utf-8")
            fresh.replace(self._file)


def _still_away_error(service: str, row: Outage, now: float) -> StillAway:
    return StillAway(f"{service}: {row.cause} for {now - row.since:.0f} s ({row.why})")


def short_cause(error: BoundaryError) -> str:
    """A failure in two or three words."""
    cause = error.cause or type(error).__name__
    status = _status_of(error)
    return f"{cause} (HTTP {status})" if status and not isinstance(error, RateLimited) else cause


def _failure_kind(error: BoundaryError) -> str:
    return f"{type(error).__name__} {_status_of(error)}".removesuffix(" 0")


def _status_of(error: BoundaryError) -> int:
    """HTTP status of a model's refusal; 0 where there was none."""
    return error.status if isinstance(error, ModelError) else 0
