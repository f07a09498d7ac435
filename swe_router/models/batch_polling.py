"""When to ask for a batch again: often while it is young, seldom while it is old."""

from __future__ import annotations

import random
from collections.abc import Callable

from swe_router.errors import ModelError
from swe_router.model_abilities import BatchService, BatchState

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 120.0
_SHARE = 0.1
"""Of a batch's age: so its end is noticed late by a tenth of what it took, at most."""
_FAILURES = 8
"""Failures in a row after which no wait grows any more."""


def wait_before_poll(
    age: float,
    *,
    failures: int = 0,
    after: float | None = None,
    first: float = FIRST_SECONDS,
    longest: float = LONGEST_SECONDS,
) -> float:
    """Seconds until a batch of this ``age`` (seconds) should be polled again.

    ``failures`` counts the polls in a row that raised, each of which doubles the wait; ``after``
    is what the provider asks for (Retry-After), which goes before all else.
    """
    if after is not None:
        return min(max(after, 0.0), longest)
    wait = max(first, age * _SHARE)
    return min(wait * 2.0 ** min(failures, _FAILURES), longest)


def wait_until_ended(
    service: BatchService,
    batch_id: str,
    *,
    since: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    over: Callable[[], bool] = lambda: False,
    first: float = FIRST_SECONDS,
    longest: float = LONGEST_SECONDS,
) -> BatchState | None:
    """The state of a batch once it has ended; None when ``over`` became true first.

    ``since`` is when the batch was made, by ``clock`` (seconds). Raises what ``poll`` raises where
    asking again is of no use: a batch that is gone, a key or an account that is refused.
    """
    failures, after = 0, None
    while not over():
        try:
            state = service.poll(batch_id)
        except ModelError as error:
            if error.for_people or not error.retry:
                raise
            failures, after = failures + 1, error.after
        else:
            if state.phase == "ended":
                return state
            failures, after = 0, None
        wait = wait_before_poll(
            clock() - since, failures=failures, after=after, first=first, longest=longest
        )
        # Runs that were started together should not ask together.
        sleep(wait * random.uniform(0.9, 1.1))  # noqa: S311
    return None
