"""Whether two error rates differ: the combination against each verifier, and tier against tier.

A difference whose interval covers 0 is reported as none, and few patches give no verdict. Of two
verifiers on the same patches an exact test must show it too: resampled alone, a few of ten
instances on which they part would do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from swe_router.lazy_imports import deferred_module
from swe_router.records import ACCEPTANCE, JudgedVerdict
from swe_router.stats import rates, significance

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred_module("numpy")

MIN_INSTANCES = rates.MIN_CLUSTERS
"""Instances with a right (or a wrong) patch below which no difference is reported."""
FAMILYWISE_ALPHA = 0.05
"""The verifiers' differences together are called so by mere chance at most this often."""
RATE_KINDS = (("TPR", True), ("FPR", False))
TOO_FEW_TEXT = "too few to say"


def differences(judged: Sequence[JudgedVerdict], tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of {what, of, a, b, instances, value, low, high, p, 'said'}, value being a less b.

    ``'said'`` is none, differs or too few to say. ``p`` is of the sign test over instances, by Holm
    for all differences of verifiers; None of tiers, where each interval stands for itself.
    """
    out = []
    for name in dict.fromkeys(row.verifier for row in judged):
        # A verifier that is always unknown decides nothing: a difference from it means nothing.
        speaks = any(row.outcome != "unknown" for row in judged if row.verifier == name)
        if name != ACCEPTANCE and speaks:
            out += _combination_contrasts(judged, name)
    tested = [row for row in out if row["p"] is not None]
    held = significance.holm_adjusted([row["p"] for row in tested]).tolist() if tested else []
    for row, p in zip(tested, held, strict=True):
        row["p"] = p
        row["said"] = row["said"] if p < FAMILYWISE_ALPHA else "none"
    for first, second in itertools.combinations(tiers, 2):
        out += _tier_contrasts([row for row in judged if row.verifier == ACCEPTANCE], first, second)
    return out


def _combination_contrasts(judged: Sequence[JudgedVerdict], name: str) -> list[dict[str, Any]]:
    """The combination less one of its verifiers, on the patches that both judged."""
    sides = [
        {(r.run, r.instance_id, r.attempt): r for r in judged if r.verifier == verifier}
        for verifier in (ACCEPTANCE, name)
    ]
    keys = [key for key in sides[0] if key in sides[1]]
    out = []
    for what, truth in RATE_KINDS:
        mine = [key for key in keys if sides[0][key].resolved is truth]
        gap = np.array(
            [
                float(sides[0][key].outcome == "pass") - float(sides[1][key].outcome == "pass")
                for key in mine
            ]
        )
        names = [key[1] for key in mine]
        row = _contrast_row(what, "all tiers", ACCEPTANCE, name, len(set(names)))
        if row["instances"] >= MIN_INSTANCES:
            row |= _interval_row(
                float(gap.mean()), rates.cluster_interval(rates.ratio_statistic(gap), names)
            )
            row["p"] = significance.sign_test(gap, names)
        out.append(row)
    return out


def _tier_contrasts(rows: Sequence[JudgedVerdict], first: str, second: str) -> list[dict[str, Any]]:
    """One tier less another, as if each had its own instances."""
    out = []
    for what, truth in RATE_KINDS:
        sides = [[r for r in rows if r.resolved is truth and r.tier == t] for t in (first, second)]
        least = min(len({r.instance_id for r in side}) for side in sides)
        row = _contrast_row(what, ACCEPTANCE, first, second, least)
        if least >= MIN_INSTANCES:
            one, other = (
                rates.measure_rate(
                    [r.outcome == "pass" for r in side], [r.instance_id for r in side]
                )
                for side in sides
            )
            row |= _interval_row(one.successes / one.n - other.successes / other.n,
                         significance.difference_interval(one, other))  # fmt: skip
        out.append(row)
    return out


def _contrast_row(rate_kind: str, group: str, a: str, b: str, instances: int) -> dict[str, Any]:
    return {"what": rate_kind, "of": group, "a": a, "b": b, "instances": instances, "value": None,
            "low": None, "high": None, "p": None, "said": TOO_FEW_TEXT}  # fmt: skip


def _interval_row(value: float, interval: tuple[float, float]) -> dict[str, Any]:
    low, high = interval
    verdict = "none" if math.isnan(low) or low <= 0 <= high else "differs"
    ends = (None, None) if math.isnan(low) else (low, high)
    return {"value": value, "low": ends[0], "high": ends[1], "said": verdict}
