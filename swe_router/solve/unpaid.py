"""Whether an instance ended for lack of the run's money: a raised budget makes it pending again."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from swe_router.records import Features, Outcome, RecordedDecision, Stop, Try
from swe_router.seams import Policy
from swe_router.solve.imported_outcomes import accepted_import, made_here, passed_on

ENDLESS = Decimal(10) ** 12
"""USD that no run can have."""


def unpaid(
    policy: Policy, features: Features, history: Sequence[Outcome], decided: RecordedDecision
) -> bool:
    """Whether the policy would have continued with more money in the run; pure, so replay asks too.

    ``decided`` is the last decision. A limit of the instance's own, and limits of its attempts,
    are not the run's money.
    """
    mine = made_here(history)
    if not isinstance(decided.decision, Stop) or (
        not mine and accepted_import(history) is not None
    ):
        return False
    if "never stopped by itself" in decided.decision.why:
        return False
    rich = decided.purse.model_copy(update={"budget": decided.purse.budget + ENDLESS})
    again = policy.restored(decided.state).decide(features, mine, rich)
    if isinstance(passed_on(again, policy, history), Try):
        return True
    # Others took the money between the decision and the attempt: it was never begun.
    done = any(o.accepted and o.attempt.trajectory.exit == "submitted" for o in mine)
    return not done and any(one.never_begun for one in mine)
