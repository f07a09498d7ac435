"""Shared by escalating policies: how the next tier starts, and whether it is worth its price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from swe_router.errors import UsageError
from swe_router.policies.base import Knobs, fault_of, is_infra_failure, usd
from swe_router.records import Handover, Outcome, Plan

RESCUE_RATE = 0.385
"""77 of 200 issues that DeepSeek V3.2 left unresolved were resolved by Sonnet 4.5 (both under
mini-SWE-agent, 500 Verified issues): measured on one pair of tiers, so only a default."""
Probability = Annotated[float, Field(ge=0, le=1)]


class EscalationKnobs(Knobs):
    """Knobs of every policy that escalates from one tier to the next."""

    handover: Handover = "fresh"
    """How a tier above the first starts: ``fresh``, with ``notes`` of what was found and what
    failed (never the wrong diff), or to ``continue`` from the earlier patch and conversation."""


class EscalationValueKnobs(EscalationKnobs):
    """Knobs of policies that may stop when escalating is not worth its price."""

    value: float | None = Field(default=None, gt=0)
    """USD that a resolved issue is worth; unset: price never stops an escalation."""
    rescue: Probability | Mapping[str, Probability] = RESCUE_RATE
    """Probability that the next tier resolves an issue, given that this tier's patch is wrong: one
    value, or one per tier. It is not the probability given a refusal, because some refused patches
    are right. The default was measured on one pair of tiers: 77 of 200."""
    costs: Mapping[str, Annotated[Decimal, Field(ge=0)]] = Field(default_factory=dict)
    """Tier -> expected USD of one attempt; a tier left out costs ``usual_share`` of its limit."""
    usual_share: Decimal = Field(default=Decimal("0.25"), gt=0, le=1)
    """Expected cost as a share of the attempt's dollar limit, where ``costs`` names none."""

    def why_stop(self, history: Sequence[Outcome], following: Plan) -> str:
        """See ``policy_abilities.WeighsEscalations``."""
        return why_not_worth_escalating(history, following, self, fault_of(history[-1]))

    def rescue_rate(self, tier: str) -> float:
        """Probability that the tier after ``tier`` resolves an issue that ``tier`` got wrong."""
        return (
            self.rescue.get(tier, RESCUE_RATE) if isinstance(self.rescue, Mapping) else self.rescue
        )


def check_ladder_tiers(policy: str, ladder: Sequence[Plan], knobs: EscalationValueKnobs) -> None:
    """Raises ``UsageError`` when a knob names a tier that is not on the ladder."""
    check_tier_names(policy, [str(plan.arm) for plan in ladder], knobs)


def check_tier_names(policy: str, names: Sequence[str], knobs: EscalationValueKnobs) -> None:
    """Like ``check_ladder_tiers``, for the names of the tiers."""
    for knob, tiers in (("costs", knobs.costs), ("rescue", knobs.rescue)):
        for tier in tiers if isinstance(tiers, Mapping) else ():
            if tier not in names:
                raise UsageError(
                    f"policy {policy!r}: knob {knob!r} names tier {tier!r},"
                    f" there is {', '.join(names)}"
                )


def expected_cost(plan: Plan, knobs: EscalationValueKnobs) -> Decimal:
    """Expected USD of one move with this plan."""
    usual = plan.budget.dollars * knobs.usual_share
    return knobs.costs.get(str(plan.arm), usual) * knobs.candidates


def with_handover(
    plans: Iterable[Plan], mode: Handover, history: Sequence[Outcome]
) -> tuple[Plan, ...]:
    """The plans with handover ``mode``; unchanged for the first attempt of an instance."""
    if mode == "fresh" or not history:
        return tuple(plans)
    return tuple(plan.model_copy(update={"handover": mode}) for plan in plans)


def why_not_worth_escalating(
    history: Sequence[Outcome], following: Plan, knobs: EscalationValueKnobs, reason: str
) -> str:
    """Why escalating to ``following`` is not worth its price, or the empty string.

    ``reason`` is the fault that calls for an escalation.

    Escalating is worth value * rescue * (1 - p) USD (AutoMix, arXiv 2310.12963, section 4). p is
    the highest known probability that a refused patch is right; without one, p is 0, which gives
    an upper bound. A provider failure is no refusal.
    """
    if knobs.value is None or all(is_infra_failure(outcome) for outcome in history):
        return ""
    last = next(outcome for outcome in reversed(history) if not is_infra_failure(outcome))
    rescue = knobs.rescue_rate(str(last.arm))
    right = _max_probability(history)
    worth = knobs.value * rescue * (1 - (0.0 if right is None else right))
    price = expected_cost(following, knobs)
    if worth > price:
        return ""
    doubt = "" if right is None else f" x {1 - right:.2f} that no patch is right yet"
    bound = ", though nothing tells how likely a patch is right" if right is None else ""
    source = " (77 of 200, measured on one pair of tiers)" if rescue == RESCUE_RATE else ""
    sum_ = f"${knobs.value:g} x {rescue:.3g} rescued by the next tier{source}{doubt}"
    return (
        f"HOPELESS: {reason}, and {sum_} is ${worth:.2f}{bound}, not over the {usd(price)} that"
        f" {following.arm} is expected to cost. This goes by averages: which refused issues are"
        " hopeless is not predictable"
    )


def _max_probability(history: Sequence[Outcome]) -> float | None:
    """Highest known probability that a patch is right: 0 without a patch, None if unknown."""
    patches = [outcome for outcome in history if _has_patch(outcome)]
    known = [one.probability for one in patches if one.probability is not None]
    return max(known, default=None if patches else 0.0)


def _has_patch(outcome: Outcome) -> bool:
    return outcome.candidate is not None and bool(outcome.candidate.patch)
