"""Who decides the next move of one instance: an accepted import, or the policy and its money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from swe_router.records import (
    BudgetView,
    Features,
    Outcome,
    RecordedDecision,
    RouteDecision,
    Stop,
    Try,
)
from swe_router.seams import Policy
from swe_router.solve.context import SolveContext
from swe_router.solve.imported_outcomes import accepted_import, decision_after_imports, own_outcomes
from swe_router.solve.moves import Interrupted

MAX_MOVES = 32
"""A policy that never stops is stopped: 32 moves are more than any ladder needs."""


@dataclass(frozen=True)
class DecisionMaker:
    """Makes the decisions of one instance, each from its history."""

    policy: Policy
    features: Features
    context: SolveContext

    def next_decision(self, history: Sequence[Outcome], *, moves_made: int) -> RecordedDecision:
        """The next decision after ``moves_made`` others, with all that the policy saw.

        A policy sees no imported outcomes: an accepted one ends the instance before it is asked.
        Raises ``Interrupted`` when the run is asked to stop while money is waited for.
        """
        accepted = None if moves_made else accepted_import(history)
        if accepted is not None:
            return RecordedDecision(decision=accepted, purse=self.context.budget.view())
        decided = self._policy_decision(own_outcomes(history), moves_made)
        handed = decision_after_imports(decided.decision, self.policy, history)
        return decided.model_copy(update={"decision": handed})

    def _policy_decision(self, history: Sequence[Outcome], moves_made: int) -> RecordedDecision:
        """The policy's decision; waits for money that other attempts may give back."""
        context = self.context
        purse = context.budget.view()
        decision: RouteDecision
        if moves_made >= MAX_MOVES:
            why = f"stopped after {MAX_MOVES} moves: the policy never stopped by itself"
            decision = Stop(why=why)
        else:
            decision = self.policy.decide(self.features, history, purse)
            while self._waits_for_money(history, purse, decision):
                if context.stopping():
                    raise Interrupted(self.features.instance_id)
                waiting = "waiting for money that others hold"
                context.progress(self.features.instance_id, "", 0, waiting)
                context.budget.wait_for_release()
                purse = context.budget.view()
                decision = self.policy.decide(self.features, history, purse)
        state = dict(self.policy.state())
        return RecordedDecision(decision=decision, purse=purse, state=state)

    def _waits_for_money(
        self, history: Sequence[Outcome], purse: BudgetView, decision: RouteDecision
    ) -> bool:
        """True when it stops only because of money that other attempts hold and may give back."""
        if not isinstance(decision, Stop) or purse.reserved <= 0:
            return False
        if_released = purse.model_copy(update={"reserved": Decimal(0)})
        return isinstance(self.policy.decide(self.features, history, if_released), Try)
