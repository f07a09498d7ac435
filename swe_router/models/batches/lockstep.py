"""Many instances in one process: a few work at a time, the others wait for their batch.

When nobody works any more, whatever is to be sent goes out in one batch. What a batch brings back
wakes everybody at once: only as many work then as there are places, so that no command of an agent
runs into its time limit because all the others run too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Lockstep:
    """The instances that are under way in this process.

    ``places``: how many of them may work at a time. ``on_idle`` is called whenever one begins to
    wait or ends. ``clock`` gives seconds.
    """

    def __init__(
        self,
        places: int,
        *,
        on_idle: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._lock = threading.Lock()
        self._members = self._idle = self._joined = 0
        self.expected = 0
        """Instances that are about to begin: nobody is alone before they have."""
        self._changed, self._clock = clock(), clock
        self.on_idle = on_idle

    @contextmanager
    def member(self) -> Iterator[Member]:
        """An instance, from its beginning to its end."""
        self._count(members=1)
        self._places.acquire()
        try:
            yield Member(self)
        finally:
            self._places.release()
            self._count(members=-1)

    def idle_seconds(self) -> float:
        """Seconds since which everybody waits; 0 while somebody works, or is about to."""
        with self._lock:
            waits = self._idle == self._members and self._joined >= self.expected
            return self._clock() - self._changed if waits else 0.0

    def leave_place(self) -> None:
        """The calling instance waits for something; its place is free."""
        self._places.release()
        self._count(idle=1)

    def take_place(self) -> None:
        """The calling instance goes on as soon as there is a place."""
        self._count(idle=-1)
        self._places.acquire()

    def _count(self, *, members: int = 0, idle: int = 0) -> None:
        with self._lock:
            self._members += members
            self._joined += max(0, members)
            self._idle += idle
            self._changed = self._clock()
        self.on_idle()


class Member:
    """One instance; several threads of it may wait at a time, and count as one."""

    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        self._lock = threading.Lock()
        self._waiting = 0

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Wait for something that takes no work of this process."""
        with self._lock:
            self._waiting += 1
            if self._waiting == 1:
                self._lockstep.leave_place()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                last = not self._waiting
                if last:
                    self._lockstep.take_place()

    def sleep(self, seconds: float) -> None:
        """``time.sleep`` that leaves the place to others."""
        with self.idle():
            time.sleep(seconds)
