"""Base of every ladder policy: validated knobs, the state of a ladder, and money in words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import Field, ValidationError

from swe_router import errors, suggest
from swe_router.errors import UsageError
from swe_router.policy_abilities import DeclaresKnobs
from swe_router.records import (
    Budget,
    BudgetView,
    Features,
    Outcome,
    Plan,
    RouteDecision,
    RunRecord,
)
from swe_router.settings import Table
from swe_router.stats.rounding import distinct_decimals

_EXPLAINED_ERRORS = (
    "NoConnection",
    "NoCredit",
    "ModelUnknown",
    "SettingRefused",
    "NoImageStore",
    "EngineGone",
)


class Knobs(Table):
    """Knobs that every ladder policy takes."""

    candidates: int = Field(default=1, gt=0)
    """Attempts per rung, run in parallel with different seeds."""
    seed: int = 0
    """First seed of repeated attempts, and the seed of every random draw."""


K = TypeVar("K", bound=Knobs)


@dataclass(frozen=True, init=False)
class LadderPolicy(Generic[K]):
    """A stateless policy over plan templates from cheap to strong; a frozen value."""

    name: ClassVar[str]
    knobs_type: ClassVar[type[Knobs]]
    ladder: tuple[Plan, ...]
    knobs: K

    def __init__(self, ladder: Sequence[Plan], **knobs: Any) -> None:
        """Raises ``UsageError`` that names a bad knob and the nearest known one."""
        rungs = tuple(ladder)
        names = [str(plan.arm) for plan in rungs]
        if not rungs:
            raise UsageError(
                f"policy {self.name!r} has no tier to choose from: its ladder is empty"
            )
        if len(set(names)) < len(names):
            raise UsageError(f"policy {self.name!r}: the ladder names a tier twice: {names}")
        object.__setattr__(self, "ladder", rungs)
        object.__setattr__(self, "knobs", validated_knobs(self.name, self.knobs_type, knobs))

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """Itself: nothing is learned from the batch."""
        return self

    def decide(
        self, features: Features, history: Sequence[Outcome], budget: BudgetView
    ) -> RouteDecision:
        """The next move; each policy implements its own."""
        raise NotImplementedError

    def update(self, record: RunRecord) -> Self:
        """Itself: nothing is learned from a concluded instance."""
        return self

    def state(self) -> Mapping[str, Any]:
        """Empty: decisions depend on the settings and the arguments only."""
        return {}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """Itself: there is no state."""
        return self


def knobs_type_of(kind: Any) -> type[Knobs]:
    """The knobs that a policy's class declares, else those that every policy takes."""
    own: type[Knobs] = kind.knobs_type if isinstance(kind, DeclaresKnobs) else Knobs
    return own


def knobs_for(policy: str, kind: Any, knobs: Mapping[str, Any]) -> Knobs:
    """The knobs of a policy's class as a value; of one that declares none, the common ones.

    Raises ``UsageError`` as ``validated_knobs`` does.
    """
    own = knobs_type_of(kind)
    declared = isinstance(kind, DeclaresKnobs)
    return validated_knobs(
        policy, own, {k: v for k, v in knobs.items() if declared or k in own.model_fields}
    )


def validated_knobs(policy: str, kind: type[Knobs], knobs: Mapping[str, Any]) -> Knobs:
    """The knobs as one value. Raises ``UsageError`` that lists every fault."""
    nested = _nested_knobs(knobs, kind)
    faults = []
    if not kind.model_config.get("extra"):  # pydantic's default drops what it does not know
        known = {*kind.model_fields, *(one.alias for one in kind.model_fields.values())}
        unknown = [name for name in nested if name not in known]
        faults = [_fault_text({"loc": (one,), "type": "extra_forbidden"}, kind) for one in unknown]
    try:
        made = kind.model_validate(nested)
        if not faults:
            return made
    except ValidationError as error:
        faults += [_fault_text(fault, kind) for fault in error.errors()]
    raise UsageError(f"policy {policy!r}: " + "; ".join(dict.fromkeys(faults)))


