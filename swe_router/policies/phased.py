"""Policies that let two tiers work on one attempt: plan, finish or advise with the strong one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field

from swe_router.errors import UsageError
from swe_router.policies.base import Knobs, required_tier, usd
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import Budget, BudgetView, Features, Phase, Plan
from swe_router.records.phases import TOLERANCE_BAND

Usd = Decimal | None


class PhasedKnobs(Knobs):
    """Knobs of every policy that gives an attempt a phase of another tier."""

    executor: str = ""
    """Tier that works; empty is the cheapest of the ladder."""
    helper: str = ""
    """Tier that plans, finishes or advises; empty is the strongest of the ladder."""
    usd: Usd = Field(default=None, gt=0)
    """USD that the other tier's calls may cost in an attempt; unset is a share of its own limit."""


K = TypeVar("K", bound=PhasedKnobs)


class PhasedPolicy(SingleTierPolicy[K]):
    """One attempt of the cheap tier, with one phase of the strong tier in it.

    When a provider fails, the other tiers are tried alone. An attempt whose phase cannot be paid
    for is made by the cheap tier alone.
    """

    role: ClassVar[Literal["planner", "finisher", "advisor"]]
    phase_roles: ClassVar[Sequence[str]]
    usd_share: ClassVar[Decimal]
    """Of the other tier's limit: what its phase may cost unless ``usd`` says it."""

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` for a tier that is not on the ladder, and where one is alone."""
        super().__init__(ladder, **knobs)
        if self.executor.arm.model == self.helper.arm.model:
            raise UsageError(
                f"policy {self.name!r} needs two tiers, one that works and one that helps it:"
                f" both are {self.executor.arm.model}"
            )

    @property
    def executor(self) -> Plan:
        """The plan of the tier that works."""
        named = self.knobs.executor
        return required_tier(self.name, self.ladder, named) if named else self.ladder[0]

    @property
    def helper(self) -> Plan:
        """The plan of the tier that plans, finishes or advises."""
        named = self.knobs.helper
        return required_tier(self.name, self.ladder, named) if named else self.ladder[-1]

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The executor, for every issue."""
        rung = [plan.arm for plan in self.ladder].index(self.executor.arm)
        return TierChoice(rung, self.reason)

    @property
    def reason(self) -> str:
        """What the other tier does, in words."""
        raise NotImplementedError

    def plan_at(self, rung: int, budget: BudgetView) -> Plan:
        """The executor's plan with its phase, where the money reaches; other tiers work alone."""
        plan = self.ladder[rung]
        if plan.arm != self.executor.arm:
            return plan
        phased = self.phased_plan()
        return phased if phased.budget.dollars <= budget.left else plan

    def phased_plan(self) -> Plan:
        """The attempt with its phase; the phase's money and steps come on top of the arm's."""
        own, helper = self.executor, self.helper
        share = helper.budget.dollars * self.usd_share
        phase = Phase(
            role=self.role,
            tier=helper.arm.model,
            usd=share if self.knobs.usd is None else self.knobs.usd,
            **self.phase_fields(),
        )
        more = phase.calls or helper.budget.steps
        steps = own.budget.steps + more if own.budget.steps and more else 0
        budget = Budget(
            dollars=own.budget.dollars + phase.usd,
            steps=steps,
            seconds=own.budget.seconds and max(own.budget.seconds, helper.budget.seconds),
        )
        return own.model_copy(update={"budget": budget, "phases": (phase,)})

    def phase_fields(self) -> Mapping[str, Any]:
        """Further fields of the phase."""
        raise NotImplementedError

    def _costs(self) -> str:
        return f"for at most {usd(self.phased_plan().phases[0].usd)}"


class PlanExecuteKnobs(PhasedKnobs):
    """Knobs of ``plan-execute``."""

    calls: int = Field(default=8, gt=0)
    """Calls that the planner may make to look at the code and write its plan."""


class PlanExecute(PhasedPolicy[PlanExecuteKnobs]):
    """The strong tier looks at the code and writes a work plan; the cheap tier carries it out."""

    name: ClassVar[str] = "plan-execute"
    source: ClassVar[str] = "plan with the strong model, execute with the cheap one (Switchyard)"
    maturity: ClassVar[str] = "experimental"
    knobs_type: ClassVar[type[Knobs]] = PlanExecuteKnobs
    role = "planner"
    phase_roles = ("planner",)
    usd_share = Decimal("0.5")

    @property
    def reason(self) -> str:
        """See ``PhasedPolicy.reason``."""
        return f"{self.helper.arm} plans {self._costs()}"

    def phase_fields(self) -> Mapping[str, Any]:
        """See ``PhasedPolicy.phase_fields``."""
        return {"calls": self.knobs.calls}


class FinishStrongKnobs(PhasedKnobs):
    """Knobs of ``finish-strong``."""

    stall: int = Field(default=3, ge=0)
    """How often the same call shows the same result before the strong tier takes over; 0: never."""
    after: int | None = Field(default=None, ge=0)
    """Steps of the cheap tier after which the strong tier takes over; unset is its step limit."""
    back: int = Field(default=0, ge=0)
    """Calls of the strong tier after which the cheap one may go on, if it is cheaper; 0: never."""
    band: float = Field(default=TOLERANCE_BAND, ge=0, lt=1)
    """Share by which the cheap tier must be cheaper then, the read of the prefix included."""


class FinishStrong(PhasedPolicy[FinishStrongKnobs]):
    """The cheap tier works; the strong tier takes over where it stalls, gives up or is stopped."""

    name: ClassVar[str] = "finish-strong"
    source: ClassVar[str] = (
        "escalation within the run, priced by cache state (semantic-router#1989)"
    )
    maturity: ClassVar[str] = "experimental"
    knobs_type: ClassVar[type[Knobs]] = FinishStrongKnobs
    role = "finisher"
    phase_roles = ("finisher",)
    usd_share = Decimal(1)

    @property
    def reason(self) -> str:
        """See ``PhasedPolicy.reason``."""
        return f"{self.helper.arm} takes over {self._costs()} where {self.executor.arm} stalls"

    def phase_fields(self) -> Mapping[str, Any]:
        """See ``PhasedPolicy.phase_fields``."""
        knobs = self.knobs
        after = self.executor.budget.steps if knobs.after is None else knobs.after
        return {"stall": knobs.stall, "after": after, "back": knobs.back, "band": knobs.band}


class AdvisorKnobs(PhasedKnobs):
    """Knobs of ``advisor``."""

    questions: int = Field(default=3, gt=0)
    """Questions that the cheap tier may ask in an attempt."""


class Advisor(PhasedPolicy[AdvisorKnobs]):
    """The cheap tier works and may ask the strong tier a few questions through a tool."""

    name: ClassVar[str] = "advisor"
    source: ClassVar[str] = "a cheap executor with a strong advisor as a tool (Switchyard)"
    maturity: ClassVar[str] = "experimental"
    knobs_type: ClassVar[type[Knobs]] = AdvisorKnobs
    role = "advisor"
    phase_roles = ("advisor",)
    usd_share = Decimal("0.5")

    @property
    def reason(self) -> str:
        """See ``PhasedPolicy.reason``."""
        count = "a question" if self.knobs.questions == 1 else f"{self.knobs.questions} questions"
        return f"{self.executor.arm} may ask {self.helper.arm} {count} {self._costs()}"

    def phase_fields(self) -> Mapping[str, Any]:
        """See ``PhasedPolicy.phase_fields``."""
        return {"calls": self.knobs.questions}
