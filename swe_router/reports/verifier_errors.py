"""How often the verifiers were wrong: verdicts against official results, as one JSON-ready mapping.

A patch is positive when the official harness resolved it. TPR is the share of right patches that
passed, FPR of wrong ones; ``unknown`` accepts nothing and refuses nothing, and is counted apart.
Blank patches are left out: they are refused without any verifier.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from swe_router import recorded_verdicts
from swe_router.lazy_imports import deferred
from swe_router.records import ACCEPTANCE, JudgedVerdict
from swe_router.reports import contrasts
from swe_router.stats import rates
from swe_router.stats.rates import MeasuredRate

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred("numpy")

ALL = "all"
"""Name of the tiers together."""
FEW = rates.MIN_CLUSTERS
"""Instances with a right (a wrong) patch below which no TPR (no FPR) is reported."""
BINS = 10
PER_BIN = 10
"""Least patches in a bin of the calibration curve, where there are that many."""
NEEDS_RATIO = 0.31
"""FPR that holds the strong tier's resolve rate, over TPR: P(weak alone resolves) / P(strong alone
resolves). It is another for every pair; this is of ``NEEDS_PAIR``: limits .31, .28, .25, .215, .155
at TPR 1, .9, .8, .7, .5."""
NEEDS_PAIR = "DeepSeek V3.2 under Sonnet 4.5"
NEEDS_SOURCE = (
    f"{NEEDS_PAIR} on 500 issues of SWE-bench Verified, public mini-swe-agent runs of 2025-12"
)
NEEDS_AT = (1.0, 0.9, 0.8, 0.7, 0.5)


def accounting(
    rows: Sequence[JudgedVerdict], *, recordings: bool = False, tops: Collection[str] = ()
) -> dict[str, Any]:
    """Error rates of each verifier, by tier and over all tiers.

    ``rows`` are verdicts on patches that are not blank; those without an official result are
    counted and left out of every rate. ``recordings``: some model was a recording. ``tops`` are
    tiers that no other stands above: no cascade begins with them.
    """
    judged = [row for row in rows if row.resolved is not None]
    tiers = list(dict.fromkeys(row.tier for row in rows))
    named = [*tiers, ALL] if len(tiers) > 1 else tiers
    groups = [
        group(tier, verifier, mine, tops)
        for tier in named
        for verifier in verifiers(rows)
        if (mine := [r for r in rows if r.verifier == verifier and tier in (r.tier, ALL)])
    ]
    return {
        "runs": list(dict.fromkeys(row.run for row in rows)),
        "recordings": recordings,
        **_counts(rows),
        "groups": groups,
        "needs": {
            "ratio": NEEDS_RATIO,
            "pair": NEEDS_PAIR,
            "source": NEEDS_SOURCE,
            "limits": {f"{tpr:g}": round(NEEDS_RATIO * tpr, 4) for tpr in NEEDS_AT},
        },
        "differences": contrasts.differences(judged, tiers),
        "false_accepts": _first_the_combination(
            row for row in judged if not row.resolved and row.outcome == "pass"
        ),
        "false_rejects": _first_the_combination(
            row for row in judged if row.resolved and row.outcome == "fail"
        ),
        "notes": [*_notes(rows, recordings), *_few(groups)],
    }


def verifiers(rows: Sequence[JudgedVerdict]) -> list[str]:
    """Names in the order in which they were asked; the combination last."""
    names = dict.fromkeys(row.verifier for row in rows)
    return [*(name for name in names if name != ACCEPTANCE), *(n for n in names if n == ACCEPTANCE)]


def group(
    tier: str, verifier: str, rows: Sequence[JudgedVerdict], tops: Collection[str] = ()
) -> dict[str, Any]:
    """The figures of one verifier on one tier's patches.

    ``needs`` is None of all tiers together and of the ``tops``: no cascade begins with them.
    """
    known = [row for row in rows if row.resolved is not None]
    right, wrong = (_of(known, truth) for truth in (True, False))
    tpr, fpr = (_share(kind, "pass") for kind in (right, wrong))
    return {
        "tier": tier,
        "verifier": verifier,
        "n": len(known),
        "instances": len(_instances(known)),
        "right": len(right),
        "wrong": len(wrong),
        "ungraded": len(rows) - len(known),
        "tpr": rate_values(tpr),
        "fpr": rate_values(fpr),
        "unknown_right": rate_values(_share(right, "unknown")),
        "unknown_wrong": rate_values(_share(wrong, "unknown")),
        **_scores(known, verifier),
        "right_instances": len(_instances(right)),
        "wrong_instances": len(_instances(wrong)),
        "needs": None
        if tier == ALL or tier in tops
        else _needs(tpr, fpr, min(len(_instances(right)), len(_instances(wrong))) < FEW),
        "seconds": fmean([row.seconds for row in rows]),
        "usd": float(sum(row.usd for row in rows)) / len(rows),
    }


def _of(rows: Sequence[JudgedVerdict], truth: bool) -> list[JudgedVerdict]:
    return [row for row in rows if row.resolved is truth]


def _instances(rows: Iterable[JudgedVerdict]) -> set[str]:
    return {row.instance_id for row in rows}


def _share(rows: Sequence[JudgedVerdict], outcome: str) -> MeasuredRate:
    return rates.measure_rate(
        [row.outcome == outcome for row in rows], [r.instance_id for r in rows]
    )


def rate_values(one: MeasuredRate) -> dict[str, Any]:
    """A rate as plain values; ``rate`` is null of nothing."""
    return {"k": one.successes, "n": one.n, "rate": one.rate, "low": one.low, "high": one.high,
            "how": one.how}  # fmt: skip


def _scores(known: Sequence[JudgedVerdict], verifier: str) -> dict[str, Any]:
    """AUC and pairs inside an instance, of a probability also Brier score and calibration.

    Null where there is no score.
    """
    scored = [row for row in known if row.score is not None]
    made: dict[str, Any] = {
        "scored": len(scored),
        "auc": None,
        "pairs": None,
        "brier": None,
        "calibration": [],
    }
    if not scored:
        return made
    p = np.array([row.score for row in scored], dtype=float)
    y = np.array([row.resolved for row in scored], dtype=float)
    names = [row.instance_id for row in scored]
    value = rates.auc(p, y)
    if not math.isnan(value):
        made["auc"] = {"value": value, **_ends(rates.auc_interval(p, y, names))}
    if recorded_verdicts.traits_named(verifier).score_is_probability:
        made |= {"brier": _brier(p, y, names), "calibration": calibration(p, y, names)}
    return {**made, "pairs": _pairs(p, y, names)}


def _brier(p: Any, y: Any, names: Sequence[str]) -> dict[str, Any]:
    """Mean squared error next to that of the base rate; few instances give no interval."""
    squares, base = (p - y) ** 2, float(y.mean())
    sure = len(set(names)) >= FEW
    ends = (
        rates.cluster_interval(rates.ratio_statistic(squares), names)
        if sure
        else (math.nan, math.nan)
    )
    return {"value": float(squares.mean()), **_ends(ends), "of_base_rate": base * (1 - base)}


def _ends(interval: tuple[float, float]) -> dict[str, float | None]:
    """Null where there is no interval: JSON has no NaN."""
    low, high = (None if math.isnan(end) else end for end in interval)
    return {"low": low, "high": high}


def _pairs(p: Any, y: Any, names: Sequence[str]) -> dict[str, Any] | None:
    """How often, of two patches of one instance, the right one scores higher (ties a half)."""
    found = rates.pairs_within_clusters(p, y, names)
    if not found:
        return None
    won = np.array([one[1] for one in found])
    pairs = np.array([one[2] for one in found], dtype=float)
    value = float(won.sum() / pairs.sum())
    interval = rates.cluster_interval(rates.ratio_statistic(won, pairs), [one[0] for one in found])
    if value in (0.0, 1.0) or len(found) < FEW:  # as if each instance were one pair
        interval = rates.wilson_interval(value * len(found), len(found))
    return {"value": value, **_ends(interval), "n": int(pairs.sum()), "instances": len(found)}


def calibration(p: Any, y: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """Bins of about equal count, equal scores together: mean score next to the observed rate."""
    least = len(p) / max(1, min(BINS, len(p) // PER_BIN))
    bins: list[list[int]] = [[]]
    for value in np.unique(p):
        if len(bins[-1]) >= least:
            bins.append([])
        bins[-1] += np.flatnonzero(p == value).tolist()
    out = []
    for places in bins:
        seen = rate_values(
            rates.measure_rate([bool(y[k]) for k in places], [names[k] for k in places])
        )
        out.append({"p": float(p[places].mean()), "from": float(p[places].min()),
                    "to": float(p[places].max()), **seen})  # fmt: skip
    return out


def _needs(tpr: MeasuredRate, fpr: MeasuredRate, few: bool) -> dict[str, Any] | None:
    """The operating point against the FPR at which ``NEEDS_PAIR`` holds the strong tier's rate."""
    if tpr.rate is None or fpr.rate is None:
        return None
    verdict = "cannot be told"  # a value of --json, kept
    if not few and fpr.high <= NEEDS_RATIO * tpr.low:
        verdict = "holds"
    elif not few and fpr.low > NEEDS_RATIO * tpr.high:
        verdict = "does not hold"
    return {"limit": NEEDS_RATIO * tpr.rate, "fpr": fpr.rate, "said": verdict}


