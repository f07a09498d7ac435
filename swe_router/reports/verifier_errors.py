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
from swe_router.lazy_imports import deferred_module
from swe_router.records import ACCEPTANCE, JudgedVerdict
from swe_router.reports import contrasts
from swe_router.stats import rates
from swe_router.stats.rates import MeasuredRate

if TYPE_CHECKING:
    import numpy as np
else:
    np = deferred_module("numpy")

ALL_TIERS = "all"
"""Name of the tiers together."""
MIN_INSTANCES = rates.MIN_CLUSTERS
"""Instances with a right (a wrong) patch below which no TPR (no FPR) is reported."""
CALIBRATION_BINS = 10
MIN_PATCHES_PER_BIN = 10
"""Least patches in a bin of the calibration curve, where there are that many."""
CASCADE_MAX_FPR_PER_TPR = 0.31
"""FPR that holds the strong tier's resolve rate, over TPR: P(weak alone resolves) / P(strong alone
resolves). It is another for every pair; this is of ``CASCADE_PAIR``: limits .31, .28, .25, .215,
.155 at TPR 1, .9, .8, .7, .5."""
CASCADE_PAIR = "DeepSeek V3.2 under Sonnet 4.5"
CASCADE_RATIO_SOURCE = (
    f"{CASCADE_PAIR} on 500 issues of SWE-bench Verified, public mini-swe-agent runs of 2025-12"
)
CASCADE_TPRS = (1.0, 0.9, 0.8, 0.7, 0.5)


def verifier_error_rates(
    rows: Sequence[JudgedVerdict],
    *,
    uses_recordings: bool = False,
    last_tiers: Collection[str] = (),
) -> dict[str, Any]:
    """Error rates of each verifier, by tier and over all tiers.

    ``rows`` are verdicts on patches that are not blank; those without an official result are
    counted and left out of every rate. ``uses_recordings``: some model was a recording.
    ``last_tiers`` are tiers that no other stands above: no cascade begins with them.
    """
    judged = [row for row in rows if row.resolved is not None]
    tiers = list(dict.fromkeys(row.tier for row in rows))
    named = [*tiers, ALL_TIERS] if len(tiers) > 1 else tiers
    groups = [
        group_error_rates(tier, verifier, mine, last_tiers)
        for tier in named
        for verifier in verifier_order(rows)
        if (mine := [r for r in rows if r.verifier == verifier and tier in (r.tier, ALL_TIERS)])
    ]
    return {
        "runs": list(dict.fromkeys(row.run for row in rows)),
        "recordings": uses_recordings,
        **_candidate_counts(rows),
        "groups": groups,
        "needs": {
            "ratio": CASCADE_MAX_FPR_PER_TPR,
            "pair": CASCADE_PAIR,
            "source": CASCADE_RATIO_SOURCE,
            "limits": {f"{tpr:g}": round(CASCADE_MAX_FPR_PER_TPR * tpr, 4) for tpr in CASCADE_TPRS},
        },
        "differences": contrasts.differences(judged, tiers),
        "false_accepts": _combination_first(
            row for row in judged if not row.resolved and row.outcome == "pass"
        ),
        "false_rejects": _combination_first(
            row for row in judged if row.resolved and row.outcome == "fail"
        ),
        "notes": [*_caveats(rows, uses_recordings), *_rates_on_few_patches(groups)],
    }


def verifier_order(rows: Sequence[JudgedVerdict]) -> list[str]:
    """Names in the order in which they were asked; the combination last."""
    names = dict.fromkeys(row.verifier for row in rows)
    return [*(name for name in names if name != ACCEPTANCE), *(n for n in names if n == ACCEPTANCE)]


