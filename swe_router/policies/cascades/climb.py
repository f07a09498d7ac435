"""What every learned cascade shares: up the ladder, with an acceptance rule of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from swe_router.policies.base import (
    Knobs,
    LadderPolicy,
    affordable,
    fault_of,
    hopeless_box,
    repeats,
    rung_of,
    usd,
    weather,
)
from swe_router.records import Features, Outcome, PurseView, RouteDecision, Stop, Try

K = TypeVar("K", bound=Knobs)


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

    def judge(self, features: Features, history: Sequence[Outcome]) -> Judgement:
        """What the last outcome calls for."""
        raise NotImplementedError

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: PurseView
    ) -> RouteDecision:
        """The next move on one instance."""
        if not history:
            return self.climb(self.start(features), "to begin with", purse)
        last = history[-1]
        if hopeless_box(last):
            return Stop(why=f"{fault_of(last)}: every tier would meet the same sandbox")
        if weather(last) or not (last.candidate and last.candidate.patch):
            why = fault_of(last)
        else:
            judged = self.judge(features, history)
            if judged.stop:
                return Stop(why=judged.why)
            why = judged.why
        return self.climb(1 + max(rung_of(self.ladder, one) for one in history), why, purse)

    def climb(self, rung: int, why: str, purse: PurseView) -> RouteDecision:
        """Try a rung, or stop for lack of rungs or money."""
        if rung >= len(self.ladder):
            return Stop(why=f"{why}, and no stronger tier is left")
        plan = self.ladder[rung]
        count = affordable(plan, self.knobs.candidates, purse.left)
        if count == 0:
            limit = f"{plan.arm}'s limit of {usd(plan.budget.dollars)}"
            return Stop(why=f"{why}; {limit} is over the {usd(purse.left)} left: left undone")
        return Try(plans=repeats(plan, count, self.knobs.seed), why=f"{why}: try {plan.arm}")
