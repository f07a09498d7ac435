"""The acceptance bar that costs the least, for what escalating and a wrong patch cost.

A patch that is right with probability p is handed in, or the next tier is asked for C USD. Let a
wrong patch that is handed in cost W USD, let the next tier resolve ``kept`` of the issues that the
patch had right and ``rescue`` of those that it had wrong. Handing in costs W (1 - p); escalating
costs C + W (1 - p kept - (1 - p) rescue). Handing in is no dearer from

    p >= rescue (1 - C / (W rescue)) / (1 - kept + rescue)

on. This is the decision rule of AutoMix (arXiv 2310.12963, section 4) with two measured odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swe_router.estimates.acceptance.selective_threshold import HeldOutScores
from swe_router.stats.rates import wilson

KEPT = 0.91
"""157 of 172 issues that DeepSeek V3.2 resolved were resolved by Sonnet 4.5 as well (both under
mini-SWE-agent, 287 Verified issues): one pair of tiers, so a default and no law."""
WRONG_FACTOR = 2.0
"""Default price of a wrong patch, in prices of the escalations that rescue one issue (C / rescue).
At 1 escalating only breaks even on a patch that is surely wrong, so whoever pays for a stronger
tier holds a wrong patch for dearer; how much dearer is the user's to say (``verify.wrong_usd``)."""
SCARCE = 20
"""Graded patches of a class of authors under which no expected share is told."""


class CostThreshold(NamedTuple):
    """From which probability on handing in is no dearer than escalating."""

    value: float
    escalation_usd: float
    """Expected USD of asking the next tier."""
    wrong_usd: float
    """USD that a wrong patch handed in costs."""
    rescue: float
    kept: float
    assumed: bool
    """The price of a wrong patch is the default, and no price that the user gave."""


def money_bar(
    escalation_usd: float, rescue: float, wrong_usd: float | None = None, kept: float = KEPT
) -> CostThreshold:
    """The bar for one step of a ladder; amounts in USD, odds from 0 to 1.

    Without ``wrong_usd`` a wrong patch is held for ``WRONG_FACTOR`` times the escalations that
    rescue one issue. A next tier that rescues nothing makes every bar 0.
    """
    assumed = wrong_usd is None
    if wrong_usd is None:
        wrong_usd = WRONG_FACTOR * escalation_usd / rescue if rescue > 0 else 0.0
    if rescue <= 0:
        return CostThreshold(0.0, escalation_usd, wrong_usd, rescue, kept, assumed)
    # What is free is worth asking whatever a wrong patch costs.
    worth = wrong_usd * rescue
    share = escalation_usd / worth if worth > 0 else float(escalation_usd > 0)
    value = rescue * max(0.0, 1.0 - share) / (1.0 - kept + rescue)
    bar = round(min(1.0, value), 4)
    return CostThreshold(bar, escalation_usd, float(f"{wrong_usd:.6g}"), rescue, kept, assumed)


class Share(NamedTuple):
    """A share of graded patches with its 95% interval (Wilson's, each issue counted once)."""

    rate: float
    low: float
    high: float
    patches: int


class ExpectedCost(NamedTuple):
    """What a bar lets through, of graded patches that the fit never saw."""

    right_refused: Share
    wrong_accepted: Share


def expected(held: Sequence[HeldOutScores], author: str, bar: float) -> ExpectedCost | None:
    """Shares of right patches refused and of wrong ones accepted; None of too few patches."""
    mine = [one for one in held if one.author == author]
    right = [one for one in mine if one.right]
    wrong = [one for one in mine if not one.right]
    if len(mine) < SCARCE or not right or not wrong:
        return None
    return ExpectedCost(
        _share([one.score < bar for one in right], right),
        _share([one.score >= bar for one in wrong], wrong),
    )


def _share(hits: Sequence[bool], rows: Sequence[HeldOutScores]) -> Share:
    """Patches of one issue stand and fall together, so that the issues are the trials."""
    rate, issues = sum(hits) / len(hits), len({one.instance for one in rows})
    return Share(rate, *wilson(rate * issues, issues), len(hits))
