"""Base of every single-tier router: choose one tier per issue, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable_attempts,
    fault_of,
    is_infra_failure,
    lack_of_money,
    money_left,
    rung_of,
    seeded_repeats,
    why_settled,
)
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try

K = TypeVar("K", bound=Knobs)


@dataclass(frozen=True)
class TierChoice:
    """A rung of the ladder, the reason, and the probability with which it was drawn."""

    rung: int
    why: str
    propensity: float = 1.0


class SingleTierPolicy(LadderPolicy[K]):
    """One tier per issue, chosen by ``choose``; another only when a provider failed.

    A tier that cannot be paid for is replaced by the next cheaper one that can.
    """

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The rung for an issue; each router implements its own."""
        raise NotImplementedError

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """Try the chosen tier; then stop, whatever the result."""
        if not history:
            choice = self.choose(features, budget)
            return self._try(choice, self._order(choice.rung, ()), budget)
        if settled := why_settled(history):
            return Stop(why=settled)
        reason = fault_of(history[-1])
        if not all(is_infra_failure(outcome) for outcome in history):
            return Stop(why=f"{reason}, and this policy tries one tier an issue")
        tried = {rung_of(self.ladder, outcome) for outcome in history}
        untried = self._order(max(tried), tried)
        if not untried:
            return Stop(why=f"{reason}, and no other tier is left")
        return self._try(
            TierChoice(untried[0], f"{reason}, which says nothing of the issue"), untried, budget
        )

    def plan_at(self, rung: int, budget: BudgetView) -> Plan:
        """The plan of a rung; a policy may give it phases of other tiers."""
        return self.ladder[rung]

    def _order(self, rung: int, tried: Sequence[int] | set[int]) -> list[int]:
        """The chosen rung, then the cheaper ones, then the more expensive ones."""
        order = [rung, *range(rung - 1, -1, -1), *range(rung + 1, len(self.ladder))]
        return [one for one in order if one not in tried and 0 <= one < len(self.ladder)]

    def _try(self, choice: TierChoice, order: Sequence[int], budget: BudgetView) -> RouteDecision:
        for rung in order:
            plan = self.plan_at(rung, budget)
            count = affordable_attempts(plan, self.knobs.candidates, budget.left)
            if count > 0:
                note = "" if rung == choice.rung else " (the money does not reach further)"
                return Try(
                    plans=seeded_repeats(plan, count, self.knobs.seed),
                    why=f"{choice.why}: try {plan.arm}{note}",
                    propensity=choice.propensity,
                )
        unpaid = (
            f"no tier's limit fits the {money_left(budget)}: left undone {lack_of_money(budget)}"
        )
        return Stop(why=f"{choice.why}; {unpaid}")
