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

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field

from swe_router.errors import UsageError
from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable,
    draw,
    fault_of,
    hopeless_box,
    repeats,
    rung_of,
    trusted,
    usd,
)
from swe_router.records import Features, Outcome, Plan, PurseView, RouteDecision, Stop, Try


class RationKnobs(Knobs):
    """Knobs of ``ration``."""

    costs: Mapping[str, Annotated[Decimal, Field(ge=0)]] = Field(default_factory=dict)
    """Tier -> expected USD of one attempt; a tier left out costs ``usual_share`` of its limit."""
    usual_share: Decimal = Field(default=Decimal("0.25"), gt=0, le=1)
    """Expected cost as a share of the attempt's dollar limit, where ``costs`` names none."""
    reject: float = Field(default=0.4, ge=0, le=1)
    """Expected share of first attempts that are not trusted."""


class Ration(LadderPolicy[RationKnobs]):
    """Reserve-and-ration: the cheap tier for all, the next ones for whom the money lasts."""

    name: ClassVar[str] = "ration"
    source: ClassVar[str] = "routers.md 3.4: reserve-and-ration; PILOT (arXiv 2508.21141) is near"
    maturity: ClassVar[str] = "recommended under a hard cap"
    sequential: ClassVar[bool] = True
    """Its decisions hang together through the purse."""
    knobs_type: ClassVar[type[Knobs]] = RationKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` when ``costs`` names a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        names = [str(plan.arm) for plan in self.ladder]
        for tier in self.knobs.costs:
            if tier not in names:
                raise UsageError(
                    f"policy 'ration': knob 'costs' names tier {tier!r},"
                    f" there is {', '.join(names)}"
                )

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: PurseView
    ) -> RouteDecision:
        """The next move on one instance."""
        if not history:
            return self._try(0, "the cheap tier is for every issue", purse)
        for outcome in history:
            if trusted(outcome):
                return Stop(why=f"{outcome.arm}'s patch was accepted")
        reason = fault_of(history[-1])
        if hopeless_box(history[-1]):
            return Stop(why=f"{reason}: every tier would meet the same sandbox")
        rung = 1 + max(rung_of(self.ladder, outcome) for outcome in history)
        if rung >= len(self.ladder):
            return Stop(why=f"{reason}, and no stronger tier is left")
        share, sum_ = self.share(rung, purse)
        drawn = draw(self.knobs.seed, features.instance_id, rung)
        if drawn >= share:
            return Stop(
                why=f"{reason}; rationed: drew {drawn:.3f}, not under the {share:.3f}"
                f" of such issues that the money carries ({sum_})"
            )
        return self._try(
            rung, f"{reason}; drew {drawn:.3f} under {share:.3f} ({sum_})", purse, share
        )

    def cost(self, rung: int) -> Decimal:
        """Expected USD of one move on a rung."""
        plan = self.ladder[rung]
        usual = plan.budget.dollars * self.knobs.usual_share
        return self.knobs.costs.get(str(plan.arm), usual) * self.knobs.candidates

    def share(self, rung: int, purse: PurseView) -> tuple[float, str]:
        """Probability of escalating to ``rung``, and its sum in words."""
        remaining = max(0, purse.instances_left - 1)
        kept, cost = remaining * self.cost(0), self.cost(rung)
        expected = 1 + remaining * self.knobs.reject
        claims = expected * float(cost)
        said = (
            f"{usd(purse.left)} left less {usd(kept)} for {remaining} cheap runs,"
            f" over about {expected:.1f} claims of {usd(cost)}"
        )
        if claims <= 0:
            return 1.0, said
        return min(1.0, max(0.0, float(purse.left - kept) / claims)), said

    def _try(
        self, rung: int, reason: str, purse: PurseView, propensity: float = 1.0
    ) -> RouteDecision:
        plan = self.ladder[rung]
        count = affordable(plan, self.knobs.candidates, purse.left)
        if count == 0:
            limit = f"{plan.arm}'s limit of {usd(plan.budget.dollars)}"
            return Stop(
                why=f"{reason}; {limit} is over the {usd(purse.left)} left:"
                " left undone for lack of money"
            )
        return Try(
            plans=repeats(plan, count, self.knobs.seed),
            why=f"{reason}: try {plan.arm}",
            propensity=propensity,
        )
