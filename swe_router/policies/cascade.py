"""Cascade: start at the cheap tier, escalate when the evidence does not support the patch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import field_validator

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable_attempts,
    fault_of,
    first_trusted,
    is_infra_failure,
    lack_of_money,
    money_left,
    rung_of,
    seeded_repeats,
    usd,
    why_sandbox_ends,
)
from swe_router.policies.escalation_order import (
    EscalationValueKnobs,
    check_ladder_tiers,
    why_not_worth_escalating,
    with_handover,
)
from swe_router.records import BudgetView, Features, Outcome, Plan, RouteDecision, Stop, Try
from swe_router.records.known_features import value_or_nan


class CascadeKnobs(EscalationValueKnobs):
    """Knobs of ``cascade``."""

    thresholds: tuple[float, ...] = ()
    """Ascending complexities (1 to 10): above the k-th, the first attempt starts k rungs up.

    By default every issue starts at the cheap tier: complexity has shown no power on unseen issues.
    Measured on 24 models x 500 Verified issues, a gate that sends complex issues straight to the
    strong tier resolves no more than the plain cascade and costs more."""

    @field_validator("thresholds", mode="before")
    @classmethod
    def _number_to_tuple(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @field_validator("thresholds")
    @classmethod
    def _check_ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(math.isnan(bar) for bar in value) or list(value) != sorted(value):
            raise ValueError("the thresholds must be numbers that ascend")
        return value


class Cascade(LadderPolicy[CascadeKnobs]):
    """Starts at the cheap tier, or where ``thresholds`` say; escalates while no patch is trusted.

    Stops when a patch is trusted, at the top tier, or when no remaining tier can be paid for.
    A provider failure is no evidence against its tier: the next tier is tried, or, at the top,
    one below it that was not tried yet.
    """

    name: ClassVar[str] = "cascade"
    source: ClassVar[str] = "FrugalGPT's cascade (arXiv 2305.05176) with the verifiers' verdicts"
    maturity: ClassVar[str] = "stable"
    knobs_type: ClassVar[type[Knobs]] = CascadeKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` when a knob names a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        check_ladder_tiers(self.name, self.ladder, self.knobs)

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The next move on one instance."""
        if not history:
            return self._climb(*self._start_order(features), budget)
        if trusted := first_trusted(history):
            passed = ", ".join(v.verifier for v in trusted.verdicts if v.outcome == "pass")
            return Stop(why=f"accepted {trusted.arm}'s patch: passed {passed}")
        if ended := why_sandbox_ends(history):
            return Stop(why=ended)
        reason = fault_of(history[-1])
        rungs = self._untried_rungs(history)
        if not rungs:
            return Stop(why=f"{reason}, and no stronger tier is left")
        not_worth = why_not_worth_escalating(history, self.ladder[rungs[0]], self.knobs, reason)
        if not_worth:
            return Stop(why=not_worth)
        return self._climb(rungs, reason, budget, history)

    def _start_order(self, features: Features) -> tuple[list[int], str]:
        """Rungs in the order in which to start, and the reason for the first one."""
        complexity = value_or_nan(features, "complexity")
        start = sum(complexity > bar for bar in self.knobs.thresholds)
        start = min(start, len(self.ladder) - 1)
        order = [*range(start, len(self.ladder)), *range(start - 1, -1, -1)]
        if not self.knobs.thresholds:
            return order, "every issue begins at the cheap tier"
        if math.isnan(complexity):
            return order, "the complexity is unknown"
        bars = ", ".join(f"{bar:g}" for bar in self.knobs.thresholds)
        return order, f"complexity {complexity:.1f} of 10 (thresholds: {bars})"

    def _untried_rungs(self, history: Sequence[Outcome]) -> list[int]:
        tried = {rung_of(self.ladder, outcome) for outcome in history}
        above = list(range(max(tried) + 1, len(self.ladder)))
        if all(is_infra_failure(outcome) for outcome in history):
            below = range(max(tried) - 1, -1, -1)
            return above + [rung for rung in below if rung not in tried]
        return above

    def _climb(
        self, rungs: Sequence[int], reason: str, budget: BudgetView, history: Sequence[Outcome] = ()
    ) -> RouteDecision:
        """Try the first rung that can be paid for; name those skipped."""
        unpaid: list[str] = []
        for rung in rungs:
            plan = self.ladder[rung]
            count = affordable_attempts(plan, self.knobs.candidates, budget.left)
            if count > 0:
                skipped = _over_budget_text(unpaid, budget)
                fewer = f" of {self.knobs.candidates}" if count < self.knobs.candidates else ""
                times = f" ({count}{fewer} candidates)" if self.knobs.candidates > 1 else ""
                return Try(
                    plans=with_handover(
                        seeded_repeats(plan, count, self.knobs.seed), self.knobs.handover, history
                    ),
                    why=f"{reason}{skipped}: try {plan.arm}{times}",
                )
            unpaid.append(f"{plan.arm}'s limit of {usd(plan.budget.dollars)}")
        return Stop(
            why=f"{reason}{_over_budget_text(unpaid, budget)}: left undone {lack_of_money(budget)}"
        )


def _over_budget_text(unpaid: Sequence[str], budget: BudgetView) -> str:
    if not unpaid:
        return ""
    verb = "is" if len(unpaid) == 1 else "are"
    return f"; {' and '.join(unpaid)} {verb} over the {money_left(budget)}"
