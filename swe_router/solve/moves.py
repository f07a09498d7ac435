"""One move: its plans carried out, as long as they may still change the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from swe_router.policy_abilities import SupportsEarlyStop
from swe_router.records import CrossRun, Instance, Outcome, Plan, SkippedPlans, Try
from swe_router.seams import Selector
from swe_router.solve import cross_evaluation
from swe_router.solve.attempt import PlannedAttempt, carry_out
from swe_router.solve.compared_again import compared_again
from swe_router.solve.context import SolveContext
from swe_router.verifier_abilities import shares_tests


class Interrupted(Exception):
    """The user asked to stop; what was done is in the instance's memory and pending."""


@dataclass(frozen=True)
class PlannedMove:
    """A decision to try plans, before they are carried out."""

    decision_index: int
    """Place of the decision in ``RunRecord.decisions``, from 0."""
    decision: Try
    attempt_ids: Sequence[str]
    """Ids, one per plan."""
    earlier_outcomes: tuple[Outcome, ...]
    """Outcomes of the moves before."""


def carry_out_plans(
    context: SolveContext, instance: Instance, move: PlannedMove, selector: Selector
) -> tuple[tuple[Outcome, ...], SkippedPlans | None]:
    """The outcomes of a move's plans, and the plans that were left out.

    Raises ``Interrupted`` when the user asked to stop.
    """
    outcomes: tuple[Outcome, ...] = ()
    left_out = None
    for place, (plan, attempt_id) in enumerate(
        zip(move.decision.plans, move.attempt_ids, strict=True)
    ):
        outcomes_so_far = (*move.earlier_outcomes, *outcomes)
        why = ""
        if context.early_stop and outcomes:
            why = why_settled(selector, outcomes_so_far, len(move.attempt_ids) - place)
        if why:
            left_out = SkippedPlans(
                move=move.decision_index, attempts=tuple(move.attempt_ids[place:]), why=why
            )
            break
        planned = PlannedAttempt(instance, plan, attempt_id, outcomes_so_far, move.earlier_outcomes)
        made = carry_out(context, planned)
        stopped = any(outcome.attempt.trajectory.exit == "interrupted" for outcome in made)
        if stopped or context.stopping():
            # Even if the attempt finished, the stop may have cut its verification short or refused
            # its money. Its paid steps are on record and its diff is kept.
            context.memory.record_rescued(made[-1])
            raise Interrupted(instance.id)
        outcomes += made
    others = (*move.earlier_outcomes, *context.foreign_peers)
    compared = compared_again(context.verification, instance, outcomes, others)
    if compared is not outcomes and context.stopping():
        raise Interrupted(instance.id)  # a comparison may have been cut short
    context.memory.record_outcomes(compared, left_out)
    return compared, left_out


def why_settled(selector: Selector, outcomes: Sequence[Outcome], candidates_left: int) -> str:
    """Why the choice stays whatever the ``candidates_left`` planned ones are, or nothing."""
    return (
        selector.settled(outcomes, candidates_left)
        if isinstance(selector, SupportsEarlyStop)
        else ""
    )


def attempt_ids(first_number: int, plans: Sequence[Plan]) -> list[str]:
    """One id per plan; attempts of an instance count up."""
    return [f"{first_number + offset}-{plan.arm.model}" for offset, plan in enumerate(plans)]


def cross_runs(
    context: SolveContext, instance: Instance, history: Sequence[Outcome]
) -> tuple[CrossRun, ...]:
    """The tests that later candidates brought, run on the earlier ones.

    Raises ``Interrupted`` when the user asked to stop meanwhile: it is done again then.
    """
    sharing = [one for _, one in context.verification.verifiers if shares_tests(one)]
    if not context.cross_evaluate or not sharing or not history:
        return ()
    context.progress(instance.id, "", 0, "comparing candidates")
    made = replace(context.verification, writer_for=None, judge_for=None).context_of(
        history[-1].attempt.id
    )
    runs = tuple(
        run
        for verifier in sharing
        for run in cross_evaluation.run_missing_tests(
            history, instance, made, verifier, context.verification.max_sandboxes
        )
    )
    if context.stopping():
        raise Interrupted(instance.id)
    return runs
