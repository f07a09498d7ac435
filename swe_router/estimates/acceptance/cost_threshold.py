"""The acceptance threshold with the lowest expected cost of escalations and wrong patches.

A patch that is right with probability p is handed in, or the next tier is tried for C USD. A wrong
patch that is handed in costs W USD. The next tier resolves the share ``kept`` of the issues that
the patch resolves, and the share ``rescue`` of the others. Handing in costs W (1 - p); escalating
costs C + W (1 - p kept - (1 - p) rescue). Handing in is no more expensive if

    p >= rescue (1 - C / (W rescue)) / (1 - kept + rescue)

This is the decision rule of AutoMix (arXiv 2310.12963, section 4) with two measured rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swe_router.estimates.acceptance.selective_threshold import HeldOutPatch
from swe_router.stats.rates import wilson_interval

KEPT_RATE = 0.91
"""157 of 172 issues that DeepSeek V3.2 resolved were resolved by Sonnet 4.5 as well (both under
mini-SWE-agent, 287 Verified issues); one pair of tiers, so only a default."""
WRONG_FACTOR = 2.0
"""Default cost of a wrong patch, as a multiple of the cost of rescuing one issue (C / rescue).
At 1, escalating a certainly wrong patch only breaks even, so the factor must be above 1; users set
their own cost with ``verify.wrong_usd``."""
MIN_PATCHES = 20
"""Minimum graded patches of a class of authors for expected shares."""


class CostThreshold(NamedTuple):
    """The probability from which handing in costs no more than escalating."""

    value: float
    escalation_usd: float
    """Expected USD of trying the next tier."""
    wrong_usd: float
    """USD that a wrong patch handed in costs."""
    rescue: float
    kept: float
    assumed: bool
    """``wrong_usd`` is the default, not the user's own."""


def cost_threshold(
    escalation_usd: float, rescue: float, wrong_usd: float | None = None, kept: float = KEPT_RATE
) -> CostThreshold:
    """The threshold for one step of a ladder; amounts in USD, shares from 0 to 1.

    Without ``wrong_usd`` a wrong patch costs ``WRONG_FACTOR`` times the escalations that rescue
    one issue. The threshold is 0 if the next tier rescues nothing.
    """
    assumed = wrong_usd is None
    if wrong_usd is None:
        wrong_usd = WRONG_FACTOR * escalation_usd / rescue if rescue > 0 else 0.0
    if rescue <= 0:
        return CostThreshold(0.0, escalation_usd, wrong_usd, rescue, kept, assumed)
    # A free escalation is always worth it.
    worth = wrong_usd * rescue
    share = escalation_usd / worth if worth > 0 else float(escalation_usd > 0)
    value = rescue * max(0.0, 1.0 - share) / (1.0 - kept + rescue)
    bar = round(min(1.0, value), 4)
    return CostThreshold(bar, escalation_usd, float(f"{wrong_usd:.6g}"), rescue, kept, assumed)


class PatchShare(NamedTuple):
    """A share of graded patches with its 95% Wilson interval; each issue counts once."""

    rate: float
    low: float
    high: float
    patches: int


class ExpectedErrors(NamedTuple):
    """Errors of a threshold on held-out graded patches."""

    right_refused: PatchShare
    wrong_accepted: PatchShare


def expected_errors(held: Sequence[HeldOutPatch], author: str, bar: float) -> ExpectedErrors | None:
    """Shares of right patches refused and wrong ones accepted; None for too few patches."""
    mine = [one for one in held if one.author == author]
    right = [one for one in mine if one.right]
    wrong = [one for one in mine if not one.right]
    if len(mine) < MIN_PATCHES or not right or not wrong:
        return None
    return ExpectedErrors(
        _patch_share([one.score < bar for one in right], right),
        _patch_share([one.score >= bar for one in wrong], wrong),
    )


def _patch_share(hits: Sequence[bool], rows: Sequence[HeldOutPatch]) -> PatchShare:
    """Patches of one issue are correlated, so the issues are the trials."""
    rate, issues = sum(hits) / len(hits), len({one.instance_id for one in rows})
    return PatchShare(rate, *wilson_interval(rate * issues, issues), len(hits))
