"""Arch-Router (arXiv 2506.16655): named preference routes, chosen by a generative model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field

from swe_router.errors import UsageError
from swe_router.policies.base import Knobs
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import Budget, BudgetView, Features, Plan
from swe_router.records.known_features import require_values

ROUTE_PREFIX = "judge.route."


class ArchKnobs(Knobs):
    """Knobs of ``arch-router``."""

    routes: Mapping[str, str] = Field(default_factory=dict)
    """Route name -> tier. The route model's choice is feature ``judge.route.NAME``."""
    default: str = ""
    """Tier of an issue that fits no route; empty: the strongest."""


class ArchRouter(SingleTierPolicy[ArchKnobs]):
    """Named preference routes; a generative model assigns one to an issue."""

    name: ClassVar[str] = "arch-router"
    source: ClassVar[str] = "Arch-Router (arXiv 2506.16655), katanemo/archgw"
    needs: ClassVar[str] = "features judge.route.NAME of a route model behind HTTP, and its routes"
    maturity: ClassVar[str] = "experimental"
    knobs_type: ClassVar[type[Knobs]] = ArchKnobs

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` for a route to a tier that is not on the ladder."""
        super().__init__(ladder, **knobs)
        names = [str(plan.arm) for plan in self.ladder]
        for route, tier in (*self.knobs.routes.items(), ("default", self.knobs.default)):
            if tier and tier not in names:
                raise UsageError(f"policy 'arch-router': route {route!r} names tier {tier!r},"
                                 f" there is {', '.join(names)}")  # fmt: skip

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """Itself. Raises ``UsageError`` when no route is configured or chosen for any issue."""
        if not self.knobs.routes or (batch and not any(map(chosen_route, batch))):
            raise UsageError(f"needs {self.needs}")
        return self

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The tier of the chosen route; the default tier for ``other``."""
        route = chosen_route(features)
        names = [str(plan.arm) for plan in self.ladder]
        tier = self.knobs.routes.get(route, self.knobs.default or names[-1])
        return TierChoice(names.index(tier), f"route {route or 'other'}")


def chosen_route(features: Features) -> str:
    """The route with the highest ``judge.route.NAME`` of an issue; empty where there is none."""
    seen = {
        k.removeprefix(ROUTE_PREFIX): v
        for k, v in require_values(features).items()
        if k.startswith(ROUTE_PREFIX)
    }
    return max(seen, key=lambda name: seen[name]) if seen else ""
