"""The work plan that an earlier attempt at the same issue paid for, so that it is paid for once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from swe_router import toolcalls
from swe_router.records import Outcome, Plan, Step, phase_of


def earlier_work_plan(
    plan: Plan, history: Sequence[Outcome], steps: Callable[[str], Sequence[Step]]
) -> str:
    """The plan that the same planner wrote in an earlier attempt; empty where it must write one.

    Pure, so that a replay finds the same: ``history`` holds the outcomes before this attempt.
    """
    planner = phase_of(plan.phases, "planner")
    if planner is None:
        return ""
    for outcome in history:
        theirs = phase_of(outcome.attempt.plan.phases, "planner")
        if theirs is not None and theirs.tier == planner.tier:
            found = _written_plan(steps(outcome.attempt.id), planner.tier)
            if found:
                return found
    return ""


def _written_plan(steps: Sequence[Step], planner: str) -> str:
    """The last answer of the planner before the arm began; empty where there is none."""
    for before, step in pairwise(steps):
        begun = step.phase is not None and step.phase.role == "executor"
        if begun and before.completion.tier == planner:
            return toolcalls.plain_answer(before.completion.message)
    return ""
