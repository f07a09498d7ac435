"""One call, sent again while the provider is only busy; each try is a call of its own below."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swe_router import model_abilities
from swe_router.breaker import short_cause
from swe_router.errors import ModelError, NoAnswer, NoConnection, Overloaded, RateLimited
from swe_router.lazy_imports import deferred_module
from swe_router.records import CallLimits, Completion, Message, ToolSpec
from swe_router.seams import Model

if TYPE_CHECKING:
    import stamina
    from stamina import instrumentation
else:
    stamina = deferred_module("stamina")
    instrumentation = deferred_module("stamina.instrumentation")

LONGEST_WAIT = 120.0
"""Seconds; a provider that asks for more is asked again after this much."""


class RetryingModel:
    """Tries a model up to ``1 + retries`` times.

    ``NoConnection``, ``RateLimited`` and ``Overloaded`` are tried again after the provider's
    Retry-After, else after exponential backoff with jitter; ``NoAnswer``, which may have been
    billed, only once. ``first_wait`` and ``longest_wait`` are seconds. Nothing is tried again once
    ``over`` says that the attempt's time is up or the run is stopping. Put it around a
    ``MeteredModel``, so that the ledger sees each try. ``connecting``: try again where nobody could
    be reached; off where a ``WaitingModel`` around it waits for that. ``notify`` receives the cause
    and the wait of each retry.
    """

    def __init__(
        self,
        model: Model,
        retries: int,
        *,
        first_wait: float = 1.0,
        longest_wait: float = LONGEST_WAIT,
        over: Callable[[], bool] = lambda: False,
        connecting: bool = True,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._model, self._retries, self._over = model, retries, over
        self._connecting, self._notify = connecting, notify
        self._first_wait, self._longest_wait = first_wait, longest_wait

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, limits: CallLimits
    ) -> Completion:
        """See ``seams.Model``."""
        # stamina's own words name neither tier nor cause, and may go to stdout, where results go.
        instrumentation.set_on_retry_hooks([])
        tries = stamina.retry_context(
            on=self._decider(),
            attempts=1 + self._retries,
            timeout=None,
            wait_initial=self._first_wait,
            wait_max=self._longest_wait,
            wait_jitter=self._first_wait,
        )
        for attempt in tries:
            with attempt:
                return self._model.complete(messages, tools, limits=limits)
        raise AssertionError("stamina gave no attempt")  # pragma: no cover

    @property
    def gives_logprobs(self) -> bool:
        """See ``model_abilities.GivesLogprobs``."""
        return model_abilities.gives_logprobs(self._model)

    def _decider(self) -> Callable[[Exception], bool | float]:
        unanswered = tries = 0

        def again(error: Exception) -> bool | float:
            nonlocal unanswered, tries
            tries += 1
            if self._over():
                return False
            if isinstance(error, NoAnswer):
                unanswered += 1
                return self._waited(error, tries) if unanswered == 1 else False
            if isinstance(error, NoConnection) and not self._connecting:
                return False
            if not isinstance(error, NoConnection | RateLimited | Overloaded):
                return False
            return self._waited(error, tries)

        return again

    def _waited(self, error: ModelError, tries: int) -> float:
        """Seconds until the next try; as the provider asks, else twice the last time."""
        wait = self._first_wait * 2.0 ** (tries - 1) if error.after is None else error.after
        # Workers that were refused together should not come back together.
        wait = min(wait, self._longest_wait) + random.uniform(0, self._first_wait)  # noqa: S311
        if tries <= self._retries:
            of = f"try {tries + 1} of {1 + self._retries} in {wait:.0f} s"
            self._notify(f"{short_cause(error)}: {of}")
        return wait
