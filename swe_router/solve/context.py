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
from swe_router.seams import AttemptContext, AttemptPhases, Model, Sandbox, Scaffold, Selector
from swe_router.solve.handover import HandedOver
from swe_router.solve.verification import VerificationSetup


class StartState(Protocol):
    """The start state of a sandbox, against which the patch is taken."""

    def candidate(self, sandbox: Sandbox, attempt_id: str) -> Candidate:
        """What changed since the snapshot."""
        ...


class InstanceMemory(Protocol):
    """The durable memory of one instance (``InstanceLog``, or a list in tests)."""

    def record_decision(self, decided: RecordedDecision, attempts: Sequence[str]) -> None: ...  # noqa: D102
    def record_outcomes(
        self, outcomes: Sequence[Outcome], left_out: SkippedPlans | None = None
    ) -> None:
        """Keep the outcomes of one move, and the plans that early stopping skipped."""

    def record_broken(self, outcome: Outcome) -> None: ...  # noqa: D102
    def broken_outcomes(self, attempt_id: str) -> Sequence[Outcome]: ...  # noqa: D102
    def record_rescued(self, outcome: Outcome) -> None: ...  # noqa: D102
    def record_verified_imports(self, outcomes: Sequence[Outcome]) -> None: ...  # noqa: D102
    def verified_imports(self) -> Sequence[Outcome] | None: ...  # noqa: D102
    def moves(self) -> Sequence[Any]: ...  # noqa: D102
    def next_attempt_number(self) -> int: ...  # noqa: D102
    def record_step(self, attempt_id: str, step: Step) -> None: ...  # noqa: D102
    def steps(self, attempt_id: str) -> Sequence[Step]: ...  # noqa: D102
    def unused_answer(self, attempt_id: str) -> tuple[str, Completion] | None:
        """The request digest and answer that a killed process paid for and no step holds."""

    def close_attempt(self, attempt_id: str) -> None: ...  # noqa: D102


class RunBudget(Protocol):
    """The money as one instance sees it."""

    def view(self) -> BudgetView:
        """What is left now."""
        ...

    def wait_for_release(self) -> None:
        """Let a moment pass in which others may give money back."""
        ...

    def hold(self, tier: str, usd: Decimal, key: str) -> AbstractContextManager[Any]:
        """Money for one attempt; waits while others hold, raises ``LedgerRefused``."""
        ...


@dataclass(frozen=True)
class SolveContext:
    """Everything that ``solve`` needs for one instance."""

    budget: RunBudget
    memory: InstanceMemory
    selector: Selector
    open_sandbox: Callable[[Instance], AbstractContextManager[Sandbox]]
    guard_against_leaks: Callable[[Sandbox, Instance], LeakReport]
    snapshot: Callable[[Sandbox], StartState]
    apply_patch: Callable[[Sandbox, str], Result]
    audit_steps: Callable[[Sequence[Step], Instance], tuple[Finding, ...]]
    scaffold_for: Callable[[Arm], Scaffold]
    model_for: Callable[[Plan, str, Any], Model]
    """Plan, session name and hold -> a metered, retrying model."""
    verification: VerificationSetup
    """How candidates are verified; may open other sandboxes than attempts do."""
    attempt_context: Callable[[Plan], AttemptContext]
    """The tier's window, caps and dialect; ``attempt`` adds what is its own."""
    phases_for: Callable[[Plan, str, Any, str], AttemptPhases | None] = (
        lambda plan, session, hold, work_plan: None
    )
    """Plan, session name, hold and known work plan -> what other tiers do in the attempt."""
    require_reachable: Callable[[Plan], None] = lambda plan: None
    """Raises ``StillAway`` for a plan whose tier was given up, before its sandbox is opened."""
    max_handover_bytes: Callable[[Plan], int] = lambda plan: 0
    """UTF-8 bytes that an earlier conversation may take in the first message of an attempt."""
    make_code_search: Callable[[], Any] | None = None
    """A fresh code search over the graph, or None."""
    early_stop: bool = True
    """Leave out the plans of a move that cannot change the choice any more."""
    cross_evaluate: bool = True
    """Run the tests that later candidates brought on the earlier ones."""
    before_verification: Callable[[Instance], None] = lambda instance: None
    """Called shortly before the first sandbox for verification is opened."""
    imported: Sequence[Outcome] = ()
    """Candidates made elsewhere, to be verified before anything is tried."""
    foreign_peers: Sequence[Outcome] = ()
    """Attempts made elsewhere that left no candidate of theirs here; tests are taken from them."""
    sandbox_retries: int = 1
    """Times a whole attempt is made again when its sandbox broke."""
    clock: Callable[[], float] = lambda: 0.0
    stopping: Callable[[], bool] = lambda: False
    progress: Callable[[str, str, int, str], None] = lambda instance, arm, step, what: None

    def attempt_context_for(
        self, plan: Plan, attempt_id: str, instance_id: str, handed: HandedOver
    ) -> AttemptContext:
        """The context of one attempt."""
        past = tuple(self.memory.steps(attempt_id))

        def record(step: Step) -> None:
            self.memory.record_step(attempt_id, step)
            tier = step.completion.tier or str(plan.arm)
            self.progress(instance_id, tier, step.index + 1, "working")

        return replace(
            self.attempt_context(plan),
            record=record,
            clock=self.clock,
            stopping=self.stopping,
            search=self.make_code_search() if self.make_code_search else None,
            past=past,
            handover=handed.message,
            continued=handed.continued,
            note=handed.note,
            seed=plan.seed,
            variant=plan.variant,
        )
