"""The sandboxes of a run in one process, for attempts and for verifiers, some started early."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from swe_router import recorded_verdicts
from swe_router.breaker import Breaker
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.records import Instance
from swe_router.sandboxes.waiting_factory import WaitingSandboxes
from swe_router.sandboxes.warm_pool import WarmSandboxes


class SandboxPools:
    """Sandboxes of a run; while the engine is away, they are waited for."""

    def __init__(
        self, run: RunFolder, header: Header, make_factory: Callable[[], Any], breaker: Breaker
    ) -> None:
        """``make_factory`` makes the factory of sandboxes, which needs the engine to answer."""
        self._run, self._factory, self._breaker = run, make_factory, breaker
        sandbox = header.settings.sandbox
        # Local sandboxes start at once, and end with the thread that opened them.
        self._ahead = sandbox.warm if header.sandbox == "docker" else 0
        self._tests = recorded_verdicts.any_trait(
            header.settings.verify.names, lambda one: one.runs_tests
        )
        self.held: Callable[[str, str], None] = lambda instance, why: None
        """Called with the instance that waits for its sandbox, and the reason."""

    @cached_property
    def for_attempts(self) -> WaitingSandboxes | WarmSandboxes:
        """Sandboxes for attempts."""
        held = WaitingSandboxes(self._factory, self._breaker, self._report_wait)
        return self._warm_pool(held, 0) if self._ahead else held

    @cached_property
    def for_verifiers(self) -> WarmSandboxes | None:
        """Sandboxes for verifiers, where those of attempts do not serve."""
        if not self._ahead:
            return None
        # Where no test is run each patch needs one sandbox.
        return self._warm_pool(
            WaitingSandboxes(self._factory, self._breaker), self._ahead if self._tests else 0
        )

    def start_attempt_sandbox(self, instance: Instance) -> None:
        """Start the sandbox of the first attempt while the repository is read."""
        if isinstance(self.for_attempts, WarmSandboxes):
            self.for_attempts.soon(instance)

    def start_verifier_sandbox(self, instance: Instance) -> None:
        """Start the first sandbox for verifiers while the patch is captured."""
        if self.for_verifiers is not None:
            self.for_verifiers.soon(instance)

    def remove_idle(self, instance: Instance) -> None:
        """Remove the idle sandboxes of an instance."""
        for pool in (self.for_attempts, self.for_verifiers):
            if isinstance(pool, WarmSandboxes):
                pool.rest(instance)

    def _report_wait(self, instance: str, why: str) -> None:
        self.held(instance, why)  # each job has its own

    def _warm_pool(self, held: WaitingSandboxes, ahead: int) -> WarmSandboxes:
        return WarmSandboxes(held, ahead=ahead, stopping=self._run.stopping)
