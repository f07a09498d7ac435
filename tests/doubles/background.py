"""Children that hear Ctrl-C, however the tests were started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

HEARS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""First lines of a child that is sent a SIGINT, ahead of anything else it does."""


@contextmanager
def in_background() -> Iterator[None]:
    """SIGINT is ignored, and by every child that is started inside: so a shell starts a job
    with ``&``, and so the tests themselves may have been started."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
