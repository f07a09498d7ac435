"""Fixed: always the same tier, the baseline of every routing policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable_attempts,
    fault_of,
    is_trusted,
    money_left,
    plan_of_tier,
    required_tier,
    seeded_repeats,
    usd,
)
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try


class FixedKnobs(Knobs):
    """Knobs of ``fixed``."""

    tier: str = ""
    """Name of the tier; optional when the ladder has only one."""


class Fixed(LadderPolicy[FixedKnobs]):
    """One tier and one move for every issue, whatever the result."""

    name: ClassVar[str] = "fixed"
    source: ClassVar[str] = "every router's yardstick: always the same model"
    maturity: ClassVar[str] = "stable"
    knobs_type: ClassVar[type[Knobs]] = FixedKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` when the tier is not on the ladder, or is missing."""
        super().__init__(ladder, **knobs)
        if self.knobs.tier or len(self.ladder) > 1:
            required_tier(self.name, self.ladder, self.knobs.tier)

    @property
    def plan(self) -> Plan:
        """The one plan."""
        return plan_of_tier(self.name, self.ladder, self.knobs.tier) or self.ladder[0]

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """Try the tier once; then stop."""
        if history:
            accepted = [outcome for outcome in history if is_trusted(outcome)]
            if accepted:
                return Stop(why=f"{accepted[0].arm}'s patch was accepted")
            return Stop(why=f"{fault_of(history[-1])}, and no other tier is asked")
        plan = self.plan
        count = affordable_attempts(plan, self.knobs.candidates, budget.left)
        if count == 0:
            limit = f"{plan.arm}'s limit of {usd(plan.budget.dollars)}"
            return Stop(why=f"{limit} is over the {money_left(budget)}: left undone")
        return Try(
            plans=seeded_repeats(plan, count, self.knobs.seed),
            why=f"always {plan.arm}, at most {usd(plan.budget.dollars)} an attempt",
        )
