"""Wraps a policy: the candidates of one move differ by more than their seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from swe_router.policy_abilities import HasKnobs, is_sequential, needs_of
from swe_router.records import (
    Budget,
    BudgetView,
    Features,
    Outcome,
    Plan,
    RouteDecision,
    RunRecord,
    Try,
)
from swe_router.seams import Policy


@dataclass(frozen=True)
class Variety:
    """How the candidates of one move differ."""

    variants: tuple[str, ...] = ()
    """Prompt variants; ``""`` is the scaffold's own prompt."""
    temperatures: tuple[float, ...] = ()
    further_tiers: tuple[Plan, ...] = ()
    """Plans of further tiers, with their own limits."""
    takes_temperature: frozenset[str] = frozenset()
    """Tiers that take a temperature."""

    def diversified(self, plans: Sequence[Plan]) -> tuple[Plan, ...]:
        """Repeats of one plan, each with its tier, variant and temperature; seeds stay.

        Tiers take turns. The n-th candidate of a tier gets the n-th variant and the n-th
        temperature. Both lists cycle; the second is offset by one after each full cycle, so every
        pair occurs.
        """
        own = plans[0]
        tiers = [own, *(plan for plan in self.further_tiers if plan.arm != own.arm)]
        made = []
        for place, plan in enumerate(plans):
            base, turn = tiers[place % len(tiers)], place // len(tiers)
            update: dict[str, Any] = {"arm": base.arm, "budget": base.budget}
            if self.variants:
                update["variant"] = self.variants[turn % len(self.variants)]
            if self.temperatures and base.arm.model in self.takes_temperature:
                round_ = math.lcm(len(self.variants) or 1, len(self.temperatures))
                shifted = turn + turn // round_
                update["temperature"] = self.temperatures[shifted % len(self.temperatures)]
            made.append(plan.model_copy(update=update))
        return tuple(made)


@dataclass(frozen=True)
class VariedPolicy:
    """A policy that decides as ``inner`` does; only the repeats of one plan are diversified.

    Where the tiers have other limits, as many of the candidates are kept as the money left pays
    for, the policy's own first one always.
    """

    inner: Policy
    variety: Variety

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """``inner``, prepared."""
        return replace(self, inner=self.inner.prepare(batch, budget))

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The decision of ``inner``, its repeats made to differ."""
        decision = self.inner.decide(features, history, budget)
        if not isinstance(decision, Try) or len(decision.plans) < 2:
            return decision
        if len({plan.arm for plan in decision.plans}) > 1:
            return decision  # the policy itself made them differ
        plans: list[Plan] = []
        left = budget.left
        for plan in self.variety.diversified(decision.plans):
            if plans and plan.budget.dollars > left:
                break
            plans.append(plan)
            left -= plan.budget.dollars
        short = len(decision.plans) - len(plans)
        why = decision.why + (f"; {short} fewer candidates, for lack of money" if short else "")
        return decision.model_copy(update={"plans": tuple(plans), "why": why})

    def update(self, record: RunRecord) -> Self:
        """``inner``, updated."""
        return replace(self, inner=self.inner.update(record))

    def state(self) -> Mapping[str, Any]:
        """The state of ``inner``."""
        return self.inner.state()

    def restored(self, state: Mapping[str, Any]) -> Self:
        """``inner`` with a state."""
        return replace(self, inner=self.inner.restored(state))

    def policy_for(self, features: Features) -> Policy:
        """``inner``: it chooses among candidates itself where it can."""
        return self.inner

    @property
    def knobs(self) -> Any:
        """Those of ``inner``; None where it shows none."""
        return self.inner.knobs if isinstance(self.inner, HasKnobs) else None

    @property
    def needs(self) -> str:
        """As ``inner``."""
        return needs_of(self.inner)

    @property
    def sequential(self) -> bool:
        """As ``inner``."""
        return is_sequential(self.inner)
