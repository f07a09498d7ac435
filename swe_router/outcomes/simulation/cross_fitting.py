"""Learned policies replayed on repositories that they never saw: leave one repository out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import numpy as np

from swe_router.outcomes.simulation.stage import Simulation
from swe_router.policy_abilities import HasKnobs, Learner, is_sequential, needs_of
from swe_router.records import (
    Budget,
    BudgetView,
    Example,
    Features,
    Outcome,
    RouteDecision,
    RunRecord,
)
from swe_router.seams import Policy

Fold = Callable[[Features], str]
"""The fold to which an issue belongs."""


def by_repository(features: Features) -> str:
    """One fold a repository."""
    return features.repo


def at_random(features: Sequence[Features], folds: int = 10, seed: int = 0) -> Fold:
    """Random folds of about equal size: a gauge of leakage, never the figure that is reported."""
    drawn = np.random.default_rng(seed).permutation(len(features)) % folds
    place = {one.instance_id: str(fold) for one, fold in zip(features, drawn, strict=True)}
    return lambda one: place[one.instance_id]


@dataclass(frozen=True)
class Folded:
    """One policy a fold, each fitted on the issues of the other folds; asks the one in charge.

    Of a whole-run budget each gets the share of its issues.
    """

    parts: Mapping[str, Policy]
    fold: Fold

    @property
    def knobs(self) -> Any:
        """Those of each part, which are the same; None without a part."""
        parts = (part for part in self.parts.values() if isinstance(part, HasKnobs))
        return next((part.knobs for part in parts), None)

    @property
    def sequential(self) -> bool:
        """As the policies that it is made of."""
        return any(map(is_sequential, self.parts.values()))

    @property
    def needs(self) -> str:
        """As the policies that it is made of."""
        return next(filter(None, map(needs_of, self.parts.values())), "")

    def policy_for(self, features: Features) -> Policy:
        """The part that never saw this issue's fold."""
        return self.parts[self.fold(features)]

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """Each part, with its own issues and its share of the money."""
        mine: dict[str, list[Features]] = {name: [] for name in self.parts}
        for one in batch:
            mine[self.fold(one)].append(one)
        made = {}
        for name, part in self.parts.items():
            share = Decimal(len(mine[name])) / max(1, len(batch))
            money = Budget(dollars=budget.dollars * share)
            made[name] = part.prepare(mine[name], money)
        return type(self)(made, self.fold)

    def decide(
        self, features: Features, history: Sequence[Outcome], purse: BudgetView
    ) -> RouteDecision:
        """The decision of the part that never saw this issue's fold."""
        return self.parts[self.fold(features)].decide(features, history, purse)

    def update(self, record: RunRecord) -> Self:
        """With the part in charge updated."""
        name = self.fold(record.features)
        part = self.parts[name]
        new = part.update(record)
        return self if new is part else type(self)({**self.parts, name: new}, self.fold)

    def state(self) -> Mapping[str, Any]:
        """The state of each part."""
        return {name: dict(part.state()) for name, part in self.parts.items()}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """Each part restored."""
        made = {name: part.restored(state[name]) for name, part in self.parts.items()}
        return type(self)(made, self.fold)


def cross_fitted(policy: Policy, stage: Simulation, fold: Fold = by_repository) -> Policy:
    """The policy as it may be replayed on a stage: itself, or one fit per fold.

    Raises ``UsageError`` when the rest of some fold does not hold what it needs.
    """
    if not isinstance(policy, Learner):
        return policy
    return by_fold(policy, stage.examples, fold)


def by_fold(
    policy: Learner, examples: Sequence[Example], fold: Fold, names: Sequence[str] = ()
) -> Policy:
    """A learning policy fitted once a fold, without it; ``names`` are folds to decide on.

    Without ``names``, the folds of the examples. Raises ``UsageError`` as ``fitted`` does.
    """
    folds = [fold(example.features) for example in examples]
    parts = {}
    for name in sorted(set(names or folds)):
        rest = tuple(e for e, own in zip(examples, folds, strict=True) if own != name)
        parts[name] = policy.fitted(examples if len(rest) == len(examples) else rest)
    return Folded(parts, fold)
