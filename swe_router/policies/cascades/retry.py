"""Retries: the baselines that people forget. A second run buys quality without any router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable,
    at_cap,
    fault_of,
    named,
    rest,
    sandbox_is_permanently_broken,
    trusted,
    usd,
)
from swe_router.policies.cascade import Cascade, CascadeKnobs
from swe_router.policies.escalation_order import Escalation, handed
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try

T = TypeVar("T", bound="TimesKnobs")


class Document66Knobs(CascadeKnobs):
    """Knobs of ``doc-6.6``."""

    thresholds: tuple[float, ...] = Field(default=(7.0,))
    """Above it an issue goes straight to the strong tier."""


class Document66(Cascade):
    """Complexity over 7 straight to the strongest tier; else cheap first, accepted on its tests."""

    name: ClassVar[str] = "doc-6.6"
    source: ClassVar[str] = (
        "our own baseline: the cascade of our first design, after FrugalGPT (arXiv 2305.05176)"
    )
    maturity: ClassVar[str] = "baseline: its gate is dominated by the plain cascade"
    knobs_type: ClassVar[type[Knobs]] = Document66Knobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple({"thresholds": (x,)} for x in (3.0, 5.0))

    def _first(self, features: Features) -> tuple[list[int], str]:
        order, why = super()._first(features)
        return (list(range(len(self.ladder) - 1, -1, -1)) if order[0] > 0 else order), why


class TimesKnobs(Escalation):
    """Knobs of ``strong-retry``."""

    times: int = Field(default=2, gt=0)
    """Runs at most."""


class RetryKnobs(TimesKnobs):
    """Knobs of ``retry``."""

    tier: str = ""
    """Tier that is tried again; empty is the strongest."""


class Again(LadderPolicy[T]):
    """One plan after the other until the verifier accepts."""

    def plans(self) -> list[Plan]:
        """What is tried, in order."""
        raise NotImplementedError

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> RouteDecision:
        """The next of the plans, while the verifier refuses."""
        for outcome in history:
            if trusted(outcome):
                return Stop(why=f"{outcome.arm}'s patch was accepted")
        why = fault_of(history[-1]) if history else "to begin with"
        if history and sandbox_is_permanently_broken(history[-1]):
            return Stop(why=f"{why}: every tier would meet the same sandbox")
        plans = self.plans()
        if len(history) >= len(plans):
            return Stop(why=f"{why}, and {len(plans)} runs are all")
        plan = plans[len(history)]
        if affordable(plan, 1, purse.left) == 0:
            limit = usd(plan.budget.dollars)
            money = f"the {rest(purse)}" if at_cap(purse) else "the money left"
            return Stop(why=f"{why}; {plan.arm}'s limit of {limit} is over {money}")
        begun = handed((plan,), self.knobs.handover, history)
        return Try(plans=begun, why=f"{why}: try {plan.arm}")


class Retry(Again[RetryKnobs]):
    """The same tier again, with another seed, until the verifier accepts."""

    name: ClassVar[str] = "retry"
    source: ClassVar[str] = "repeated sampling of one model (arXiv 2407.21787)"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = RetryKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` for a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        named(self.name, self.ladder, self.knobs.tier)

    def plans(self) -> list[Plan]:
        """What is tried, in order."""
        first = named(self.name, self.ladder, self.knobs.tier) or self.ladder[-1]
        more = [first.model_copy(update={"seed": self.knobs.seed + k})
                for k in range(1, self.knobs.times)]  # fmt: skip
        return [first, *more]


class StrongRetry(Again[TimesKnobs]):
    """The strongest tier, then the second strongest: what equal money buys without routing."""

    name: ClassVar[str] = "strong-retry"
    source: ClassVar[str] = "repeated sampling of one model (arXiv 2407.21787), of the strong one"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = TimesKnobs

    def plans(self) -> list[Plan]:
        """From the top of the ladder down."""
        return list(reversed(self.ladder))[: self.knobs.times]
