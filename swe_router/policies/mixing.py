"""Base of every mixing router: shares over the ladder, one seeded draw per issue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from swe_router.policies.base import Knobs, seeded_draw
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features, Outcome, RouteDecision

K = TypeVar("K", bound=Knobs)
Shares = tuple[float, ...]


class MixingPolicy(SingleTierPolicy[K]):
    """A tier drawn for each issue from (seed, issue): a replay draws the same.

    ``options`` lists every probability, from which a leaderboard computes the expectation.
    """

    def shares(self) -> Shares:
        """Probability of each rung; sums to 1."""
        raise NotImplementedError

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The rung whose share contains the issue's drawn number."""
        shares, drawn = self.shares(), seeded_draw(self.knobs.seed, features.instance_id)
        below = 0.0
        for rung, share in enumerate(shares):
            below += share
            if drawn < below:
                return self._choice(rung, share)
        last = max(rung for rung, share in enumerate(shares) if share > 0)
        return self._choice(last, shares[last])

    def options(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> Sequence[tuple[float, RouteDecision]]:
        """Every possible decision with its probability."""
        if history:
            return [(1.0, self.decide(features, history, budget))]
        shares = self.shares()
        return [
            (share, self._try(self._choice(rung, share), self._order(rung, ()), budget))
            for rung, share in enumerate(shares)
            if share > 0
        ]

    def _choice(self, rung: int, share: float) -> TierChoice:
        return TierChoice(rung, f"drawn with a share of {share:.3g}", min(1.0, share))
