"""One plan, carried out: sandbox, leak guard, agent, a patch whatever happens, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swe_router.codegraph.git_objects import RepoError
from swe_router.errors import (
    BoundaryError,
    LedgerRefused,
    ModelError,
    SandboxError,
    StillAway,
    VerifierError,
)
from swe_router.records import (
    Attempt,
    Candidate,
    Completion,
    Exit,
    Failure,
    Instance,
    LeakReport,
    Outcome,
    Plan,
    Step,
    Trajectory,
)
from swe_router.records.conversation import UNUSED_ANSWER
from swe_router.seams import Sandbox
from swe_router.solve.context import InstanceMemory, SolveContext
from swe_router.solve.handover import Handed, hand_over
from swe_router.solve.verification import verdicts

MAX_ENGINE_TRIES = 3
"""Maximum starts of one attempt: the first, and restarts after the sandbox engine was lost."""


@dataclass
class _AttemptState:
    """What is known of an attempt so far; filled in as it goes, read whatever ends it."""

    trajectory: Trajectory | None = None
    candidate: Candidate | None = None
    leaks: LeakReport | None = None
    sandbox: str = ""
    failure: BoundaryError | None = None
    exit: Exit = "broke"
    notes: list[str] = field(default_factory=list)

    def owed(self, why: str) -> None:
        """It was interrupted, and a later launch continues it."""
        self.exit = "interrupted"
        self.notes.append(why)


@dataclass(frozen=True)
class PlannedAttempt:
    """One plan, before it is carried out."""

    instance: Instance
    plan: Plan
    id: str
    history: Sequence[Outcome]
    """All outcomes of the instance so far."""
    before: Sequence[Outcome]
    """Outcomes of the moves before this one, which alone are handed over."""

    @property
    def key(self) -> str:
        """Ledger key: ``INSTANCE/ATTEMPT``."""
        return f"{self.instance.id}/{self.id}"


def carry_out(context: SolveContext, planned: PlannedAttempt) -> tuple[Outcome, ...]:
    """The outcome of a plan; two when the sandbox broke and the attempt was made again.

    That it broke is remembered before it is made again, for the repeat is paid for as well.
    """
    outcomes = list(context.memory.broken(planned.id))
    remembered = len(outcomes)
    if not outcomes:
        outcomes.append(_attempt_and_verify(context, planned))
    while len(outcomes) <= context.sandbox_retries:
        failure = outcomes[-1].attempt.failure
        if failure is None or failure.boundary != "sandbox" or not failure.retry:
            break
        if context.stopping():
            break
        if len(outcomes) > remembered:
            context.memory.broke(outcomes[-1])
        retry_id = f"{planned.id}.{len(outcomes) + 1}"
        history = (*planned.history, *outcomes)
        outcomes.append(
            _attempt_and_verify(context, replace(planned, id=retry_id, history=history))
        )
    return tuple(outcomes)


def _attempt_and_verify(context: SolveContext, planned: PlannedAttempt) -> Outcome:
    """The attempt; continued from its paid steps when the sandbox's engine went away under it.

    Opening the next sandbox waits until the engine is back.
    """
    left_over = context.memory.unused_answer(planned.id)
    for left in range(MAX_ENGINE_TRIES - 1, -1, -1):
        outcome, failure = _run_attempt(context, planned, comes_back=left > 0)
        gone = isinstance(failure, SandboxError) and failure.says_nothing_of_instance
        if not gone or context.stopping():
            break
    if outcome.attempt.trajectory.exit == "interrupted" or context.stopping():
        return outcome  # pending: a stop cuts commands short, so no verdict could be trusted
    if left_over is not None and left_over == context.memory.unused_answer(planned.id):
        outcome = _with_last_answer(context.memory, outcome, *left_over)
    context.memory.close(planned.id)
    arm, steps = str(planned.plan.arm), outcome.attempt.trajectory.steps
    context.progress(planned.instance.id, arm, steps, "verifying")
    peers = (*planned.history, *context.peers)
    made = verdicts(context.verification, planned.instance, outcome, peers)
    return outcome.model_copy(update={"verdicts": made})


def _with_last_answer(
    memory: InstanceMemory, outcome: Outcome, request: str, answer: Completion
) -> Outcome:
    """The outcome with the answer that a killed process paid for and this one did not reach.

    Its sandbox broke while the past steps were done again, or a limit was reached before: the
    answer is the last step, with no actions, so that the trajectory costs what was paid for it.
    """
    attempt = outcome.attempt
    steps = tuple(memory.steps(attempt.id))
    last = Step(index=len(steps), request=request, completion=answer, note=UNUSED_ANSWER)
    last = last.sealed(steps[-1].seal if steps else "")
    memory.record(attempt.id, last)
    ended = attempt.trajectory
    trajectory = Trajectory.of((*steps, last), ended.exit, ended.why)
    attempt = attempt.model_copy(update={"trajectory": trajectory})
    return outcome.model_copy(update={"attempt": attempt})


def _run_attempt(
    context: SolveContext, planned: PlannedAttempt, *, comes_back: bool
) -> tuple[Outcome, BoundaryError | None]:
    """The attempt as far as it came, without verdicts, and what broke it."""
    started = context.clock()
    instance, plan, course = planned.instance, planned.plan, _AttemptState()
    context.progress(instance.id, str(plan.arm), 0, "starting")
    try:
        context.ready(plan)
        with context.purse.hold(plan.arm.model, plan.budget.dollars, planned.key) as hold:
            _work(context, planned, course, hold, comes_back=comes_back)
    except LedgerRefused as error:
        course.exit, course.failure = "budget", None
        course.notes.append(str(error))
    except StillAway as error:
        course.owed(str(error))
    except BoundaryError as error:
        course.failure = error
    steps = tuple(context.memory.steps(planned.id))
    attempt = Attempt(
        id=planned.id,
        instance_id=instance.id,
        plan=plan,
        trajectory=course.trajectory or _trajectory(steps, course),
        failure=as_failure(course.failure) if course.failure else None,
        seconds=max(0.0, context.clock() - started),
        leaks=course.leaks,
        audit=context.audit(steps, instance),
        sandbox=course.sandbox,
    )
    return Outcome(attempt=attempt, candidate=course.candidate), course.failure


def _work(
    context: SolveContext,
    planned: PlannedAttempt,
    course: _AttemptState,
    hold: Any,
    *,
    comes_back: bool,
) -> None:
    instance, plan = planned.instance, planned.plan
    with context.open_sandbox(instance) as sandbox:
        course.sandbox = sandbox.identity
        course.leaks = context.guard(sandbox, instance)
        before = context.snapshot(sandbox)
        try:
            session = f"{instance.id}#{_session(plan, planned.history)}"
            model = context.model(plan, session, hold)
            handed = _handed(context, planned, sandbox)
            own = context.attempt_context_for(plan, planned.id, instance.id, handed)
            course.trajectory = context.scaffold(plan.arm).solve(
                instance, model, sandbox, plan.budget, replace(own, comes_back=comes_back)
            )
        except LedgerRefused as error:
            course.exit = "budget"
            course.notes.append(str(error))
        except StillAway as error:
            course.owed(str(error))
        except BoundaryError as error:
            course.failure = error
        except KeyboardInterrupt:
            course.owed("stopped by the user")
        if context.verification.verifiers and not context.stopping():
            context.soon_check(instance)
        course.candidate = _rescue(before, sandbox, planned.id, course)


def _rescue(
    before: Any, sandbox: Sandbox, attempt_id: str, course: _AttemptState
) -> Candidate | None:
    """The diff from the live sandbox, whatever ended the attempt."""
    try:
        candidate: Candidate = before.candidate(sandbox, attempt_id)
    except SandboxError as error:
        course.failure = course.failure or error
        return None
    return candidate


def _session(plan: Plan, history: Sequence[Outcome]) -> int:
    """How often this arm was tried on this instance, this time included."""
    before = [o for o in history if o.arm == plan.arm and o.attempt.failure is None]
    return 1 + len(before)


def _handed(context: SolveContext, planned: PlannedAttempt, sandbox: Sandbox) -> Handed:
    """What earlier attempts leave to this one; a patch that is continued is in the sandbox."""
    plan = planned.plan
    steps, room = context.memory.steps, context.room(plan)
    handed = hand_over(plan, planned.before, steps, room, workdir=sandbox.workdir)
    if not handed.patch:
        return handed
    applied = context.apply(sandbox, handed.patch)
    if applied.exit_code == 0:
        return handed
    output = " ".join(applied.output.split())[:200]
    fallen = f"the patch of {handed.attempt} does not apply: {output}"
    return hand_over(plan, planned.before, steps, room, fallen, workdir=sandbox.workdir)


def _trajectory(steps: Sequence[Step], course: _AttemptState) -> Trajectory:
    """The trajectory of an attempt that the scaffold did not end itself."""
    why = "; ".join(course.notes) or (str(course.failure) if course.failure else "")
    return Trajectory.of(steps, course.exit, why)


def as_failure(error: BoundaryError) -> Failure:
    """A broken boundary as data."""
    kinds = (
        (ModelError, "model"),
        (SandboxError, "sandbox"),
        (
            RepoError,
            "sandbox",
        ),  # of a local sandbox: every tier would start from the same repository
        (VerifierError, "verifier"),
    )
    boundary = next((name for kind, name in kinds if isinstance(error, kind)), "scaffold")
    return Failure(
        kind=type(error).__name__,
        boundary=boundary,
        message=str(error),
        retry=error.retry,
        counts=error.counts,
    )
