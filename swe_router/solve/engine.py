"""The engine: decide, attempt, verify, decide again, select; a broken attempt is data, no crash."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from swe_router.records import (
    CrossRun,
    Features,
    Instance,
    Outcome,
    Provenance,
    RecordedDecision,
    RunRecord,
    SkippedPlans,
    Status,
    Stop,
    Try,
    Usage,
)
from swe_router.seams import Policy, Selector
from swe_router.solve.context import SolveContext
from swe_router.solve.cross_evaluation import matrix_of
from swe_router.solve.decision_maker import DecisionMaker
from swe_router.solve.imported_outcomes import own_outcomes, selectable_outcomes, verify_imported
from swe_router.solve.moves import (
    Interrupted,
    PlannedMove,
    attempt_ids,
    carry_out_plans,
    cross_runs,
)
from swe_router.solve.selection import checked_choice, selector_for
from swe_router.solve.unpaid import ended_for_lack_of_money


def solve(
    instance: Instance,
    features: Features,
    *,
    policy: Policy,
    context: SolveContext,
    run_name: str,
    provenance: Provenance | None = None,
) -> RunRecord:
    """One instance, to its record.

    Continues from the context's memory when an earlier process was killed: finished moves are
    taken as they stand, an unfinished one is carried out under its recorded decision.
    Raises ``Interrupted`` when the user asked to stop.
    """
    started = context.clock()
    selector = selector_for(policy, features, context.selector)
    decisions: list[RecordedDecision] = []
    left_out: list[SkippedPlans] = []
    history = verify_imported(context, instance)
    for move in context.memory.moves():
        decisions.append(move.decided)
        decision = move.decided.decision
        if isinstance(decision, Stop):
            break
        outcomes, left = move.outcomes, move.left_out
        if outcomes is None:
            planned = PlannedMove(len(decisions) - 1, decision, move.attempts, history)
            outcomes, left = carry_out_plans(context, instance, planned, selector)
        history += outcomes
        left_out += [left] if left else []
    maker = DecisionMaker(policy, features, context)
    while not (decisions and isinstance(decisions[-1].decision, Stop)):
        if context.stopping():
            raise Interrupted(instance.id)
        decided = maker.next_decision(history, moves_made=len(decisions))
        decisions.append(decided)
        if isinstance(decided.decision, Try):
            ids = attempt_ids(context.memory.next_attempt_number(), decided.decision.plans)
            context.memory.record_decision(decided, ids)
            planned = PlannedMove(len(decisions) - 1, decided.decision, ids, history)
            outcomes, left = carry_out_plans(context, instance, planned, selector)
            history += outcomes
            left_out += [left] if left else []
        else:
            context.memory.record_decision(decided, ())
    runs = cross_runs(context, instance, history)
    record = RunRecord(
        run=run_name,
        instance=instance,
        features=features,
        decisions=tuple(decisions),
        outcomes=tuple(history),
        status="empty",
        left_out=tuple(left_out),
        unpaid=ended_for_lack_of_money(policy, features, history, decisions[-1]),
        seconds=max(0.0, context.clock() - started),
        provenance=provenance or Provenance(),
    )
    return conclude(record, selector, runs)


def conclude(
    record: RunRecord, selector: Selector, extra_runs: Sequence[CrossRun] = ()
) -> RunRecord:
    """The record with all that follows from its decisions and outcomes: choice, status, sums.

    Pure, so that a replay does it again. ``extra_runs`` are results that no verdict holds; with
    them the matrix is whole.
    """
    matrix = matrix_of(record.outcomes, extra_runs)
    chosen = checked_choice(selector, selectable_outcomes(record.outcomes), matrix)
    own = own_outcomes(record.outcomes)
    last = record.decisions[-1].decision if record.decisions else Stop(why="no decision")
    return record.model_copy(
        update={
            "chosen": chosen.attempt_id if chosen else None,
            "status": status_of(own, chosen is not None),
            "stop": last.why,
            "matrix": matrix,
            "usage": sum((outcome.attempt.trajectory.usage for outcome in own), Usage()),
            "usd": sum((outcome.attempt.trajectory.usd for outcome in own), start=Decimal(0)),
        }
    )


def status_of(history: Sequence[Outcome], has_patch: bool) -> Status:
    """How an instance ended: with a candidate, without one, for lack of money, or by weather."""
    if has_patch:
        return "candidate"
    if not history or all(o.attempt.trajectory.exit == "budget" for o in history):
        return "budget"
    failures = [outcome.attempt.failure for outcome in history]
    if all(failure is not None and not failure.counts for failure in failures):
        return "infra"
    return "empty"
