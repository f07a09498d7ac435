"""Candidates that an instance came with: verified first, taken without a decision if accepted."""

from __future__ import annotations

from collections.abc import Sequence

from swe_router.policy_abilities import DeclaresHandover, HasKnobs, WeighsEscalations
from swe_router.records import IMPORTED, Instance, Outcome, RouteDecision, RunRecord, Stop, Try
from swe_router.seams import Policy
from swe_router.solve.context import SolveContext
from swe_router.solve.moves import Interrupted
from swe_router.solve.verification import verify_together


def verify_imported(context: SolveContext, instance: Instance) -> tuple[Outcome, ...]:
    """The outcomes of what the instance came with, from memory where they were verified before.

    Raises ``Interrupted`` when the user asked to stop meanwhile: they are verified again then.
    """
    if not context.imported:
        return ()
    known = context.memory.verified_imports()
    if known is not None:
        return tuple(known)
    if context.stopping():
        raise Interrupted(instance.id)
    context.progress(instance.id, IMPORTED, 0, "verifying")
    outcomes = verify_together(
        context.verification, instance, context.imported, context.foreign_peers
    )
    if context.stopping():
        raise Interrupted(instance.id)
    context.memory.record_verified_imports(outcomes)
    return outcomes


def accepted_import(outcomes: Sequence[Outcome]) -> Stop | None:
    """Why nothing is tried: a candidate that the instance came with was accepted; pure."""
    accepted = [one for one in outcomes if one.imported and one.accepted]
    if not accepted:
        return None
    named = " ".join(dict.fromkeys(one.attempt.source for one in accepted if one.attempt.source))
    return Stop(why=f"the candidate it came with was accepted: {named or accepted[0].attempt.id}")


def selectable_outcomes(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """What may be handed in: where an accepted candidate ended it, the accepted ones. Pure.

    A selector may count votes; what it chooses here must be what the instance stopped for.
    """
    if accepted_import(outcomes) is None or own_outcomes(outcomes):
        return outcomes
    return [one for one in outcomes if one.accepted]


def decision_after_imports(
    decision: RouteDecision, policy: Policy, outcomes: Sequence[Outcome]
) -> RouteDecision:
    """The decision, given what the instance came with, which a policy does not see. Pure.

    It ends as HOPELESS where the policy's knobs name a value and the refused candidates leave
    too little of it, and it begins with their work where the policy hands work over.
    """
    if not isinstance(decision, Try) or not any(one.imported for one in outcomes):
        return decision
    knobs = policy.knobs if isinstance(policy, HasKnobs) else None
    if isinstance(knobs, WeighsEscalations):
        given_up = knobs.why_stop(outcomes, decision.plans[0])
        if given_up:
            return Stop(why=given_up)
    mode = knobs.handover if isinstance(knobs, DeclaresHandover) else "fresh"
    if mode == "fresh":
        return decision
    plans = tuple(plan.model_copy(update={"handover": mode}) for plan in decision.plans)
    return decision.model_copy(update={"plans": plans})


def own_outcomes(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """What a policy looks back on: its own attempts, so that each policy decides as if fresh."""
    return tuple(one for one in outcomes if not one.imported)


def without_imports(record: RunRecord) -> RunRecord:
    """The record as a policy learns from it: without what no arm of its own made."""
    mine = own_outcomes(record.outcomes)
    return (
        record
        if len(mine) == len(record.outcomes)
        else record.model_copy(update={"outcomes": mine})
    )
