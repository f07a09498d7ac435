"""Retry baselines: a second run raises quality without any router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable_attempts,
    fault_of,
    is_at_own_cap,
    money_left,
    plan_of_tier,
    usd,
    why_settled,
)
from swe_router.policies.cascade import Cascade, CascadeKnobs
from swe_router.policies.escalation_order import EscalationKnobs, with_handover
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try

T = TypeVar("T", bound="StrongRetryKnobs")


class FirstDesignCascadeKnobs(CascadeKnobs):
    """Knobs of ``doc-6.6``."""

    thresholds: tuple[float, ...] = Field(default=(7.0,))
    """Above it an issue starts at the strong tier."""


class FirstDesignCascade(Cascade):
    """Complexity over 7 starts at the strongest tier; else cheap first, accepted on its tests."""

    name: ClassVar[str] = "doc-6.6"
    source: ClassVar[str] = (
        "our own baseline: the cascade of our first design, after FrugalGPT (arXiv 2305.05176)"
    )
    maturity: ClassVar[str] = "baseline: its gate is dominated by the plain cascade"
    knobs_type: ClassVar[type[Knobs]] = FirstDesignCascadeKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple({"thresholds": (x,)} for x in (3.0, 5.0))

    def _start_order(self, features: Features) -> tuple[list[int], str]:
        order, why = super()._start_order(features)
        return (list(range(len(self.ladder) - 1, -1, -1)) if order[0] > 0 else order), why


class StrongRetryKnobs(EscalationKnobs):
    """Knobs of ``strong-retry``."""

    times: int = Field(default=2, gt=0)
    """Maximum number of runs."""


class RetryKnobs(StrongRetryKnobs):
    """Knobs of ``retry``."""

    tier: str = ""
    """Tier to repeat; empty: the strongest."""


class RepeatedRuns(LadderPolicy[T]):
    """One plan after the other until the verifier accepts."""

    def plans(self) -> list[Plan]:
        """The plans to try, in order."""
        raise NotImplementedError

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The next plan, until the verifiers accept a patch."""
        if settled := why_settled(history):
            return Stop(why=settled)
        why = fault_of(history[-1]) if history else "to begin with"
        plans = self.plans()
        if len(history) >= len(plans):
            return Stop(why=f"{why}, and {len(plans)} runs are all")
        plan = plans[len(history)]
        if affordable_attempts(plan, 1, budget.left) == 0:
            limit = usd(plan.budget.dollars)
            money = f"the {money_left(budget)}" if is_at_own_cap(budget) else "the money left"
            return Stop(why=f"{why}; {plan.arm}'s limit of {limit} is over {money}")
        ready = with_handover((plan,), self.knobs.handover, history)
        return Try(plans=ready, why=f"{why}: try {plan.arm}")


class Retry(RepeatedRuns[RetryKnobs]):
    """The same tier again, with another seed, until the verifier accepts."""

    name: ClassVar[str] = "retry"
    source: ClassVar[str] = "repeated sampling of one model (arXiv 2407.21787)"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = RetryKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` for a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        plan_of_tier(self.name, self.ladder, self.knobs.tier)

    def plans(self) -> list[Plan]:
        """The plans to try, in order."""
        first = plan_of_tier(self.name, self.ladder, self.knobs.tier) or self.ladder[-1]
        more = [first.model_copy(update={"seed": self.knobs.seed + k})
                for k in range(1, self.knobs.times)]  # fmt: skip
        return [first, *more]


class StrongRetry(RepeatedRuns[StrongRetryKnobs]):
    """The strongest tier, then the second strongest: what the same money buys without routing."""

    name: ClassVar[str] = "strong-retry"
    source: ClassVar[str] = "repeated sampling of one model (arXiv 2407.21787), of the strong one"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = StrongRetryKnobs

    def plans(self) -> list[Plan]:
        """From the top of the ladder down."""
        return list(reversed(self.ladder))[: self.knobs.times]
