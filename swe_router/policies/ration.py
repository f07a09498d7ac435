"""Ration: under a hard cap, keep the money for the cheap runs to come and escalate with the rest.

A greedy cascade spends the cap on the first issues and never sees the last ones. Here an issue
that the tier below could not solve is escalated with probability

    p = (left - remaining * c_weak) / ((1 + remaining * reject) * c_next),  held to [0, 1]

where ``remaining`` counts the other instances not yet concluded, ``c`` are expected costs and
``reject`` is the expected share of cheap patches that will not be trusted. Chance is drawn from
(seed, instance, rung), so that a replay draws the same, and the propensity is recorded. A run
starts only when its own dollar limit is free, so the cap itself is never at stake.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable,
    draw,
    fault_of,
    lack,
    repeats,
    rest,
    rung_of,
    sandbox_is_permanently_broken,
    trusted,
    usd,
)
from swe_router.policies.escalation_order import Worth, expected_cost, handed, hopeless, known_tiers
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try


class RationKnobs(Worth):
    """Knobs of ``ration``."""

    reject: float = Field(default=0.4, ge=0, le=1)
    """Expected share of first attempts that are not trusted."""


class Ration(LadderPolicy[RationKnobs]):
    """Reserve-and-ration: the cheap tier for all, the next ones for whom the money lasts."""

    name: ClassVar[str] = "ration"
    source: ClassVar[str] = (
        "our own: reserve for the cheap runs to come; PILOT (arXiv 2508.21141) is near"
    )
    maturity: ClassVar[str] = "recommended under a hard cap"
    sequential: ClassVar[bool] = True
    """Its decisions hang together through the purse."""
    knobs_type: ClassVar[type[Knobs]] = RationKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` when a knob names a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        known_tiers(self.name, self.ladder, self.knobs)

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> RouteDecision:
        """The next move on one instance."""
        if not history:
            return self._try(0, "the cheap tier is for every issue", purse)
        reason, rung = fault_of(history[-1]), 1 + max(rung_of(self.ladder, o) for o in history)
        ending = self._ending(history, reason, rung)
        if ending:
            return Stop(why=ending)
        share, sum_ = self.share(rung, purse)
        drawn = draw(self.knobs.seed, features.instance_id, rung)
        if drawn >= share:
            return Stop(
                why=f"{reason}; rationed: drew {drawn:.3f}, not under the {share:.3f}"
                f" of such issues that the money carries ({sum_})"
            )
        said = f"{reason}; drew {drawn:.3f} under {share:.3f} ({sum_})"
        return self._try(rung, said, purse, share, history)

    def _ending(self, history: Sequence[Outcome], reason: str, rung: int) -> str:
        """Why nothing more is tried, whatever the money; empty when more is."""
        for outcome in history:
            if trusted(outcome):
                return f"{outcome.arm}'s patch was accepted"
        if sandbox_is_permanently_broken(history[-1]):
            return f"{reason}: every tier would meet the same sandbox"
        if rung >= len(self.ladder):
            return f"{reason}, and no stronger tier is left"
        return hopeless(history, self.ladder[rung], self.knobs, reason)

    def cost(self, rung: int) -> Decimal:
        """Expected USD of one move on a rung."""
        return expected_cost(self.ladder[rung], self.knobs)

    def share(self, rung: int, purse: BudgetView) -> tuple[float, str]:
        """Probability of escalating to ``rung``, and its sum in words."""
        remaining = max(0, purse.instances_left - 1)
        kept, cost = remaining * self.cost(0), self.cost(rung)
        expected = 1 + remaining * self.knobs.reject
        claims = expected * float(cost)
        said = (
            f"{usd(purse.free)} left less {usd(kept)} for {remaining} cheap runs,"
            f" over about {expected:.1f} claims of {usd(cost)}"
        )
        if claims <= 0:
            return 1.0, said
        return min(1.0, max(0.0, float(purse.free - kept) / claims)), said

    def _try(
        self,
        rung: int,
        reason: str,
        purse: BudgetView,
        propensity: float = 1.0,
        history: Sequence[Outcome] = (),
    ) -> RouteDecision:
        plan = self.ladder[rung]
        count = affordable(plan, self.knobs.candidates, purse.left)
        if count == 0:
            limit = f"{plan.arm}'s limit of {usd(plan.budget.dollars)}"
            return Stop(
                why=f"{reason}; {limit} is over the {rest(purse)}: left undone {lack(purse)}"
            )
        return Try(
            plans=handed(repeats(plan, count, self.knobs.seed), self.knobs.handover, history),
            why=f"{reason}: try {plan.arm}",
            propensity=propensity,
        )
