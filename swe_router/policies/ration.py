"""Ration: under a hard cap, reserve money for the remaining cheap runs and escalate with the rest.

A greedy cascade spends the cap on the first issues and never reaches the last ones. Here an issue
that the tier below did not solve is escalated with probability

    p = (left - remaining * c_weak) / ((1 + remaining * reject) * c_next),  clipped to [0, 1]

where ``remaining`` counts the other instances not yet concluded, ``c`` are expected costs and
``reject`` is the expected share of cheap patches that will not be trusted. The random number is
a function of (seed, instance, rung), so a replay draws the same; the propensity is recorded. An
attempt starts only when its dollar limit is free, so the cap itself always holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable_attempts,
    fault_of,
    lack_of_money,
    money_left,
    rung_of,
    seeded_draw,
    seeded_repeats,
    usd,
    why_settled,
)
from swe_router.policies.escalation_order import (
    EscalationValueKnobs,
    check_ladder_tiers,
    expected_cost,
    why_not_worth_escalating,
    with_handover,
)
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try


class RationKnobs(EscalationValueKnobs):
    """Knobs of ``ration``."""

    reject: float = Field(default=0.4, ge=0, le=1)
    """Expected share of first attempts that are not trusted."""


class Ration(LadderPolicy[RationKnobs]):
    """Reserve-and-ration: the cheap tier for every issue, the next ones while the money lasts."""

    name: ClassVar[str] = "ration"
    source: ClassVar[str] = (
        "our own: reserve for the cheap runs to come; PILOT (arXiv 2508.21141) is near"
    )
    maturity: ClassVar[str] = "recommended under a hard cap"
    sequential: ClassVar[bool] = True
    """Each decision depends on earlier ones through the budget."""
    knobs_type: ClassVar[type[Knobs]] = RationKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` when a knob names a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        check_ladder_tiers(self.name, self.ladder, self.knobs)

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The next move on one instance."""
        if not history:
            return self._try(0, "the cheap tier is for every issue", budget)
        reason, rung = fault_of(history[-1]), 1 + max(rung_of(self.ladder, o) for o in history)
        stop = self._stop_reason(history, reason, rung)
        if stop:
            return Stop(why=stop)
        share, sum_ = self.share(rung, budget)
        drawn = seeded_draw(self.knobs.seed, features.instance_id, rung)
        if drawn >= share:
            return Stop(
                why=f"{reason}; rationed: drew {drawn:.3f}, not under the {share:.3f}"
                f" of such issues that the money carries ({sum_})"
            )
        why = f"{reason}; drew {drawn:.3f} under {share:.3f} ({sum_})"
        return self._try(rung, why, budget, share, history)

    def _stop_reason(self, history: Sequence[Outcome], reason: str, rung: int) -> str:
        """Why nothing more is tried, whatever the budget; empty when something is."""
        if settled := why_settled(history):
            return settled
        if rung >= len(self.ladder):
            return f"{reason}, and no stronger tier is left"
        return why_not_worth_escalating(history, self.ladder[rung], self.knobs, reason)

    def cost(self, rung: int) -> Decimal:
        """Expected USD of one move on a rung."""
        return expected_cost(self.ladder[rung], self.knobs)

    def share(self, rung: int, budget: BudgetView) -> tuple[float, str]:
        """Probability of escalating to ``rung``, and the calculation in words."""
        remaining = max(0, budget.instances_left - 1)
        reserved, cost = remaining * self.cost(0), self.cost(rung)
        expected = 1 + remaining * self.knobs.reject
        claims = expected * float(cost)
        calculation = (
            f"{usd(budget.free)} left less {usd(reserved)} for {remaining} cheap runs,"
            f" over about {expected:.1f} claims of {usd(cost)}"
        )
        if claims <= 0:
            return 1.0, calculation
        return min(1.0, max(0.0, float(budget.free - reserved) / claims)), calculation

    def _try(
        self,
        rung: int,
        reason: str,
        budget: BudgetView,
        propensity: float = 1.0,
        history: Sequence[Outcome] = (),
    ) -> RouteDecision:
        plan = self.ladder[rung]
        count = affordable_attempts(plan, self.knobs.candidates, budget.left)
        if count == 0:
            limit = f"{plan.arm}'s limit of {usd(plan.budget.dollars)}"
            over = f"{limit} is over the {money_left(budget)}"
            return Stop(why=f"{reason}; {over}: left undone {lack_of_money(budget)}")
        return Try(
            plans=with_handover(
                seeded_repeats(plan, count, self.knobs.seed), self.knobs.handover, history
            ),
            why=f"{reason}: try {plan.arm}",
            propensity=propensity,
        )
