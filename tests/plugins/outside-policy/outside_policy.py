"""A policy from another package: the last tier of the ladder, once. It extends no class of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from swe_router.records import (
    Budget,
    BudgetView,
    Features,
    Outcome,
    Plan,
    RouteDecision,
    RunRecord,
    Stop,
    Try,
)


class StrongestFirst:
    """One attempt with the strongest tier."""

    def __init__(self, ladder: Sequence[Plan]) -> None:
        self.ladder = tuple(ladder)

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        return self

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        if history:
            return Stop(why="outside-policy: one attempt is enough")
        return Try(plans=(self.ladder[-1],), why="outside-policy: the strongest tier")

    def update(self, record: RunRecord) -> Self:
        return self

    def state(self) -> Mapping[str, Any]:
        return {}

    def restored(self, state: Mapping[str, Any]) -> Self:
        return self
