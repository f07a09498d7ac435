"""The values that flow from an instance to its record, in the order they are born."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import Field

from swe_router.records.conversation import Step, Usage
from swe_router.records.cross_matrix import CrossMatrix
from swe_router.records.frozen import SCHEMA, Evidence, FrozenRecord, Usd
from swe_router.records.instance import Instance
from swe_router.records.leak_report import Finding, LeakReport
from swe_router.records.phases import Phase
from swe_router.records.safe_names import Name
from swe_router.records.served_calls import ServedCalls
from swe_router.records.tier_shares import TierShare, tier_shares

Exit = Literal[
    "submitted", "budget", "steps", "time", "gave_up", "broke", "interrupted", "stop_loss"
]
VerdictOutcome = Literal["pass", "fail", "unknown"]
Status = Literal["candidate", "empty", "infra", "budget", "interrupted"]
Handover = Literal["fresh", "notes", "continue"]
NOTES_BYTES = 6000
"""UTF-8 bytes that the notes of earlier attempts may have."""
ACCEPTANCE = "acceptance"
"""Verifier that combines all others; where it ran, its verdict decides."""
NO_MONEY = "an attempt on tier "
"""How the ledger begins to say that the whole limit of an attempt was not free in the run."""
IMPORTED = "imported"
"""Arm of candidates that were made and paid for elsewhere."""


class Features(FrozenRecord):
    """What is known of an instance before anything is spent on it."""

    instance_id: Name
    repo: str = ""
    text: str | None = ""
    """The issue text, for policies that read it; None where nobody gave it (``require_text``)."""
    values: Mapping[str, float] | None = Field(default_factory=dict)
    """Feature name -> number; None where nothing is known (``require_values``)."""
    provenance: Mapping[str, str] = Field(default_factory=dict)
    """Feature name -> issue | repo | history | judge."""
    version: str = ""


class Arm(FrozenRecord):
    """What can be chosen: a tier of the settings, run by a scaffold."""

    model: str
    """Name of the tier in the settings (not the provider's model id)."""
    scaffold: str = "default"

    def __str__(self) -> str:
        return self.model if self.scaffold == "default" else f"{self.model}/{self.scaffold}"


class Budget(FrozenRecord):
    """Limits of one attempt, or of a whole run."""

    dollars: Usd
    steps: int = Field(default=0, ge=0)
    """Model calls; 0 means no limit of its own."""
    seconds: float = Field(default=0.0, ge=0)
    """Wall seconds; 0 means no limit of its own."""


class Plan(FrozenRecord):
    """One attempt to be made."""

    arm: Arm
    budget: Budget
    handover: Handover = "fresh"
    seed: int | None = None
    variant: str = ""
    """Prompt variant, for ensembles; empty is the scaffold's own."""
    temperature: float | None = None
    """For ensembles, where the provider takes one; None is the tier's own."""
    phases: tuple[Phase, ...] = Field(default=(), exclude_if=lambda phases: not phases)
    """What other tiers do in it, one per role; their money is part of ``budget``."""


class Try(FrozenRecord):
    """A decision to run one or more plans side by side."""

    kind: Literal["try"] = "try"
    plans: tuple[Plan, ...] = Field(min_length=1)
    why: str
    propensity: float = 1.0
    """Probability with which the policy takes this decision here (1 when deterministic)."""


class Stop(FrozenRecord):
    """A decision to run nothing more."""

    kind: Literal["stop"] = "stop"
    why: str


RouteDecision = Annotated[Try | Stop, Field(discriminator="kind")]


class BudgetView(FrozenRecord):
    """The money as a policy may see it, recorded with each decision."""

    budget: Usd
    spent: Usd
    reserved: Usd
    instances_left: int
    """Instances of the run not yet concluded, this one included."""
    clock: float
    """Unix seconds."""
    own: Usd | None = None
    """USD that the instance may still cost by a cap of its own; None is no such cap."""

    @property
    def left(self) -> Decimal:
        """USD that this instance may take: free in the run, and within its own cap."""
        return self.free if self.own is None else min(self.free, self.own)

    @property
    def free(self) -> Decimal:
        """USD of the run neither spent nor reserved, never below 0."""
        return max(Decimal(0), self.budget - self.spent - self.reserved)


class RecordedDecision(FrozenRecord):
    """A decision with all it was made from, so that replay can make it again."""

    decision: RouteDecision
    purse: BudgetView
    state: Mapping[str, Any] = Field(default_factory=dict)
    """The policy's own state, as it gave it (empty for stateless policies)."""


class Trajectory(FrozenRecord):
    """The end of an attempt's conversation; the steps themselves lie in the run folder."""

    exit: Exit
    steps: int = 0
    usage: Usage = Usage()
    usd: Usd = Decimal(0)
    seal: str = ""
    """Seal of the last step."""
    why: str = ""
    """What ended it, in words."""
    served: ServedCalls | None = Field(default=None, exclude_if=lambda served: served is None)
    """What gateways reported of its calls; None where none did and all tokens were counted."""
    tiers: Mapping[str, TierShare] = Field(default_factory=dict, exclude_if=lambda own: not own)
    """Of an attempt with phases: what other tiers have of these sums, by tier."""

    @classmethod
    def of(cls, steps: Sequence[Step], exit: Exit, why: str) -> Trajectory:  # noqa: A002
        """The end of these steps, with the sums over them."""
        return cls(
            exit=exit,
            steps=len(steps),
            usage=sum((step.completion.usage for step in steps), Usage()),
            usd=sum((step.completion.usd for step in steps), Decimal(0)),
            seal=steps[-1].seal if steps else "",
            why=why,
            served=ServedCalls.of([step.completion for step in steps]),
            tiers=tier_shares(steps),
        )


class Failure(FrozenRecord):
    """A broken boundary, as data."""

    kind: str
    """Class name of the error, e.g. ``Overloaded``."""
    boundary: str
    """model | sandbox | scaffold | verifier | ledger."""
    message: str
    retry: bool
    counts: bool


class Attempt(FrozenRecord):
    """One plan, carried out."""

    id: Name
    instance_id: Name
    plan: Plan
    trajectory: Trajectory
    failure: Failure | None = None
    seconds: float = 0.0
    leaks: LeakReport | None = None
    audit: tuple[Finding, ...] = ()
    """What the trajectory reached for that it should not have."""
    sandbox: str = ""
    """Kind and identity of the sandbox, e.g. ``docker:sha256:…``."""
    source: str = ""
    """Where an imported candidate came from: its file, its maker, its name there."""


class Candidate(FrozenRecord):
    """A patch that an attempt left behind, however it ended."""

    attempt_id: Name
    patch: str
    """``git diff --binary`` text against the start state; empty when nothing changed."""
    digest: str
    """SHA-256 of the patch text."""
    files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Changed paths that are caches, build debris or pure mode changes."""
    proven: bool = False
    """The patch was re-applied to the start state and gave the end state byte for byte."""
    mended: str = ""
    """What was done to the text of somebody else before it became this patch."""


class Verdict(FrozenRecord):
    """How far one verifier trusts one candidate, with evidence a reader can check."""

    candidate: str
    """Digest of the candidate."""
    verifier: str
    outcome: VerdictOutcome
    score: float | None = None
    """Probability that the candidate is right, where the verifier has one."""
    evidence: Evidence = Field(default_factory=dict)
    seconds: float = 0.0
    combines: bool | None = Field(default=None, exclude_if=lambda given: given is None)
    """Whether it is what all other verdicts come to; None: ``ACCEPTANCE`` alone is, as ever."""

    @property
    def decides(self) -> bool:
        """What all other verdicts on the candidate come to."""
        return self.verifier == ACCEPTANCE if self.combines is None else self.combines

    @property
    def broke(self) -> str:
        """Why the verifier could not look; empty where it could."""
        return str(self.evidence.get("broke") or "")

    @property
    def usd(self) -> Decimal:
        """What its evidence says that its own model calls cost; 0 when it made none."""
        try:
            usd = Decimal(str(self.evidence.get("usd") or 0))
        except InvalidOperation:
            return Decimal(0)
        return usd if usd.is_finite() and usd >= 0 else Decimal(0)


class Outcome(FrozenRecord):
    """What a policy may look back on."""

    attempt: Attempt
    candidate: Candidate | None = None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def arm(self) -> Arm:
        """The arm that was tried."""
        return self.attempt.plan.arm

    @property
    def imported(self) -> bool:
        """Made and paid for elsewhere."""
        return self.arm.model == IMPORTED

    @property
    def accepted(self) -> bool:
        """A non-empty candidate that ``acceptance`` passed; without it, one pass and no fail."""
        if self.candidate is None or not self.candidate.patch:
            return False
        weighed = self.weighed
        if weighed is not None:
            return weighed.outcome == "pass"
        outcomes = {verdict.outcome for verdict in self.verdicts}
        return "pass" in outcomes and "fail" not in outcomes

    @property
    def never_begun(self) -> bool:
        """The run had not the money left that this attempt needed when it was to start."""
        end = self.attempt.trajectory
        return end.exit == "budget" and end.steps == 0 and end.why.startswith(NO_MONEY)

    @property
    def weighed(self) -> Verdict | None:
        """What the verifier ``acceptance`` made of all other verdicts, where it was asked."""
        return next((one for one in self.verdicts if one.decides), None)

    @property
    def probability(self) -> float | None:
        """Calibrated probability that the candidate is right, where ``acceptance`` gave one."""
        return self.weighed.score if self.weighed is not None else None


class SkippedPlans(FrozenRecord):
    """Plans of one move that were not carried out, since they could change nothing any more."""

    move: int
    """Place of the decision in ``RunRecord.decisions``, from 0."""
    attempts: tuple[Name, ...]
    """Ids that they would have had; no money was held for them."""
    why: str


class Provenance(FrozenRecord):
    """What a record was made with."""

    settings: str = ""
    """Digest of the settings."""
    code: str = ""
    """Version of swe-router."""
    prompts: Mapping[str, str] = Field(default_factory=dict)
    """Prompt or scaffold name -> SHA-256."""
    prices: str = ""
    """Source and date of the price table."""
    seed: int = 0


class RunRecord(FrozenRecord):
    """Everything about one instance of one run; never reopened, grades are written next to it."""

    schema_version: str = SCHEMA
    run: str
    instance: Instance
    features: Features
    decisions: tuple[RecordedDecision, ...]
    outcomes: tuple[Outcome, ...]
    chosen: str | None = None
    """Attempt id of the candidate that is handed in."""
    status: Status
    stop: str = ""
    """Why nothing more was tried."""
    matrix: CrossMatrix | None = None
    """Result of each candidate's patch on each test, where several were compared."""
    left_out: tuple[SkippedPlans, ...] = ()
    """Plans that early stopping left out."""
    unpaid: bool | None = None
    """More money in the run would have gone on; None in records older than this field."""
    usage: Usage = Usage()
    usd: Usd = Decimal(0)
    """Of its attempts."""
    seconds: float = 0.0
    provenance: Provenance = Provenance()

    @property
    def whole_usd(self) -> Decimal:
        """USD of its attempts and of what verifiers asked models about their candidates."""
        asked = (verdict.usd for outcome in self.outcomes for verdict in outcome.verdicts)
        return sum(asked, self.usd)

    @property
    def short_of_money(self) -> bool:
        """The run's money ended before the instance did; of an old record by what its stop says."""
        if self.unpaid is not None:
            return self.unpaid
        lacked = any(words in self.stop for words in ("left undone", "over the money left"))
        return lacked or (self.status == "budget" and all(o.never_begun for o in self.outcomes))

    @property
    def patch(self) -> str:
        """The patch that is handed in, or the empty string."""
        for outcome in self.outcomes:
            if outcome.attempt.id == self.chosen and outcome.candidate is not None:
                return outcome.candidate.patch
        return ""


class Grade(FrozenRecord):
    """The official verdict on one prediction; PASS only on positive evidence."""

    instance_id: Name
    outcome: Literal["resolved", "unresolved", "ungraded"]
    evidence: Evidence = Field(default_factory=dict)
    patch: str = ""
    """SHA-256 of the patch that was graded."""
    run: str = ""

    @property
    def why_ungraded(self) -> str:
        """What kept the patch from being graded; empty for any other outcome."""
        return str(self.evidence.get("reason") or "") if self.outcome == "ungraded" else ""

    @property
    def doubt(self) -> tuple[str, ...]:
        """What the test runner's own record says against the verdict, a line each."""
        return tuple(self.evidence.get("doubt", ()))