def _counts(rows: Sequence[JudgedVerdict]) -> dict[str, Any]:
    one: Mapping[Any, JudgedVerdict] = {
        (row.run, row.instance_id, row.attempt): row for row in rows
    }
    return {
        "candidates": len(one),
        "instances": len({row.instance_id for row in rows}),
        "right": sum(row.resolved is True for row in one.values()),
        "wrong": sum(row.resolved is False for row in one.values()),
        "ungraded": sum(row.resolved is None for row in one.values()),
    }


def _notes(rows: Sequence[JudgedVerdict], recordings: bool) -> list[str]:
    notes = []
    if recordings:
        notes.append(
            "the models of these runs are recordings: the figures show the machinery and say"
            " nothing of any model or verifier elsewhere"
        )
    left = _counts(rows)["ungraded"]
    if left:
        notes.append(
            f"{left} candidates have no official result and are in no rate: `swe-router grade RUN`"
            " with grade.candidates grades them"
        )
    return notes


def _few(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which rates rest on so few patches that they say nothing; one line where all verifiers do."""
    notes: dict[str, None] = {}
    for one in groups:
        tier = "all tiers" if one["tier"] == ALL else one["tier"]
        for word, rate in (("right", "TPR"), ("wrong", "FPR")):
            peers = [other for other in groups if other["tier"] == one["tier"]]
            most = max(peers, key=lambda other: other[f"{word}_instances"])
            whole = most[f"{word}_instances"] < FEW
            row, where = (most, tier) if whole else (one, f"{tier}, {one['verifier']}")
            if row[f"{word}_instances"] < FEW:
                n, of = row[word], row[f"{word}_instances"]
                many = "patch" if n == 1 else "patches"
                few = "" if n == of else f" of {of} instance{'' if of == 1 else 's'}"
                notes[f"{where}: {n} {word} {many}{few}: the {rate} cannot be estimated"] = None
    return list(notes)


def _first_the_combination(rows: Iterable[JudgedVerdict]) -> list[dict[str, Any]]:
    return [_named(row) for row in sorted(rows, key=lambda row: row.verifier != ACCEPTANCE)]


def _named(row: JudgedVerdict) -> dict[str, Any]:
    return {"run": row.run, "instance": row.instance_id, "attempt": row.attempt, "tier": row.tier,
            "verifier": row.verifier, "score": row.score}  # fmt: skip
