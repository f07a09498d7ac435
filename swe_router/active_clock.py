"""The clock of time limits: Unix seconds less those in which this process could do nothing.

A laptop that sleeps, Ctrl-Z, a paused machine and a clock that is put forward look alike: between
two ticks of a thread lies far more time than there should. Such time counts against no limit.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

TICK_SECONDS = 1.0
"""Seconds between two looks at the clock."""
MIN_SUSPENSION_SECONDS = 6.0
"""Seconds between two looks from which the process was suspended; a busy machine makes some."""


class ActiveClock:
    """Counts the seconds in which a process ran; threads may share it."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        tick: float = TICK_SECONDS,
        min_gap: float = MIN_SUSPENSION_SECONDS,
        runs_ticker: bool = True,
    ) -> None:
        """``clock`` gives seconds; without ``runs_ticker`` somebody calls ``now`` each ``tick``."""
        self._clock, self._tick, self._least, self._ticking = clock, tick, min_gap, runs_ticker
        self._lock = threading.RLock()
        self._last = clock()
        self._slept: list[tuple[float, float]] = []
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def now(self) -> float:
        """Unix seconds, later by nothing for what was slept through."""
        with self._lock:
            self._ensure_ticker()
            moment = self._clock()
            passed = moment - self._last
            if passed >= self._least or passed < 0.0:
                slept = passed - self._tick if passed > 0.0 else passed
                self._slept.append((moment, slept))
            self._last = moment
            if not self._slept:
                return moment
            return moment - sum(seconds for _, seconds in self._slept)

    def slept_seconds_since(self, since: float) -> float:
        """Seconds slept through after the Unix second ``since``."""
        self.now()
        with self._lock:
            return sum(min(seconds, woke - since) for woke, seconds in self._slept if woke > since)

    def _ensure_ticker(self) -> None:
        """The thread of this process; a forked one has none of its parent's."""
        if self._ticking and (self._thread is None or self._process != os.getpid()):
            self._last, self._process = self._clock(), os.getpid()
            self._thread = threading.Thread(target=self._tick_forever, name="awake", daemon=True)
            self._thread.start()

    def _tick_forever(self) -> None:
        while True:
            time.sleep(self._tick)
            self.now()


_PROCESS_CLOCK = ActiveClock()
now = _PROCESS_CLOCK.now
slept_seconds_since = _PROCESS_CLOCK.slept_seconds_since