def group_error_rates(
    tier: str, verifier: str, rows: Sequence[JudgedVerdict], last_tiers: Collection[str] = ()
) -> dict[str, Any]:
    """The figures of one verifier on one tier's patches.

    ``needs`` is None of all tiers together and of the ``last_tiers``: no cascade begins with them.
    """
    known = [row for row in rows if row.resolved is not None]
    right, wrong = (_rows_with_truth(known, truth) for truth in (True, False))
    tpr, fpr = (_outcome_rate(kind, "pass") for kind in (right, wrong))
    return {
        "tier": tier,
        "verifier": verifier,
        "n": len(known),
        "instances": len(_instance_ids(known)),
        "right": len(right),
        "wrong": len(wrong),
        "ungraded": len(rows) - len(known),
        "tpr": rate_values(tpr),
        "fpr": rate_values(fpr),
        "unknown_right": rate_values(_outcome_rate(right, "unknown")),
        "unknown_wrong": rate_values(_outcome_rate(wrong, "unknown")),
        **_score_quality(known, verifier),
        "right_instances": len(_instance_ids(right)),
        "wrong_instances": len(_instance_ids(wrong)),
        "needs": None
        if tier == ALL_TIERS or tier in last_tiers
        else _cascade_condition(
            tpr, fpr, min(len(_instance_ids(right)), len(_instance_ids(wrong))) < MIN_INSTANCES
        ),
        "seconds": fmean([row.seconds for row in rows]),
        "usd": float(sum(row.usd for row in rows)) / len(rows),
    }


def _rows_with_truth(rows: Sequence[JudgedVerdict], is_resolved: bool) -> list[JudgedVerdict]:
    return [row for row in rows if row.resolved is is_resolved]


def _instance_ids(rows: Iterable[JudgedVerdict]) -> set[str]:
    return {row.instance_id for row in rows}


def _outcome_rate(rows: Sequence[JudgedVerdict], outcome: str) -> MeasuredRate:
    return rates.measure_rate(
        [row.outcome == outcome for row in rows], [r.instance_id for r in rows]
    )


def rate_values(measured_rate: MeasuredRate) -> dict[str, Any]:
    """A rate as plain values; ``rate`` is null of nothing."""
    return {
        "k": measured_rate.successes,
        "n": measured_rate.n,
        "rate": measured_rate.rate,
        "low": measured_rate.low,
        "high": measured_rate.high,
        "how": measured_rate.how,
    }


def _score_quality(known: Sequence[JudgedVerdict], verifier: str) -> dict[str, Any]:
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
        made["auc"] = {"value": value, **_interval_ends(rates.auc_interval(p, y, names))}
    if recorded_verdicts.traits_named(verifier).score_is_probability:
        made |= {"brier": _brier_score(p, y, names), "calibration": calibration_bins(p, y, names)}
    return {**made, "pairs": _pair_ranking(p, y, names)}


def _brier_score(scores: Any, resolved: Any, instance_ids: Sequence[str]) -> dict[str, Any]:
    """Mean squared error next to that of the base rate; few instances give no interval."""
    squares, base = (scores - resolved) ** 2, float(resolved.mean())
    sure = len(set(instance_ids)) >= MIN_INSTANCES
    ends = (
        rates.cluster_interval(rates.ratio_statistic(squares), instance_ids)
        if sure
        else (math.nan, math.nan)
    )
    return {
        "value": float(squares.mean()),
        **_interval_ends(ends),
        "of_base_rate": base * (1 - base),
    }


def _interval_ends(interval: tuple[float, float]) -> dict[str, float | None]:
    """Null where there is no interval: JSON has no NaN."""
    low, high = (None if math.isnan(end) else end for end in interval)
    return {"low": low, "high": high}


def _pair_ranking(scores: Any, resolved: Any, instance_ids: Sequence[str]) -> dict[str, Any] | None:
    """How often, of two patches of one instance, the right one scores higher (ties a half)."""
    found = rates.pairs_within_clusters(scores, resolved, instance_ids)
    if not found:
        return None
    won = np.array([one[1] for one in found])
    pairs = np.array([one[2] for one in found], dtype=float)
    value = float(won.sum() / pairs.sum())
    interval = rates.cluster_interval(rates.ratio_statistic(won, pairs), [one[0] for one in found])
    if value in (0.0, 1.0) or len(found) < MIN_INSTANCES:  # as if each instance were one pair
        interval = rates.wilson_interval(value * len(found), len(found))
    return {
        "value": value,
        **_interval_ends(interval),
        "n": int(pairs.sum()),
        "instances": len(found),
    }


