"""Sandboxes that are waited for while their engine or the store of their images is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from swe_router.breaker import Breaker
from swe_router.errors import EngineGone, UsageError
from swe_router.records import Instance

SERVICE = "sandbox"
"""The engine, its disk and its images as the breaker names them together."""


@dataclass(frozen=True)
class WaitingSandboxes:
    """A factory of sandboxes behind the run's breaker; ``held`` receives who waits, and why."""

    sandboxes: Callable[[], Any]
    """Makes the factory, which needs the engine to answer."""
    breaker: Breaker
    held: Callable[[str, str], None] = lambda instance, why: None

    @contextmanager
    def open(self, instance: Instance, *files: bytes) -> Iterator[Any]:
        """A sandbox of ``sandboxes``. Raises ``StillAway`` when the run gave up or stops."""
        with ExitStack() as stack:

            def opened() -> Any:
                try:
                    sandboxes = self.sandboxes()
                except UsageError as error:
                    raise EngineGone(str(error)) from None
                return stack.enter_context(sandboxes.open(instance, *files))

            yield self.breaker.call_when_available(
                SERVICE,
                opened,
                instance_id=instance.id,
                on_pause=lambda why: self.held(instance.id, why),
            )
