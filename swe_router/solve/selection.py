"""Who chooses the candidate: a policy that ranks candidates itself, else the run's selector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swe_router.errors import UsageError
from swe_router.policy_abilities import SupportsChoice, deciding_policy
from swe_router.records import Candidate, CrossMatrix, Features, Outcome
from swe_router.seams import Policy, Selector


@dataclass(frozen=True)
class PolicySelector:
    """A policy's own choice (``choose_among``); the selector's where that left no patch."""

    policy: SupportsChoice
    features: Features
    fallback: Selector

    def select(
        self, outcomes: Sequence[Outcome], matrix: CrossMatrix | None = None
    ) -> Candidate | None:
        """The chosen candidate, or None when there is no patch at all."""
        mine = [one for one in outcomes if not one.imported]
        if not mine:
            return self.fallback.select(outcomes, matrix)
        chosen = mine[self.policy.choose_among(self.features, mine)].candidate
        if chosen is None or not chosen.patch:
            return self.fallback.select(outcomes, matrix)
        return chosen


def checked_choice(
    selector: Selector, outcomes: Sequence[Outcome], matrix: CrossMatrix | None
) -> Candidate | None:
    """What a selector hands in. Raises ``UsageError`` where that is none of the candidates."""
    chosen = selector.select(outcomes, matrix)
    if chosen is None or any(one.candidate == chosen and chosen.patch for one in outcomes):
        return chosen
    kind = type(selector)
    name = chosen.attempt_id if isinstance(chosen, Candidate) else repr(chosen)[:80]
    raise UsageError(
        f"selector {kind.__module__}:{kind.__qualname__} chose {name!r}, which is none of the"
        " instance's candidates with a patch: mend it, or name another selector"
    )


def selector_for(policy: Policy, features: Features, selector: Selector) -> Selector:
    """The selector of one instance."""
    chooser = deciding_policy(policy, features)
    if isinstance(chooser, SupportsChoice):
        return PolicySelector(chooser, features, selector)
    return selector
