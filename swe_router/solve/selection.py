"""Who chooses the candidate: a policy that ranks candidates itself, else the run's selector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swe_router.records import Candidate, Features, Outcome
from swe_router.seams import Policy, Selector


@dataclass(frozen=True)
class ByPolicy:
    """A policy's own choice (``choose_among``); the selector's where that left no patch."""

    policy: Any
    features: Features
    otherwise: Selector

    def select(self, outcomes: Sequence[Outcome], matrix: Any = None) -> Candidate | None:
        """The chosen candidate, or None when there is no patch at all."""
        mine = [one for one in outcomes if not one.imported]
        if not mine:
            return self.otherwise.select(outcomes, matrix)
        place: int = self.policy.choose_among(self.features, mine)
        chosen = mine[place].candidate
        if chosen is None or not chosen.patch:
            return self.otherwise.select(outcomes, matrix)
        return chosen


def selector_for(policy: Policy, features: Features, selector: Selector) -> Selector:
    """The selector of one instance."""
    return ByPolicy(policy, features, selector) if hasattr(policy, "choose_among") else selector