def _nested_knobs(knobs: Mapping[str, Any], kind: type[Knobs]) -> dict[str, Any]:
    """The knobs, with ``costs.TIER=1`` of a command line as an entry of the knob ``costs``."""
    nested: dict[str, Any] = {}
    for key, value in knobs.items():
        name, dot, entry = key.partition(".")
        if dot and key not in kind.model_fields and name in kind.model_fields:
            known = nested.get(name, knobs.get(name, {}))
            nested[name] = {**(known if isinstance(known, Mapping) else {}), entry: value}
        else:
            nested.setdefault(key, value)
    return nested


def _fault_text(fault: Any, kind: type[Knobs]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    known = sorted(kind.model_fields)
    if fault["type"] == "extra_forbidden":
        hint = suggest.did_you_mean_hint(where, known) or f": there is {', '.join(known)}"
        return f"there is no knob {where!r}{hint}"
    if fault["type"] == "missing":
        return f"knob {where!r} must be given"
    what = fault["msg"].removeprefix("Value error, ")
    return f"knob {where!r}: {what} (given: {fault['input']!r})"


def rung_of(ladder: Sequence[Plan], outcome: Outcome) -> int:
    """Index of the outcome's arm on the ladder; -1 for an arm that is not on it."""
    arms = [plan.arm for plan in ladder]
    return arms.index(outcome.arm) if outcome.arm in arms else -1


def required_tier(policy: str, ladder: Sequence[Plan], tier: str) -> Plan:
    """The plan of a tier that a knob names. Raises ``UsageError`` with the nearest right name."""
    # An arm has its scaffold in its name where that is another than the default.
    found = [plan for plan in ladder if tier in (str(plan.arm), plan.arm.model)]
    if found:
        return found[0]
    names = [plan.arm.model for plan in ladder]
    raise UsageError(
        f"policy {policy!r}: knob 'tier' must be one of {', '.join(names)}"
        f" (given: {tier!r}){suggest.did_you_mean_hint(tier, names)}"
    )


def plan_of_tier(policy: str, ladder: Sequence[Plan], tier: str) -> Plan | None:
    """As ``required_tier``; None for an empty name."""
    return required_tier(policy, ladder, tier) if tier else None


def is_infra_failure(outcome: Outcome) -> bool:
    """True when the failure is no evidence about the arm."""
    return outcome.attempt.failure is not None and not outcome.attempt.failure.counts


def sandbox_is_permanently_broken(outcome: Outcome) -> bool:
    """True when the sandbox broke for good: another tier would get the same sandbox."""
    failure = outcome.attempt.failure
    return failure is not None and failure.boundary == "sandbox" and not failure.retry


def is_trusted(outcome: Outcome) -> bool:
    """True when the attempt submitted without a failure and the verifiers accepted its patch."""
    attempt = outcome.attempt
    return outcome.accepted and attempt.failure is None and attempt.trajectory.exit == "submitted"


def first_trusted(history: Sequence[Outcome]) -> Outcome | None:
    """The first outcome that is trusted, after which nothing more need be tried."""
    return next((outcome for outcome in history if is_trusted(outcome)), None)


def why_settled(history: Sequence[Outcome]) -> str:
    """Why no tier need be tried any more, by what no policy decides; empty when one may be.

    A patch is trusted, or the sandbox broke for good in the last attempt.
    """
    trusted = first_trusted(history)
    return f"{trusted.arm}'s patch was accepted" if trusted else why_sandbox_ends(history)


def why_sandbox_ends(history: Sequence[Outcome]) -> str:
    """Why no other tier is tried after a sandbox that broke for good; empty without one."""
    if not history or not sandbox_is_permanently_broken(history[-1]):
        return ""
    return f"{fault_of(history[-1])}: every tier would meet the same sandbox"


def fault_of(outcome: Outcome) -> str:
    """Why an outcome is not trusted, in a few words that name its arm."""
    arm, attempt = outcome.arm, outcome.attempt
    ends = {
        "budget": "hit its dollar limit",
        "steps": "hit its step limit",
        "time": "hit its time limit",
        "gave_up": "gave up",
        "stop_loss": "was stopped early",
    }
    if attempt.failure is not None:
        where = "the provider" if attempt.failure.boundary == "model" else attempt.failure.boundary
        return f"{arm} broke ({where}: {_failure_cause(attempt.failure.kind)})"
    if attempt.trajectory.exit in ends:
        why = attempt.trajectory.why if attempt.trajectory.exit == "stop_loss" else ""
        return f"{arm} {ends[attempt.trajectory.exit]}" + (f" ({why})" if why else "")
    if outcome.candidate is None or not outcome.candidate.patch:
        return f"{arm} left an empty patch"
    return _verdict_fault(outcome)


def _failure_cause(kind: str) -> str:
    """What broke, in words; a class name that is not listed is returned as it is."""
    known = getattr(errors, kind, None) if kind in _EXPLAINED_ERRORS else None
    return known.cause if known is not None else kind


def _verdict_fault(outcome: Outcome) -> str:
    failed = [verdict.verifier for verdict in outcome.verdicts if verdict.outcome == "fail"]
    facts = [one.verifier for one in outcome.verdicts if one.outcome == "fail" and not one.decides]
    chance, bar = outcome.probability, _acceptance_threshold(outcome)
    if not outcome.accepted and chance is not None and bar is not None and chance < bar:
        under = f"{outcome.arm}'s patch is right with p {_below_threshold(chance, bar)}"
        return under + (f" (failed {', '.join(facts)})" if facts else "")
    failed = facts or failed
    if failed:
        return f"{outcome.arm}'s patch failed {', '.join(failed)}"
    if not outcome.accepted:
        others = [verdict for verdict in outcome.verdicts if not verdict.decides]
        passed = [verdict.verifier for verdict in others if verdict.outcome == "pass"]
        if passed:
            return f"{outcome.arm}'s patch passed {', '.join(passed)}, which does not carry it"
        return f"no verifier passed {outcome.arm}'s patch ({len(others)} said unknown)"
    return f"{outcome.arm} ended as {outcome.attempt.trajectory.exit}"


def _acceptance_threshold(outcome: Outcome) -> float | None:
    """The threshold of ``acceptance``, if its evidence records one."""
    bar = outcome.weighed.evidence.get("threshold") if outcome.weighed is not None else None
    return float(bar) if isinstance(bar, int | float) else None


def _below_threshold(chance: float, bar: float) -> str:
    """A probability and the threshold above it, with enough digits to differ."""
    shown = [one.removeprefix("0") for one in distinct_decimals(chance, bar)]
    return f"{shown[0]}, under {shown[1]}"


def usd(amount: Decimal) -> str:
    """Dollars for a person: cents, or as many digits as a smaller sum needs."""
    cents = amount.quantize(Decimal("0.01"))
    return f"${cents}" if cents == amount or amount >= 1 else f"${amount.normalize():f}"


def money_left(budget: BudgetView) -> str:
    """``$0.05 left``, of the run's budget or of the instance's own cap."""
    own = "of its own cap (limits.instance_usd) " if is_at_own_cap(budget) else ""
    return f"{usd(budget.left)} {own}left"


def lack_of_money(budget: BudgetView) -> str:
    """Why no tier can be paid for: the instance's own cap or the run's budget."""
    return "at its own cap" if is_at_own_cap(budget) else "for lack of money"


def is_at_own_cap(budget: BudgetView) -> bool:
    """Whether the instance's own cap is tighter than the run's free budget."""
    return budget.own is not None and budget.own < budget.free


def seeded_repeats(plan: Plan, count: int, seed: int) -> tuple[Plan, ...]:
    """The plan and its repeats: the first unchanged, each later one with its own seed."""
    first = seed if plan.seed is None else plan.seed
    more = (plan.model_copy(update={"seed": first + k}) for k in range(1, count))
    return (plan, *more)


def affordable_attempts(plan: Plan, wanted: int, left: Decimal) -> int:
    """How many attempts of a plan ``left`` USD pay for at their limits, at most ``wanted``."""
    if plan.budget.dollars <= 0:
        return wanted
    return min(wanted, int(left // plan.budget.dollars))


def seeded_draw(*parts: object) -> float:
    """A pseudo-random number in [0, 1) that depends on the parts only, so it replays."""
    text = "\x00".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:7], "big") / 2**56
