"""Whether an instance ended for lack of the run's money: a raised budget makes it pending again."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from swe_router.records import Features, Outcome, RecordedDecision, Stop, Try
from swe_router.seams import Policy
from swe_router.solve.imported_outcomes import accepted_import, decision_after_imports, own_outcomes

UNLIMITED_USD = Decimal(10) ** 12
"""USD that no run can have."""


def ended_for_lack_of_money(
    policy: Policy, features: Features, history: Sequence[Outcome], last_decision: RecordedDecision
) -> bool:
    """Whether the policy would have continued with more money in the run; pure, so replay asks too.

    ``last_decision`` is the last decision. A limit of the instance's own, and limits of its
    attempts, are not the run's money.
    """
    mine = own_outcomes(history)
    if not isinstance(last_decision.decision, Stop) or (
        not mine and accepted_import(history) is not None
    ):
        return False
    if "never stopped by itself" in last_decision.decision.why:
        return False
    rich = last_decision.purse.model_copy(
        update={"budget": last_decision.purse.budget + UNLIMITED_USD}
    )
    again = policy.restored(last_decision.state).decide(features, mine, rich)
    if isinstance(decision_after_imports(again, policy, history), Try):
        return True
    # Others took the money between the decision and the attempt: it was never begun.
    done = any(o.accepted and o.attempt.trajectory.exit == "submitted" for o in mine)
    return not done and any(one.never_begun for one in mine)
