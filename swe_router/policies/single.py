"""What every single-shot router shares: choose one tier for an issue, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable,
    fault_of,
    is_infra_failure,
    lack,
    repeats,
    rest,
    rung_of,
    sandbox_is_permanently_broken,
    trusted,
)
from swe_router.records import BudgetView, Features, Outcome, RouteDecision, Stop, Try

K = TypeVar("K", bound=Knobs)


@dataclass(frozen=True)
class Choice:
    """A rung of the ladder, why, and with what probability it was drawn."""

    rung: int
    why: str
    propensity: float = 1.0


class SingleShot(LadderPolicy[K]):
    """One tier an issue, chosen by ``choose``; another only when a provider broke.

    A tier that cannot be paid for gives way to the next cheaper one that can.
    """

    def choose(self, features: Features, purse: BudgetView) -> Choice:
        """The rung for an issue; each router says its own."""
        raise NotImplementedError

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> RouteDecision:
        """Try the chosen tier; then stop, whatever came of it."""
        if not history:
            choice = self.choose(features, purse)
            return self._try(choice, self._order(choice.rung, ()), purse)
        for outcome in history:
            if trusted(outcome):
                return Stop(why=f"{outcome.arm}'s patch was accepted")
        reason = fault_of(history[-1])
        if sandbox_is_permanently_broken(history[-1]):
            return Stop(why=f"{reason}: every tier would meet the same sandbox")
        if not all(is_infra_failure(outcome) for outcome in history):
            return Stop(why=f"{reason}, and this policy tries one tier an issue")
        tried = {rung_of(self.ladder, outcome) for outcome in history}
        rest = self._order(max(tried), tried)
        if not rest:
            return Stop(why=f"{reason}, and no other tier is left")
        return self._try(Choice(rest[0], f"{reason}, which says nothing of the issue"), rest, purse)

    def _order(self, rung: int, tried: Sequence[int] | set[int]) -> list[int]:
        """The chosen rung, then the cheaper ones, then the dearer ones."""
        order = [rung, *range(rung - 1, -1, -1), *range(rung + 1, len(self.ladder))]
        return [one for one in order if one not in tried and 0 <= one < len(self.ladder)]

    def _try(self, choice: Choice, order: Sequence[int], purse: BudgetView) -> RouteDecision:
        for rung in order:
            plan = self.ladder[rung]
            count = affordable(plan, self.knobs.candidates, purse.left)
            if count > 0:
                short = "" if rung == choice.rung else " (the money does not reach further)"
                return Try(
                    plans=repeats(plan, count, self.knobs.seed),
                    why=f"{choice.why}: try {plan.arm}{short}",
                    propensity=choice.propensity,
                )
        return Stop(
            why=f"{choice.why}; no tier's limit fits the {rest(purse)}: left undone {lack(purse)}"
        )
