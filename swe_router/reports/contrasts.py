"""Whether two error rates differ: the combination against each verifier, and tier against tier.

A difference whose interval covers 0 is reported as none, and of few patches nothing is said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from swe_router.estimates import rates
from swe_router.estimates.training import Floats
from swe_router.records import ACCEPTANCE, Judged

FEW = rates.FEW
"""Instances with a right (or a wrong) patch below which no difference is told."""


def differences(judged: Sequence[Judged], tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of {what, of, a, b, value, low, high, said}; ``said`` is none, differs or too few."""
    out = []
    for name in dict.fromkeys(row.verifier for row in judged):
        if name != ACCEPTANCE:
            out += _verifiers(judged, name)
    for first, second in itertools.combinations(tiers, 2):
        out += _tiers([row for row in judged if row.verifier == ACCEPTANCE], first, second)
    return out


def _verifiers(judged: Sequence[Judged], name: str) -> list[dict[str, Any]]:
    """The combination less one of its verifiers, on the patches that both judged."""
    sides = [
        {(r.run, r.instance_id, r.attempt): r for r in judged if r.verifier == verifier}
        for verifier in (ACCEPTANCE, name)
    ]
    keys = [key for key in sides[0] if key in sides[1]]
    out = []
    for what, truth in (("TPR", True), ("FPR", False)):
        mine = [key for key in keys if sides[0][key].resolved is truth]
        gap = np.array(
            [
                float(sides[0][key].outcome == "pass") - float(sides[1][key].outcome == "pass")
                for key in mine
            ]
        )
        names = [key[1] for key in mine]
        out.append(
            _said(what, "all tiers", ACCEPTANCE, name, names, rates.ratio(gap), len(set(names)))
        )
    return out


def _tiers(rows: Sequence[Judged], first: str, second: str) -> list[dict[str, Any]]:
    """One tier less another, instances of both resampled together."""
    out = []
    for what, truth in (("TPR", True), ("FPR", False)):
        mine = [r for r in rows if r.resolved is truth and r.tier in (first, second)]
        passed = np.array([r.outcome == "pass" for r in mine], dtype=float)
        here = np.array([r.tier == first for r in mine], dtype=float)
        least = min(
            len({r.instance_id for r in mine if r.tier == tier}) for tier in (first, second)
        )
        names = [r.instance_id for r in mine]
        gap = _apart(passed, here)
        out.append(_said(what, ACCEPTANCE, first, second, names, gap, least))
    return out


def _apart(passed: Floats, here: Floats) -> rates.Statistic:
    """The share of ``passed`` on this side less that on the other; NaN where one is not drawn."""
    one, other = rates.ratio(passed * here, here), rates.ratio(passed * (1 - here), 1 - here)
    return lambda times: one(times) - other(times)


def _said(
    what: str,
    of: str,
    a: str,
    b: str,
    names: Sequence[str],
    gap: rates.Statistic,
    instances: int,
) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "of": of, "a": a, "b": b, "instances": instances}
    if instances < FEW:
        return {**row, "value": None, "low": None, "high": None, "said": "too few to say"}
    low, high = rates.resampled(gap, names)
    value = float(gap(np.ones((1, len(names))))[0])
    said = "none" if math.isnan(low) or low <= 0 <= high else "differs"
    ends = (None, None) if math.isnan(low) else (low, high)
    return {**row, "value": value, "low": ends[0], "high": ends[1], "said": said}
