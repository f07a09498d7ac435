"""Who chooses the candidate: a policy that ranks candidates itself, else the run's selector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swe_router.policy_abilities import SupportsChoice, deciding_policy
from swe_router.records import Candidate, CrossMatrix, Features, Outcome
from swe_router.seams import Policy, Selector


@dataclass(frozen=True)
class ByPolicy:
    """A policy's own choice (``choose_among``); the selector's where that left no patch."""

    policy: SupportsChoice
    features: Features
    otherwise: Selector

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """The chosen candidate, or None when there is no patch at all."""
        mine = [one for one in outcomes if not one.imported]
        if not mine:
            return self.otherwise.select(outcomes, matrix)
        chosen = mine[self.policy.choose_among(self.features, mine)].candidate
        if chosen is None or not chosen.patch:
            return self.otherwise.select(outcomes, matrix)
        return chosen


def selector_for(policy: Policy, features: Features, selector: Selector) -> Selector:
    """The selector of one instance."""
    chooser = deciding_policy(policy, features)
    if isinstance(chooser, SupportsChoice):
        return ByPolicy(chooser, features, selector)
    return selector
