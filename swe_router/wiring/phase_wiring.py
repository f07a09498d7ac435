"""What other tiers do in an attempt, wired: their limits, prices and shares of its money."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from swe_router.estimates.switch_price import USUAL_CACHE_SECONDS
from swe_router.journal.header import Header
from swe_router.ledger import Hold, Ledger
from swe_router.ledger.holds import CallLedger
from swe_router.ledger.shares import HoldShare
from swe_router.records import Plan
from swe_router.seams import AttemptContext, AttemptPhases, Model, PhaseTier
from swe_router.settings import Settings, Tier

CACHE_SECONDS = {"5m": 300.0, "1h": 3600.0}
ContextOfPlan = Callable[[Settings, Plan], AttemptContext]


def phases_of_plan(
    header: Header,
    plan: Plan,
    context_of: ContextOfPlan,
    *,
    work_plan: str = "",
    model: Callable[[str], Model] | None = None,
) -> AttemptPhases | None:
    """What an attempt's dialogue needs to know of its phases; None where it has none.

    ``model``: tier -> its model; a replay asks none.
    """
    if not plan.phases:
        return None
    names = {plan.arm.model, *(phase.tier for phase in plan.phases)}
    tiers = {}
    for name in names:
        arm = plan.arm.model_copy(update={"model": name})
        context = context_of(header.settings, plan.model_copy(update={"arm": arm}))
        rate = header.rates[name]
        tiers[name] = PhaseTier(context, rate.usd, cache_seconds(header.settings.tiers[name]))
    return AttemptPhases(
        phases=plan.phases,
        arm=plan.arm.model,
        tiers=tiers,
        model=lru_cache(maxsize=None)(model) if model else None,
        work_plan=work_plan,
    )


def cache_seconds(tier: Tier) -> float:
    """How long a tier's cache keeps a prefix: as its options say, else the usual five minutes."""
    return CACHE_SECONDS.get(str(tier.options.get("cache_ttl", "")), USUAL_CACHE_SECONDS)


def share_of(ledger: Ledger, hold: Hold, plan: Plan, tier: str) -> CallLedger:
    """Where the calls of a tier in an attempt are booked: within its share of the money.

    The arm has what its phases leave.
    """
    if not plan.phases:
        return hold
    shares = [phase.usd for phase in plan.phases if phase.tier == tier]
    rest = plan.budget.dollars - sum((phase.usd for phase in plan.phases), Decimal(0))
    limit = sum(shares, Decimal(0)) if shares else max(Decimal(0), rest)
    return HoldShare(hold, tier, limit, lambda: ledger.taken_by_tier(hold.key, tier))
