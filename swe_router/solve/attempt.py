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
from swe_router.solve.handover import HandedOver, hand_over
from swe_router.solve.verification import verdicts_on
from swe_router.solve.work_plans import earlier_work_plan

MAX_ENGINE_TRIES = 3
"""Maximum starts of one attempt: the first, and restarts after the sandbox engine was lost."""


@dataclass
class _AttemptState:
    """What is known of an attempt so far; filled in as it goes, read whatever ends it."""

    trajectory: Trajectory | None = None
    candidate: Candidate | None = None
    leak_report: LeakReport | None = None
    sandbox_identity: str = ""
    failure: BoundaryError | None = None
    exit: Exit = "broke"
    end_reasons: list[str] = field(default_factory=list)

    def mark_interrupted(self, reason: str) -> None:
        """It was interrupted, and a later launch continues it."""
        self.exit = "interrupted"
        self.end_reasons.append(reason)


@dataclass(frozen=True)
class PlannedAttempt:
    """One plan, before it is carried out."""

    instance: Instance
    plan: Plan
    id: str
    history: Sequence[Outcome]
    """All outcomes of the instance so far."""
    earlier_moves: Sequence[Outcome]
    """Outcomes of the moves before this one, which alone are handed over."""

    @property
    def key(self) -> str:
        """Ledger key: ``INSTANCE/ATTEMPT``."""
        return f"{self.instance.id}/{self.id}"


def carry_out(context: SolveContext, planned: PlannedAttempt) -> tuple[Outcome, ...]:
    """The outcome of a plan; two when the sandbox broke and the attempt was made again.

    That it broke is remembered before it is made again, for the repeat is paid for as well.
    """
    outcomes = list(context.memory.broken_outcomes(planned.id))
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
            context.memory.record_broken(outcomes[-1])
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
    context.memory.close_attempt(planned.id)
    arm, steps = str(planned.plan.arm), outcome.attempt.trajectory.steps
    context.progress(planned.instance.id, arm, steps, "verifying")
    peers = (*planned.history, *context.foreign_peers)
    made = verdicts_on(context.verification, planned.instance, outcome, peers)
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
    memory.record_step(attempt.id, last)
    ended = attempt.trajectory
    trajectory = Trajectory.of((*steps, last), ended.exit, ended.why)
    attempt = attempt.model_copy(update={"trajectory": trajectory})
    return outcome.model_copy(update={"attempt": attempt})


def _run_attempt(
    context: SolveContext, planned: PlannedAttempt, *, comes_back: bool
) -> tuple[Outcome, BoundaryError | None]:
    """The attempt as far as it came, without verdicts, and what broke it."""
    started = context.clock()
    instance, plan, state = planned.instance, planned.plan, _AttemptState()
    context.progress(instance.id, str(plan.arm), 0, "starting")
    try:
        context.require_reachable(plan)
        with context.budget.hold(plan.arm.model, plan.budget.dollars, planned.key) as hold:
            _run_in_sandbox(context, planned, state, hold, comes_back=comes_back)
    except LedgerRefused as error:
        state.exit, state.failure = "budget", None
        state.end_reasons.append(str(error))
    except StillAway as error:
        state.mark_interrupted(str(error))
    except BoundaryError as error:
        state.failure = error
    steps = tuple(context.memory.steps(planned.id))
    attempt = Attempt(
        id=planned.id,
        instance_id=instance.id,
        plan=plan,
        trajectory=state.trajectory or _broken_off_trajectory(steps, state),
        failure=as_failure(state.failure) if state.failure else None,
        seconds=max(0.0, context.clock() - started),
        leaks=state.leak_report,
        audit=context.audit_steps(steps, instance),
        sandbox=state.sandbox_identity,
    )
    return Outcome(attempt=attempt, candidate=state.candidate), state.failure


def _run_in_sandbox(
    context: SolveContext,
    planned: PlannedAttempt,
    state: _AttemptState,
    budget_hold: Any,
    *,
    comes_back: bool,
) -> None:
    instance, plan = planned.instance, planned.plan
    with context.open_sandbox(instance) as sandbox:
        state.sandbox_identity = sandbox.identity
        state.leak_report = context.guard_against_leaks(sandbox, instance)
        start_state = context.snapshot(sandbox)
        try:
            session = f"{instance.id}#{_try_number(plan, planned.history)}"
            model = context.model_for(plan, session, budget_hold)
            handed = _handover_for(context, planned, sandbox)
            attempt_context = context.attempt_context_for(plan, planned.id, instance.id, handed)
            known = earlier_work_plan(plan, planned.history, context.memory.steps)
            phases = context.phases_for(plan, session, budget_hold, known)
            state.trajectory = context.scaffold_for(plan.arm).solve(
                instance,
                model,
                sandbox,
                plan.budget,
                replace(attempt_context, comes_back=comes_back, phases=phases),
            )
        except LedgerRefused as error:
            state.exit = "budget"
            state.end_reasons.append(str(error))
        except StillAway as error:
            state.mark_interrupted(str(error))
        except BoundaryError as error:
            state.failure = error
        except KeyboardInterrupt:
            state.mark_interrupted("stopped by the user")
        if context.verification.verifiers and not context.stopping():
            context.before_verification(instance)
        state.candidate = _rescue_candidate(start_state, sandbox, planned.id, state)


def _rescue_candidate(
    start_state: Any, sandbox: Sandbox, attempt_id: str, state: _AttemptState
) -> Candidate | None:
    """The diff from the live sandbox, whatever ended the attempt."""
    try:
        candidate: Candidate = start_state.candidate(sandbox, attempt_id)
    except SandboxError as error:
        state.failure = state.failure or error
        return None
    return candidate


def _try_number(plan: Plan, history: Sequence[Outcome]) -> int:
    """How often this arm was tried on this instance, this time included."""
    before = [o for o in history if o.arm == plan.arm and o.attempt.failure is None]
    return 1 + len(before)


def _handover_for(context: SolveContext, planned: PlannedAttempt, sandbox: Sandbox) -> HandedOver:
    """What earlier attempts leave to this one; a patch that is continued is in the sandbox."""
    plan = planned.plan
    steps, max_bytes = context.memory.steps, context.max_handover_bytes(plan)
    handed = hand_over(plan, planned.earlier_moves, steps, max_bytes, workdir=sandbox.workdir)
    if not handed.patch_to_apply:
        return handed
    applied = context.apply_patch(sandbox, handed.patch_to_apply)
    if applied.exit_code == 0:
        return handed
    output = " ".join(applied.output.split())[:200]
    fallen = f"the patch of {handed.continued_attempt_id} does not apply: {output}"
    return hand_over(plan, planned.earlier_moves, steps, max_bytes, fallen, workdir=sandbox.workdir)


def _broken_off_trajectory(steps: Sequence[Step], state: _AttemptState) -> Trajectory:
    """The trajectory of an attempt that the scaffold did not end itself."""
    why = "; ".join(state.end_reasons) or (str(state.failure) if state.failure else "")
    return Trajectory.of(steps, state.exit, why)


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
