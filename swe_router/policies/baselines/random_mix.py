"""Random mix: each issue goes to a tier drawn with fixed shares; what a router must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from swe_router.policies.base import Knobs
from swe_router.policies.mixing import MixingPolicy, Shares


class RandomMixKnobs(Knobs):
    """Knobs of ``random-mix``."""

    shares: tuple[float, ...] = Field(default=())
    """Share of issues per tier, from cheap to strong; empty: equal shares. Another number of shares
    than tiers is stretched over the ladder."""

    @field_validator("shares", mode="before")
    @classmethod
    def _number_to_tuple(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @field_validator("shares")
    @classmethod
    def _check_amounts(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if value and (min(value) < 0 or not 0 < sum(value) < float("inf")):
            raise ValueError("the shares must be amounts, not all 0")
        return value


class RandomMix(MixingPolicy[RandomMixKnobs]):
    """A tier drawn at random for each issue, with fixed shares."""

    name: ClassVar[str] = "random-mix"
    source: ClassVar[str] = "RouteLLM, LLMRouterBench: the random router"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = RandomMixKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"shares": (round(1 - part, 2), round(part, 2))} for part in (0.1, 0.25, 0.5, 0.75, 0.9)
    )

    def shares(self) -> Shares:
        """One share per rung."""
        return stretch_shares(self.knobs.shares or (1.0,) * len(self.ladder), len(self.ladder))


class FirstDesignMixKnobs(RandomMixKnobs):
    """Knobs of ``doc-6.5``."""

    shares: tuple[float, ...] = (0.2, 0.5, 0.3)
    """The shares of the first design, from simple to complex issues."""


class FirstDesignMix(RandomMix):
    """The static 20/50/30 split of our first design over three tiers, unchanged."""

    name: ClassVar[str] = "doc-6.5"
    source: ClassVar[str] = "our own baseline: a 20/50/30 split of our first design"
    maturity: ClassVar[str] = "baseline: a static mixture lies on the zero-router line"
    knobs_type: ClassVar[type[Knobs]] = FirstDesignMixKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = ()


def stretch_shares(shares: Sequence[float], rungs: int) -> Shares:
    """Shares over ``rungs`` rungs: each takes its part of the unit interval; they sum to 1."""
    edges = np.concatenate([[0.0], np.cumsum(shares)]) / sum(shares)
    at = np.interp(np.linspace(0, 1, rungs + 1), np.linspace(0, 1, len(shares) + 1), edges)
    return tuple(float(part) for part in np.diff(at))
