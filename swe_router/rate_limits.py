"""Calls and tokens a minute that a tier may take, kept by all processes of a run together.

One small file in the run folder holds the calls of the last minute. A call gets its time under a
lock, in the order of asking, and waits for it: no minute has more calls than allowed.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from swe_router.errors import StillAway

MINUTE = 60.0
SHRINK = 0.8
"""What a refusal for too many calls leaves of an adaptive limit."""
GROW = 1.1
"""By how much it grows after as many answers in a row as it allows a minute."""
COOLDOWN = 15.0
"""Seconds in which further refusals shrink nothing: they are of the same burst."""
MAX_PAUSE = 60.0
"""Most seconds that a refusal holds the calls after it."""
POLL_SECONDS = 0.25
SAY_FROM = 1.0
"""Seconds of waiting from which on the reason is shown."""
_numbers = itertools.count()


@dataclass(frozen=True)
class RateLimit:
    """What one tier may take; None is no limit of its own."""

    rpm: int | None = None
    """Calls per minute."""
    tpm: int | None = None
    """Tokens per minute, prompts and answers together."""
    adaptive: bool = False
    """Find the limit: shrink it on HTTP 429, grow it on success; never above ``rpm``."""

    @property
    def limits(self) -> bool:
        """Whether there is anything to keep."""
        return self.adaptive or self.rpm is not None or self.tpm is not None


@dataclass
class _TimedCall:
    at: float
    """Unix seconds at which it may go."""
    tokens: int
    id: str


@dataclass
class _Service:
    calls: list[_TimedCall] = field(default_factory=list)
    """Of the last minute, and those that wait for their time; by time."""
    found: float | None = None
    """Calls per minute that adapting found; None before the first refusal."""
    good: int = 0
    """Answers in a row since it last changed."""
    shrunk: float = 0.0
    """When it shrank last."""
    pause: float = 0.0
    """No call goes before this time."""


class RatePacer:
    """The rates of one run's tiers.

    ``stopping`` ends a wait with ``StillAway``; ``stop_clock`` is held while a call waits, so that
    no time limit counts it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        stopping: Callable[[], bool] = lambda: False,
        stop_clock: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file, self._lock = folder / "rates.json", folder / "rates.lock"
        self._stopping, self._stop_clock = stopping, stop_clock
        self._clock, self._sleep = clock, sleep

    def admit(
        self,
        service: str,
        limit: RateLimit,
        tokens: int,
        notify: Callable[[str], None] = lambda why: None,
    ) -> str:
        """Wait until a call of about so many tokens may go; gives its id.

        Raises ``StillAway`` when the run is stopped meanwhile.
        """
        name = f"{os.getpid()}.{threading.get_ident()}.{next(_numbers)}"
        with contextlib.ExitStack() as stack:
            waits = False
            while True:
                with self._locked(service) as row:
                    mine = next((call for call in row.calls if call.id == name), None)
                    if mine is None or mine.at < row.pause:
                        row.calls = [call for call in row.calls if call.id != name]
                        mine = _TimedCall(
                            _next_time(row, limit, tokens, self._clock()), tokens, name
                        )
                        row.calls = sorted([*row.calls, mine], key=lambda call: call.at)
                wait = mine.at - self._clock()
                if wait <= 0:
                    return name
                if not waits:
                    stack.enter_context(self._stop_clock())
                    waits = True
                    if wait >= SAY_FROM:
                        notify(f"held: {service}: its rate limit, {wait:.0f} s")
                if self._stopping():
                    self._forget(service, name)
                    raise StillAway(f"{service}: the run stops while a call waits for its rate")
                self._sleep(min(wait, POLL_SECONDS))

    def answered(self, service: str, limit: RateLimit, call_id: str, tokens: int) -> None:
        """The call was answered and took so many tokens."""
        with self._locked(service) as row:
            _set_tokens(row, call_id, tokens)
            if row.found is None or not limit.adaptive:
                return
            row.good += 1
            if row.good >= row.found:
                row.good, row.found = 0, max(row.found + 1, row.found * GROW)
                row.found = row.found if limit.rpm is None else min(row.found, limit.rpm)

    def refused(self, service: str, limit: RateLimit, call_id: str, after: float | None) -> None:
        """The provider refused the call for its rate (HTTP 429); ``after``: its Retry-After."""
        now = self._clock()
        with self._locked(service) as row:
            _set_tokens(row, call_id, 0)
            if not limit.adaptive:
                return
            row.good, row.pause = 0, max(row.pause, now + min(after or 0.0, MAX_PAUSE))
            if now - row.shrunk < COOLDOWN:
                return
            row.shrunk = now
            made = sum(now - MINUTE < call.at <= now for call in row.calls)
            row.found = max(1.0, SHRINK * (row.found or min(made, limit.rpm or made)))

    def ended(self, service: str, call_id: str) -> None:
        """The call ended otherwise: it counts as a call, and its tokens as none."""
        with self._locked(service) as row:
            _set_tokens(row, call_id, 0)

    def found_rpm(self, service: str) -> float | None:
        """Calls per minute that adapting found so far; None before the first refusal."""
        return self._read().get(service, _Service()).found

    def _forget(self, service: str, call_id: str) -> None:
        with self._locked(service) as row:
            row.calls = [call for call in row.calls if call.id != call_id]

    def _read(self) -> dict[str, _Service]:
        try:
            tree = json.loads(self._file.read_text(encoding="utf-8"))
            return {name: _service_of(row) for name, row in tree.items()}
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return {}  # nothing was called yet, or a file of another version: it lasts a minute

    @contextmanager
    def _locked(self, service: str) -> Iterator[_Service]:
        """The service's row under the file's lock, without calls older than a minute."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = self._read()
            row = rows.setdefault(service, _Service())
            old = self._clock() - MINUTE
            row.calls = [call for call in row.calls if call.at > old]
            yield row
            fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}.{threading.get_ident()}")
            fresh.write_text(json.dumps({n: asdict(r) for n, r in rows.items()}), encoding="utf-8")
            fresh.replace(self._file)


def _service_of(row: dict[str, Any]) -> _Service:
    return _Service(**{**row, "calls": [_TimedCall(**call) for call in row["calls"]]})


def _set_tokens(row: _Service, call_id: str, tokens: int) -> None:
    for call in row.calls:
        if call.id == call_id:
            call.tokens = tokens


def _next_time(row: _Service, limit: RateLimit, tokens: int, now: float) -> float:
    """The earliest time, not before the calls that asked earlier, at which the limits hold."""
    rpm = _rpm_of(row, limit)
    at = max(now, row.pause, row.calls[-1].at if row.calls else 0.0)
    while True:
        minute = [call for call in row.calls if call.at > at - MINUTE]
        many = rpm is not None and len(minute) >= rpm
        used = sum(call.tokens for call in minute)
        # A call of more than a minute's tokens goes alone: it could never go otherwise.
        dear = limit.tpm is not None and bool(minute) and used + tokens > limit.tpm
        if not (many or dear):
            return at
        at = minute[0].at + MINUTE


def _rpm_of(row: _Service, limit: RateLimit) -> int | None:
    found = row.found if limit.adaptive else None
    known = [one for one in (limit.rpm, found) if one is not None]
    return max(1, int(min(known))) if known else None
