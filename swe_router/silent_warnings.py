"""Python's warnings turned off for a while, by any number of threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_lock = threading.Lock()
_restore_stack = ExitStack()
_thread_count = 0


@contextmanager
def no_warnings() -> Iterator[None]:
    """Nothing in this process warns until the last thread in here has left.

    ``warnings.catch_warnings`` puts back what it found: of two threads that overlap, the second
    would find the silence of the first and put that back for good.
    """
    global _thread_count  # noqa: PLW0603  (how many threads are in here is a fact of the process)
    with _lock:
        if _thread_count == 0:
            _restore_stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _thread_count += 1
    try:
        yield
    finally:
        with _lock:
            _thread_count -= 1
            if _thread_count == 0:
                _restore_stack.close()