def calibration_bins(
    scores: Any, resolved: Any, instance_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Bins of about equal count, equal scores together: mean score next to the observed rate."""
    least = len(scores) / max(1, min(CALIBRATION_BINS, len(scores) // MIN_PATCHES_PER_BIN))
    bins: list[list[int]] = [[]]
    for value in np.unique(scores):
        if len(bins[-1]) >= least:
            bins.append([])
        bins[-1] += np.flatnonzero(scores == value).tolist()
    out = []
    for places in bins:
        seen = rate_values(
            rates.measure_rate(
                [bool(resolved[k]) for k in places], [instance_ids[k] for k in places]
            )
        )
        out.append({"p": float(scores[places].mean()), "from": float(scores[places].min()),
                    "to": float(scores[places].max()), **seen})  # fmt: skip
    return out


def _cascade_condition(
    tpr: MeasuredRate, fpr: MeasuredRate, rests_on_few: bool
) -> dict[str, Any] | None:
    """Whether this FPR is low enough for ``CASCADE_PAIR`` to hold the strong tier's rate."""
    if tpr.rate is None or fpr.rate is None:
        return None
    verdict = "cannot be told"  # a value of --json, kept
    if not rests_on_few and fpr.high <= CASCADE_MAX_FPR_PER_TPR * tpr.low:
        verdict = "holds"
    elif not rests_on_few and fpr.low > CASCADE_MAX_FPR_PER_TPR * tpr.high:
        verdict = "does not hold"
    return {"limit": CASCADE_MAX_FPR_PER_TPR * tpr.rate, "fpr": fpr.rate, "said": verdict}


def _candidate_counts(rows: Sequence[JudgedVerdict]) -> dict[str, Any]:
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


def _caveats(rows: Sequence[JudgedVerdict], uses_recordings: bool) -> list[str]:
    notes = []
    if uses_recordings:
        notes.append(
            "the models of these runs are recordings: the figures show the machinery and say"
            " nothing of any model or verifier elsewhere"
        )
    left = _candidate_counts(rows)["ungraded"]
    if left:
        notes.append(
            f"{left} candidates have no official result and are in no rate: `swe-router grade RUN`"
            " with grade.candidates grades them"
        )
    return notes


def _rates_on_few_patches(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which rates rest on so few patches that they say nothing; one line where all verifiers do."""
    notes: dict[str, None] = {}
    for one in groups:
        tier = "all tiers" if one["tier"] == ALL_TIERS else one["tier"]
        for word, rate in (("right", "TPR"), ("wrong", "FPR")):
            peers = [other for other in groups if other["tier"] == one["tier"]]
            most = max(peers, key=lambda other: other[f"{word}_instances"])
            whole = most[f"{word}_instances"] < MIN_INSTANCES
            row, where = (most, tier) if whole else (one, f"{tier}, {one['verifier']}")
            if row[f"{word}_instances"] < MIN_INSTANCES:
                n, of = row[word], row[f"{word}_instances"]
                many = "patch" if n == 1 else "patches"
                few = "" if n == of else f" of {of} instance{'' if of == 1 else 's'}"
                notes[f"{where}: {n} {word} {many}{few}: the {rate} cannot be estimated"] = None
    return list(notes)


def _combination_first(rows: Iterable[JudgedVerdict]) -> list[dict[str, Any]]:
    return [_row_facts(row) for row in sorted(rows, key=lambda row: row.verifier != ACCEPTANCE)]


def _row_facts(row: JudgedVerdict) -> dict[str, Any]:
    return {"run": row.run, "instance": row.instance_id, "attempt": row.attempt, "tier": row.tier,
            "verifier": row.verifier, "score": row.score}  # fmt: skip
