"""What a policy or a selector may be able to do beyond its Protocol; asked by ``isinstance``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from swe_router.records import (
    BudgetView,
    Example,
    Features,
    Handover,
    Outcome,
    Plan,
    RouteDecision,
)
from swe_router.seams import Policy


@runtime_checkable
class DeclaresKnobs(Protocol):
    """A policy's class that says which knobs it takes: a pydantic model of them."""

    knobs_type: type[Any]


@runtime_checkable
class HasKnobs(Protocol):
    """A policy that shows the knobs it was made with, as a pydantic model."""

    knobs: Any


@runtime_checkable
class HasLadder(Protocol):
    """A policy that shows its plans, from cheap to strong; a ``Learner`` must."""

    ladder: Sequence[Plan]


@runtime_checkable
class Learner(Policy, Protocol):
    """A policy that must see recorded outcomes before it can decide."""

    def fitted(self, examples: Sequence[Example]) -> Self:
        """The policy, fitted on past issues; deterministic. ``self`` stays as it is.

        Raises ``UsageError`` that says what is missing when the examples do not hold what it
        needs (an arm of the ladder, costs, repeated runs). Thresholds and calibrations are
        fitted by cross-validation over ``Example.group`` inside the examples.
        """
        ...


@runtime_checkable
class SupportsMixture(Protocol):
    """A policy that can tell all its chances instead of drawing one."""

    def options(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> Sequence[tuple[float, RouteDecision]]:
        """Probabilities that sum to 1, each with its decision."""
        ...


@runtime_checkable
class SupportsChoice(Protocol):
    """A policy that chooses among several candidates by itself."""

    def choose_among(self, features: Features, history: Sequence[Outcome]) -> int:
        """Index in ``history`` of the candidate to hand in."""
        ...


@runtime_checkable
class DeclaresSequential(Protocol):
    """A policy, or its class, that declares whether earlier instances change its decisions."""

    sequential: bool


@runtime_checkable
class DeclaresNeeds(Protocol):
    """A policy, or its class, that names what it cannot decide without; empty is nothing."""

    needs: str


@runtime_checkable
class HasName(Protocol):
    """A policy that knows the name it is chosen by."""

    name: str


@runtime_checkable
class NamesSource(Protocol):
    """A policy's class that names the work which it follows."""

    source: str


@runtime_checkable
class StatesMaturity(Protocol):
    """A policy's class that says how far it can be relied on."""

    maturity: str


@runtime_checkable
class DeclaresSurrogate(Protocol):
    """A policy's class that says what stands in for a model which it cannot have."""

    surrogate: str


@runtime_checkable
class SweepsKnobs(Protocol):
    """A policy's class that lists knobs along which a leaderboard draws its curve."""

    sweep: Sequence[Mapping[str, Any]]


@runtime_checkable
class DeclaresHandover(Protocol):
    """Knobs that say what the next attempt gets from the earlier ones."""

    handover: Handover


@runtime_checkable
class DeclaresPhaseRoles(Protocol):
    """A policy's class that names the roles which other tiers have in its attempts."""

    phase_roles: Sequence[str]


@runtime_checkable
class WeighsEscalations(Protocol):
    """Knobs that know when a next attempt is not worth its price."""

    def why_stop(self, history: Sequence[Outcome], following: Plan) -> str:
        """Why ``following`` is not worth its price after ``history``, or the empty string."""
        ...


@runtime_checkable
class DelegatesDecisions(Protocol):
    """A policy that has another one decide: one for all issues, or one per part of them."""

    def policy_for(self, features: Features) -> Policy:
        """The policy that decides on this issue."""
        ...


def deciding_policy(policy: Policy, features: Features) -> Policy:
    """The policy that decides on an issue in the end: optional abilities are asked of this one."""
    while isinstance(policy, DelegatesDecisions):
        policy = policy.policy_for(features)
    return policy


def source_of(kind: object) -> str:
    """The work that a class of policies follows; empty where it names none."""
    return str(kind.source) if isinstance(kind, NamesSource) else ""


def maturity_of(kind: object) -> str:
    """How far a class of policies can be relied on; empty where it does not say."""
    return str(kind.maturity) if isinstance(kind, StatesMaturity) else ""


def surrogate_of(kind: object) -> str:
    """What stands in for a model that a class of policies cannot have; empty for nothing."""
    return str(kind.surrogate) if isinstance(kind, DeclaresSurrogate) else ""


def phase_roles_of(kind: object) -> Sequence[str]:
    """Roles of other tiers in the attempts of a class of policies (``Plan.phases``)."""
    return kind.phase_roles if isinstance(kind, DeclaresPhaseRoles) else ()


def sweep_of(kind: object) -> Sequence[Mapping[str, Any]]:
    """Knobs of each point of the curve that a leaderboard draws of a class of policies."""
    return kind.sweep if isinstance(kind, SweepsKnobs) else ()


def is_sequential(policy: object) -> bool:
    """Whether a policy, or a class of policies, must meet the instances one after the other."""
    return isinstance(policy, DeclaresSequential) and bool(policy.sequential)


def needs_of(policy: object) -> str:
    """What a policy, or a class of policies, cannot decide without; empty is nothing."""
    return str(policy.needs) if isinstance(policy, DeclaresNeeds) else ""


@runtime_checkable
class SupportsEarlyStop(Protocol):
    """A selector that can tell when its choice is certain before all candidates are made."""

    def settled(self, outcomes: Sequence[Outcome], left: int) -> str:
        """A reason if ``left`` more candidates cannot change the choice, else the empty string."""
        ...
