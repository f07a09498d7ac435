"""Base of every learned cascade: up the ladder, with an acceptance rule of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from swe_router.policies.base import (
    LadderPolicy,
    affordable_attempts,
    fault_of,
    is_infra_failure,
    money_left,
    rung_of,
    seeded_repeats,
    usd,
    why_sandbox_ends,
)
from swe_router.policies.escalation_order import EscalationKnobs, with_handover
from swe_router.records import BudgetView, Features, Outcome, RouteDecision, Stop, Try

K = TypeVar("K", bound=EscalationKnobs)


@dataclass(frozen=True)
class StopJudgement:
    """Whether to stop at an outcome or continue, and why."""

    stop: bool
    why: str


class LadderCascade(LadderPolicy[K]):
    """From ``start`` up, one rung after the other, until ``judge`` says stop."""

    def start(self, features: Features) -> int:
        """Index of the first rung to try."""
        return 0

    def judge(self, outcome: Outcome, spent: float) -> StopJudgement:
        """Whether to stop at this patch; ``spent`` is the USD spent on the issue so far."""
        raise NotImplementedError

    def choose_among(self, features: Features, history: Sequence[Outcome]) -> int:
        """Index of the candidate to hand in: where the cascade stopped, else the last."""
        stopped = self._stopped(history)
        if stopped is not None:
            return stopped[0]
        patches = [n for n, one in enumerate(history) if one.candidate and one.candidate.patch]
        return patches[-1] if patches else len(history) - 1

    def _stopped(self, history: Sequence[Outcome]) -> tuple[int, StopJudgement] | None:
        """The first patch of the highest rung tried at which ``judge`` stops."""
        top = max((rung_of(self.ladder, one) for one in history), default=-1)
        spent = float(sum(one.attempt.trajectory.usd for one in history))
        for number, one in enumerate(history):
            if top >= 0 and rung_of(self.ladder, one) == top and _is_usable(one):
                judged = self.judge(one, spent)
                if judged.stop:
                    return number, judged
        return None

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The next move on one instance."""
        if not history:
            return self.try_rung(self.start(features), "to begin with", budget)
        last = history[-1]
        if ended := why_sandbox_ends(history):
            return Stop(why=ended)
        stopped = self._stopped(history)
        if stopped is not None:
            return Stop(why=stopped[1].why)
        why = fault_of(last)
        if _is_usable(last) and rung_of(self.ladder, last) >= 0:
            why = self.judge(last, float(sum(o.attempt.trajectory.usd for o in history))).why
        above = 1 + max(rung_of(self.ladder, one) for one in history)
        return self.try_rung(above, why, budget, history)

    def try_rung(
        self, rung: int, why: str, budget: BudgetView, history: Sequence[Outcome] = ()
    ) -> RouteDecision:
        """Try a rung, or stop for lack of rungs or money."""
        if rung >= len(self.ladder):
            return Stop(why=f"{why}, and no stronger tier is left")
        plan = self.ladder[rung]
        count = affordable_attempts(plan, self.knobs.candidates, budget.left)
        if count == 0:
            limit = f"{plan.arm}'s limit of {usd(plan.budget.dollars)}"
            return Stop(why=f"{why}; {limit} is over the {money_left(budget)}: left undone")
        plans = with_handover(
            seeded_repeats(plan, count, self.knobs.seed), self.knobs.handover, history
        )
        return Try(plans=plans, why=f"{why}: try {plan.arm}")


def _is_usable(outcome: Outcome) -> bool:
    """True for a non-empty patch of a run without an infrastructure failure."""
    return bool(outcome.candidate and outcome.candidate.patch) and not is_infra_failure(outcome)
