"""Random mix: each issue goes to a tier drawn with fixed shares; what a router must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from swe_router.policies.base import Knobs
from swe_router.policies.mixing import Mixing, Shares


class RandomMixKnobs(Knobs):
    """Knobs of ``random-mix``."""

    shares: tuple[float, ...] = Field(default=())
    """Share of issues for each tier, from cheap to strong; none is equal shares. Fewer or more
    shares than tiers are stretched over the ladder."""

    @field_validator("shares", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @field_validator("shares")
    @classmethod
    def _amounts(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if value and (min(value) < 0 or not 0 < sum(value) < float("inf")):
            raise ValueError("the shares must be amounts, not all 0")
        return value


class RandomMix(Mixing[RandomMixKnobs]):
    """A tier drawn blindly for each issue, with fixed shares."""

    name: ClassVar[str] = "random-mix"
    source: ClassVar[str] = "RouteLLM, LLMRouterBench: the random router"
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = RandomMixKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"shares": (round(1 - part, 2), round(part, 2))} for part in (0.1, 0.25, 0.5, 0.75, 0.9)
    )

    def shares(self) -> Shares:
        """One share a rung."""
        return stretched(self.knobs.shares or (1.0,) * len(self.ladder), len(self.ladder))


class Document65Knobs(RandomMixKnobs):
    """Knobs of ``doc-6.5``."""

    shares: tuple[float, ...] = (0.2, 0.5, 0.3)
    """As the document has them, from simple to complex issues."""


class Document65(RandomMix):
    """The static 20/50/30 split of our first design over three tiers, as it stands."""

    name: ClassVar[str] = "doc-6.5"
    source: ClassVar[str] = "our own baseline: a 20/50/30 split of our first design"
    maturity: ClassVar[str] = "baseline: a static mixture lies on the zero-router line"
    knobs_type: ClassVar[type[Knobs]] = Document65Knobs
    sweep: ClassVar[Sequence[dict[str, object]]] = ()


def stretched(shares: Sequence[float], rungs: int) -> Shares:
    """Shares over another number of rungs: each rung takes its stretch of the unit interval."""
    edges = np.concatenate([[0.0], np.cumsum(shares)]) / sum(shares)
    at = np.interp(np.linspace(0, 1, rungs + 1), np.linspace(0, 1, len(shares) + 1), edges)
    return tuple(float(part) for part in np.diff(at))
