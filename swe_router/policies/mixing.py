"""What every mixing router shares: shares over the ladder, one seeded draw an issue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from swe_router.policies.base import Knobs, draw
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import BudgetView, Features, Outcome, RouteDecision

K = TypeVar("K", bound=Knobs)
Shares = tuple[float, ...]


class Mixing(SingleShot[K]):
    """A tier drawn for each issue from (seed, issue): a replay draws the same.

    ``options`` tells all chances, so that a leaderboard can report the expectation.
    """

    def shares(self) -> Shares:
        """Probability of each rung; sums to 1."""
        raise NotImplementedError

    def choose(self, features: Features, purse: BudgetView) -> Choice:
        """The rung in whose share the issue's number falls."""
        shares, drawn = self.shares(), draw(self.knobs.seed, features.instance_id)
        below = 0.0
        for rung, share in enumerate(shares):
            below += share
            if drawn < below:
                return self._choice(rung, share)
        last = max(rung for rung, share in enumerate(shares) if share > 0)
        return self._choice(last, shares[last])

    def options(
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> Sequence[tuple[float, RouteDecision]]:
        """Every chance with its decision."""
        if history:
            return [(1.0, self.decide(features, history, purse))]
        shares = self.shares()
        return [
            (share, self._try(self._choice(rung, share), self._order(rung, ()), purse))
            for rung, share in enumerate(shares)
            if share > 0
        ]

    def _choice(self, rung: int, share: float) -> Choice:
        return Choice(rung, f"drawn with a share of {share:.3g}", min(1.0, share))
