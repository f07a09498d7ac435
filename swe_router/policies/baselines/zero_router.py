"""Zero router: the best mix without features at a given spend, on the tiers' upper concave hull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.policies.mixing import MixingPolicy, Shares
from swe_router.records import Features
from swe_router.stats.arrays import Floats
from swe_router.stats.hull import mix_at, upper_hull


class ZeroRouterKnobs(Knobs):
    """Knobs of ``zero-router``."""

    spend: float = Field(default=0.5, ge=0, le=1)
    """Position on the hull by mean USD per issue: 0 is its cheapest point, 1 its best."""


class ZeroRouter(LearnedPolicy[ZeroRouterKnobs], MixingPolicy[ZeroRouterKnobs]):
    """The best mix without features: two neighbours on the hull of (cost, resolve rate)."""

    name: ClassVar[str] = "zero-router"
    source: ClassVar[str] = "RouterBench (arXiv 2403.12031), section 4"
    maturity: ClassVar[str] = "baseline: a router is only useful above it"
    knobs_type: ClassVar[type[Knobs]] = ZeroRouterKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple({"spend": part / 8} for part in range(9))

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Zeros: nothing is predicted per issue."""
        return np.zeros((len(batch), 1))

    def shares(self) -> Shares:
        """Shares of the two hull points around the spend."""
        cost = np.nanmean(self.training.usd, axis=0)
        rate = np.nanmean(self.training.resolved, axis=0)
        hull = upper_hull(cost, rate)
        target = cost[hull[0]] + self.knobs.spend * (cost[hull[-1]] - cost[hull[0]])
        return tuple(mix_at(cost, hull, target))
