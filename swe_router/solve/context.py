"""What one instance is worked on with: every tool as a Protocol or a callable, wired elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from swe_router.records import (
    Arm,
    BudgetView,
    Candidate,
    Completion,
    Finding,
    Instance,
    LeakReport,
    Outcome,
    Plan,
    RecordedDecision,
    Result,
    SkippedPlans,
    Step,
)
from swe_router.seams import AttemptContext, Model, Sandbox, Scaffold, Selector
from swe_router.solve.handover import Handed
from swe_router.solve.verification import VerificationSetup


class StartState(Protocol):
    """The start state of a sandbox, against which the patch is taken."""

    def candidate(self, sandbox: Sandbox, attempt_id: str) -> Candidate:
        """What changed since the snapshot."""
        ...


class InstanceMemory(Protocol):
    """The durable memory of one instance (``InstanceLog``, or a list in tests)."""

    def decided(self, decided: RecordedDecision, attempts: Sequence[str]) -> None: ...  # noqa: D102
    def outcomes(self, outcomes: Sequence[Outcome], left_out: SkippedPlans | None = None) -> None:
        """Keep the outcomes of one move, and the plans that early stopping skipped."""

    def broke(self, outcome: Outcome) -> None: ...  # noqa: D102
    def broken(self, attempt_id: str) -> Sequence[Outcome]: ...  # noqa: D102
    def rescued(self, outcome: Outcome) -> None: ...  # noqa: D102
    def verified(self, outcomes: Sequence[Outcome]) -> None: ...  # noqa: D102
    def imported(self) -> Sequence[Outcome] | None: ...  # noqa: D102
    def moves(self) -> Sequence[Any]: ...  # noqa: D102
    def next_number(self) -> int: ...  # noqa: D102
    def record(self, attempt_id: str, step: Step) -> None: ...  # noqa: D102
    def steps(self, attempt_id: str) -> Sequence[Step]: ...  # noqa: D102
    def unused_answer(self, attempt_id: str) -> tuple[str, Completion] | None:
        """The request digest and answer that a killed process paid for and no step holds."""

    def close(self, attempt_id: str) -> None: ...  # noqa: D102


class RunBudget(Protocol):
    """The money as one instance sees it."""

    def view(self) -> BudgetView:
        """What is left now."""
        ...

    def wait(self) -> None:
        """Let a moment pass in which others may give money back."""
        ...

    def hold(self, tier: str, usd: Decimal, key: str) -> AbstractContextManager[Any]:
        """Money for one attempt; waits while others hold, raises ``LedgerRefused``."""
        ...


@dataclass(frozen=True)
class SolveContext:
    """Everything that ``solve`` needs for one instance."""

    purse: RunBudget
    memory: InstanceMemory
    selector: Selector
    open_sandbox: Callable[[Instance], AbstractContextManager[Sandbox]]
    guard: Callable[[Sandbox, Instance], LeakReport]
    snapshot: Callable[[Sandbox], StartState]
    apply: Callable[[Sandbox, str], Result]
    audit: Callable[[Sequence[Step], Instance], tuple[Finding, ...]]
    scaffold: Callable[[Arm], Scaffold]
    model: Callable[[Plan, str, Any], Model]
    """Plan, session name and hold -> a metered, retrying model."""
    verification: VerificationSetup
    """How candidates are verified; may open other sandboxes than attempts do."""
    attempt_context: Callable[[Plan], AttemptContext]
    """The tier's window, caps and dialect; ``attempt`` adds what is its own."""
    ready: Callable[[Plan], None] = lambda plan: None
    """Raises ``StillAway`` for a plan whose tier was given up, before its sandbox is opened."""
    room: Callable[[Plan], int] = lambda plan: 0
    """UTF-8 bytes that an earlier conversation may take in the first message of an attempt."""
    search: Callable[[], Any] | None = None
    """A fresh code search over the graph, or None."""
    early_stop: bool = True
    """Leave out the plans of a move that cannot change the choice any more."""
    cross: bool = True
    """Run the tests that later candidates brought on the earlier ones."""
    soon_check: Callable[[Instance], None] = lambda instance: None
    """Called shortly before the first sandbox for verification is opened."""
    came_with: Sequence[Outcome] = ()
    """Candidates made elsewhere, to be verified before anything is tried."""
    peers: Sequence[Outcome] = ()
    """Attempts made elsewhere that left no candidate of theirs here; tests are taken from them."""
    sandbox_retries: int = 1
    """Times a whole attempt is made again when its sandbox broke."""
    clock: Callable[[], float] = lambda: 0.0
    stopping: Callable[[], bool] = lambda: False
    progress: Callable[[str, str, int, str], None] = lambda instance, arm, step, what: None

    def attempt_context_for(
        self, plan: Plan, attempt_id: str, instance_id: str, handed: Handed
    ) -> AttemptContext:
        """The context of one attempt."""
        past = tuple(self.memory.steps(attempt_id))

        def record(step: Step) -> None:
            self.memory.record(attempt_id, step)
            self.progress(instance_id, str(plan.arm), step.index + 1, "working")

        return replace(
            self.attempt_context(plan),
            record=record,
            clock=self.clock,
            stopping=self.stopping,
            search=self.search() if self.search else None,
            past=past,
            handover=handed.text,
            continued=handed.continued,
            note=handed.note,
            seed=plan.seed,
            variant=plan.variant,
        )
