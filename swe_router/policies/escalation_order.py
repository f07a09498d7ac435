"""What escalating policies share: how the next tier begins, and whether it is worth its price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from swe_router.errors import UsageError
from swe_router.policies.base import Knobs, is_infra_failure, usd
from swe_router.records import Handover, Outcome, Plan

RESCUED = 0.385
"""77 of 200 issues that DeepSeek V3.2 left unresolved were resolved by Sonnet 4.5 (both under
mini-SWE-agent, 500 Verified issues): one pair of tiers, so a default and no law."""
Probability = Annotated[float, Field(ge=0, le=1)]


class Escalation(Knobs):
    """Knobs of every policy that goes from one tier to the next."""

    handover: Handover = "fresh"
    """How a tier above the first begins: ``fresh``, with ``notes`` of what was found and what
    failed (never the wrong diff), or to ``continue`` from the earlier patch and conversation."""


class Worth(Escalation):
    """Knobs of policies that may stop when escalating is not worth its price."""

    value: float | None = Field(default=None, gt=0)
    """USD that a resolved issue is worth; unset: an issue is never given up for its price."""
    rescue: Probability | Mapping[str, Probability] = RESCUED
    """Probability that the next tier resolves an issue, given that the tier's patch is wrong (not
    that it was refused: some refused patches are right): one for all, or by tier. The default was
    measured on one pair of tiers: 77 of 200."""
    costs: Mapping[str, Annotated[Decimal, Field(ge=0)]] = Field(default_factory=dict)
    """Tier -> expected USD of one attempt; a tier left out costs ``usual_share`` of its limit."""
    usual_share: Decimal = Field(default=Decimal("0.25"), gt=0, le=1)
    """Expected cost as a share of the attempt's dollar limit, where ``costs`` names none."""

    def rescued(self, tier: str) -> float:
        """``rescue`` of what a tier got wrong."""
        return self.rescue.get(tier, RESCUED) if isinstance(self.rescue, Mapping) else self.rescue


def known_tiers(policy: str, ladder: Sequence[Plan], knobs: Worth) -> None:
    """Raises ``UsageError`` when a knob names a tier that is not on the ladder."""
    check_tiers(policy, [str(plan.arm) for plan in ladder], knobs)


def check_tiers(policy: str, names: Sequence[str], knobs: Worth) -> None:
    """``known_tiers`` by the names of the tiers."""
    for knob, tiers in (("costs", knobs.costs), ("rescue", knobs.rescue)):
        for tier in tiers if isinstance(tiers, Mapping) else ():
            if tier not in names:
                raise UsageError(
                    f"policy {policy!r}: knob {knob!r} names tier {tier!r},"
                    f" there is {', '.join(names)}"
                )


def expected_cost(plan: Plan, knobs: Worth) -> Decimal:
    """Expected USD of one move with this plan."""
    usual = plan.budget.dollars * knobs.usual_share
    return knobs.costs.get(str(plan.arm), usual) * knobs.candidates


def handed(plans: Iterable[Plan], mode: Handover, history: Sequence[Outcome]) -> tuple[Plan, ...]:
    """The plans as they begin after ``history``: its work is handed over when there is any."""
    if mode == "fresh" or not history:
        return tuple(plans)
    return tuple(plan.model_copy(update={"handover": mode}) for plan in plans)


def hopeless(history: Sequence[Outcome], following: Plan, knobs: Worth, reason: str) -> str:
    """Why escalating to ``following`` is not worth its price, or the empty string.

    ``reason`` is the fault for which one would escalate.

    It is worth value * rescue * (1 - p) USD (AutoMix, arXiv 2310.12963, section 4), with p the
    highest known probability that a refused patch is right. Where none is known, p is left out of
    the product: the most that escalating can be worth. A provider that broke is no refusal.
    """
    if knobs.value is None or all(is_infra_failure(outcome) for outcome in history):
        return ""
    last = next(outcome for outcome in reversed(history) if not is_infra_failure(outcome))
    rescue = knobs.rescued(str(last.arm))
    right = _right(history)
    worth = knobs.value * rescue * (1 - (0.0 if right is None else right))
    price = expected_cost(following, knobs)
    if worth > price:
        return ""
    doubt = "" if right is None else f" x {1 - right:.2f} that no patch is right yet"
    bound = ", though nothing tells how likely a patch is right" if right is None else ""
    source = " (77 of 200, measured on one pair of tiers)" if rescue == RESCUED else ""
    sum_ = f"${knobs.value:g} x {rescue:.3g} rescued by the next tier{source}{doubt}"
    return (
        f"HOPELESS: {reason}, and {sum_} is ${worth:.2f}{bound}, not over the {usd(price)} that"
        f" {following.arm} is expected to cost. This goes by averages: which refused issues are"
        " hopeless is not predictable"
    )


def _right(history: Sequence[Outcome]) -> float | None:
    """The highest known probability that a patch is right; 0 without any patch, None unknown."""
    patches = [outcome for outcome in history if _patch(outcome)]
    known = [one.probability for one in patches if one.probability is not None]
    return max(known, default=None if patches else 0.0)


def _patch(outcome: Outcome) -> bool:
    return outcome.candidate is not None and bool(outcome.candidate.patch)
