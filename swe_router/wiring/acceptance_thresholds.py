"""The acceptance thresholds of a run: chosen by expected cost when it begins, then recorded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from swe_router import plugins, recorded_verdicts
from swe_router.estimates.acceptance import calibration, cost_threshold
from swe_router.estimates.acceptance.cost_threshold import CostThreshold, PatchShare
from swe_router.lazy_imports import deferred_module
from swe_router.policies.base import knobs_type_of, validated_knobs
from swe_router.policies.escalation_order import RESCUE_RATE, EscalationValueKnobs, check_tier_names
from swe_router.records import IMPORTED
from swe_router.settings import Settings, VerifySettings

if TYPE_CHECKING:
    from swe_router.wiring import training_data
else:
    training_data = deferred_module("swe_router.wiring.training_data")


def with_thresholds(settings: Settings) -> Settings:
    """The settings with the cost threshold of each tier; unchanged where another one holds."""
    verify = settings.verify
    if not _wants_money_thresholds(settings):
        return settings
    found = {tier: one.value for tier, one in thresholds_of_ladder(settings).items()}
    return settings.model_copy(update={"verify": verify.model_copy(update={"bars": found})})


def thresholds_of_ladder(settings: Settings) -> dict[str, CostThreshold]:
    """Tier -> its threshold; the last tier has that of the tier below it.

    An imported candidate is weighed against the price of the first tier. Raises ``UsageError`` for
    a knob that the policy does not have.
    """
    ladder, knobs = settings.ladder, _knobs(settings)
    own = settings.verify.wrong_usd
    price = float(own) if own is not None else knobs.value if knobs is not None else None

    def bar(tier: str, following: str) -> CostThreshold:
        rescue = knobs.rescue_rate(tier) if knobs is not None else RESCUE_RATE
        return cost_threshold.cost_threshold(
            _expected_usd(settings, knobs, following), rescue, price
        )

    made = {IMPORTED: bar(IMPORTED, ladder[0])}
    for tier, following in pairwise(ladder):
        made[tier] = bar(tier, following)
    made[ladder[-1]] = made[ladder[-2]] if len(ladder) > 1 else made[IMPORTED]
    return made


def threshold_rows(settings: Settings) -> list[dict[str, Any]]:
    """Per tier: its threshold, and the expected shares of right patches refused.

    Empty where no calibration gives a probability.
    """
    verify = settings.verify
    if not _has_combining_verifier(verify):
        return []
    fitted = calibration.load_calibration(verify.calibration)
    if fitted is None:
        return []
    sums = thresholds_of_ladder(settings) if _by_money(settings) else {}
    rows = []
    for tier in settings.ladder:
        author = fitted.class_of(settings.tiers[tier].model)
        bar = verify.threshold
        if bar is None:
            bar = verify.bars.get(tier, sums[tier].value if tier in sums else None)
        if bar is None:
            bar = fitted.threshold(author, verify.false_accepts, verify.confidence).value
        known = cost_threshold.expected_errors(fitted.held_out, author, bar)
        one = sums.get(tier)
        rows.append(
            {
                "tier": tier,
                "authors": author,
                "bar": bar,
                "chosen_by": _how_threshold_is_set(settings),
                "escalation_usd": one.escalation_usd if one else None,
                "wrong_usd": one.wrong_usd if one else None,
                "wrong_usd_assumed": one.assumed if one else None,
                "right_refused": _share_as_json(known.right_refused) if known else None,
                "wrong_accepted": _share_as_json(known.wrong_accepted) if known else None,
                "calibration": fitted.name,
            }
        )
    return rows


def threshold_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows as text, one line per tier."""
    return [_threshold_line(row) for row in rows]


def _threshold_line(row: dict[str, Any]) -> str:
    text = f"bar of {row['tier']}: accepted from p {row['bar']:.2f} on ({row['chosen_by']}"
    if row["wrong_usd"] is not None:
        assumed = ", assumed" if row["wrong_usd_assumed"] else ""
        text += (
            f": {_dollars(row['escalation_usd'])} per escalation,"
            f" {_dollars(row['wrong_usd'])} per wrong patch{assumed}"
        )
    text += ")"
    right, wrong = row["right_refused"], row["wrong_accepted"]
    if right is None:
        return f"{text}; too few graded patches of {row['authors']} authors to say what it refuses"
    return (
        f"{text}; of graded patches of {row['authors']} authors it refuses {_percent(right)} of the"
        f" right ones and accepts {_percent(wrong)} of the wrong ones"
    )


def _dollars(usd: float) -> str:
    """Cents, or two significant digits of a sum below one cent, which is not zero."""
    return f"${usd:.2f}" if usd == 0 or usd >= 0.01 else f"${usd:.2g}"


def _percent(share: dict[str, Any]) -> str:
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['rate']:.0f}% [{low:.0f}, {high:.0f}] ({share['of']})"


def _share_as_json(found: PatchShare) -> dict[str, Any]:
    return {
        "rate": round(found.rate, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "of": found.patches,
    }


def _how_threshold_is_set(settings: Settings) -> str:
    if settings.verify.threshold is not None:
        return "set by hand"
    return "by expected money" if _by_money(settings) else "by the bound on false accepts"


def _by_money(settings: Settings) -> bool:
    verify = settings.verify
    return verify.threshold is None and (bool(verify.bars) or verify.bar == "money")


def _has_combining_verifier(verify: VerifySettings) -> bool:
    """Whether a verifier weighs what the others found."""
    return recorded_verdicts.any_trait(verify.names, lambda one: one.combines)


def _wants_money_thresholds(settings: Settings) -> bool:
    verify = settings.verify
    return (
        verify.threshold is None
        and verify.bar == "money"
        and not verify.bars
        and _has_combining_verifier(verify)
        and verify.calibration != calibration.NONE
    )


def _knobs(settings: Settings) -> EscalationValueKnobs | None:
    """The policy's knobs where it has a ``value`` and a ``rescue``."""
    name = settings.policy.name
    kind = knobs_type_of(plugins.load_plugin("policies", name))
    if not issubclass(kind, EscalationValueKnobs):
        return None
    own, _ = training_data.split_knobs(settings.policy.knobs)
    knobs = validated_knobs(name, kind, own)
    assert isinstance(knobs, EscalationValueKnobs)
    check_tier_names(name, settings.ladder, knobs)
    return knobs


def _expected_usd(settings: Settings, knobs: EscalationValueKnobs | None, tier: str) -> float:
    """Expected USD of asking a tier once, as the policy reckons it."""
    limit = settings.tiers[tier].attempt_usd
    taken = knobs if knobs is not None else EscalationValueKnobs()
    usual = taken.costs.get(tier, limit * taken.usual_share)
    return float(min(usual, limit)) * settings.candidates
