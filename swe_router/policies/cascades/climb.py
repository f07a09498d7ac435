"""What every learned cascade shares: up the ladder, with an acceptance rule of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from swe_router.policies.base import (
    LadderPolicy,
    affordable,
    fault_of,
    is_infra_failure,
    repeats,
    rest,
    rung_of,
    sandbox_is_permanently_broken,
    usd,
)
from swe_router.policies.escalation_order import Escalation, handed
from swe_router.records import BudgetView, Features, Outcome, RouteDecision, Stop, Try

K = TypeVar("K", bound=Escalation)


@dataclass(frozen=True)
class Judgement:
    """What is done with the last outcome: stop here, or go on, and why."""

    stop: bool
    why: str


class Climb(LadderPolicy[K]):
    """From ``start`` up, one rung after the other, until ``judge`` says stop."""

    def start(self, features: Features) -> int:
        """The first rung."""
        return 0

    def judge(self, outcome: Outcome, spent: float) -> Judgement:
        """What a patch of a tier of the ladder calls for; ``spent`` USD went on the issue."""
        raise NotImplementedError

    def choose_among(self, features: Features, history: Sequence[Outcome]) -> int:
        """Index of the candidate to hand in: where the climb stopped, else its last patch."""
        stopped = self._stopped(history)
        if stopped is not None:
            return stopped[0]
        patches = [n for n, one in enumerate(history) if one.candidate and one.candidate.patch]
        return patches[-1] if patches else len(history) - 1

    def _stopped(self, history: Sequence[Outcome]) -> tuple[int, Judgement] | None:
        """The first patch of the highest rung that was reached which calls for a stop."""
        top = max((rung_of(self.ladder, one) for one in history), default=-1)
        spent = float(sum(one.attempt.trajectory.usd for one in history))
        for number, one in enumerate(history):
            if top >= 0 and rung_of(self.ladder, one) == top and _usable(one):
                judged = self.judge(one, spent)
                if judged.stop:
                    return number, judged
        return None

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> RouteDecision:
        """The next move on one instance."""
        if not history:
            return self.climb(self.start(features), "to begin with", purse)
        last = history[-1]
        if sandbox_is_permanently_broken(last):
            return Stop(why=f"{fault_of(last)}: every tier would meet the same sandbox")
        stopped = self._stopped(history)
        if stopped is not None:
            return Stop(why=stopped[1].why)
        why = fault_of(last)
        if _usable(last) and rung_of(self.ladder, last) >= 0:
            why = self.judge(last, float(sum(o.attempt.trajectory.usd for o in history))).why
        above = 1 + max(rung_of(self.ladder, one) for one in history)
        return self.climb(above, why, purse, history)

    def climb(
        self, rung: int, why: str, purse: BudgetView, history: Sequence[Outcome] = ()
    ) -> RouteDecision:
        """Try a rung, or stop for lack of rungs or money."""
        if rung >= len(self.ladder):
            return Stop(why=f"{why}, and no stronger tier is left")
        plan = self.ladder[rung]
        count = affordable(plan, self.knobs.candidates, purse.left)
        if count == 0:
            limit = f"{plan.arm}'s limit of {usd(plan.budget.dollars)}"
            return Stop(why=f"{why}; {limit} is over the {rest(purse)}: left undone")
        plans = handed(repeats(plan, count, self.knobs.seed), self.knobs.handover, history)
        return Try(plans=plans, why=f"{why}: try {plan.arm}")


def _usable(outcome: Outcome) -> bool:
    """A patch by a run that nothing broke."""
    return bool(outcome.candidate and outcome.candidate.patch) and not is_infra_failure(outcome)
