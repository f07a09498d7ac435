"""Entries to rows: figures, intervals, and the word that says what the figures bear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swe_router.outcomes.leaderboard import metrics, verdict_words
from swe_router.outcomes.simulation.entries import BASELINES, BoardEntry, alike
from swe_router.outcomes.simulation.oracle_policies import OracleBound
from swe_router.outcomes.simulation.simulate import SimulatedRun
from swe_router.stats import bootstrap
from swe_router.stats.arrays import Floats
from swe_router.stats.rates import wilson_interval

PLAIN_CASCADE = "cascade"
"""The policy whose blind mixes with the systems are the second hull: a verifier and no router."""


@dataclass(frozen=True)
class SystemField:
    """The systems that all policies are made of, and how chance is drawn."""

    systems: tuple[str, ...]
    rates: Floats
    """First runs of each system, (m, n)."""
    usds: Floats
    groups: tuple[str, ...]
    """Repository of each instance."""
    bootstraps: int = bootstrap.RESAMPLES
    seed: int = 0
    usd_per_resolved: float = 2.0
    """USD that a resolved issue is worth, for regret."""
    non_inferiority_margin: float = 0.02
    """Loss of rate that non-inferiority allows."""

    @property
    def cost(self) -> Floats:
        """Mean USD of each system."""
        mean: Floats = self.usds.mean(axis=1)
        return mean

    @property
    def rate(self) -> Floats:
        """Rate of each system."""
        mean: Floats = self.rates.mean(axis=1)
        return mean

    @property
    def best_system_index(self) -> int:
        """Place of the best system; the cheaper of equals."""
        return max(range(len(self.systems)), key=lambda i: (self.rate[i], -self.cost[i]))


@dataclass(frozen=True)
class _ResampledFigures:
    """Bootstrap samples, one column a scored line."""

    usd: Floats
    margin: Floats
    mixed: Floats | None
    """Margins above the hull that the plain cascade is in; None without one."""
    cluster: Floats
    cluster_rate: Floats
    lead: Floats
    """Rate minus that of the best system."""
    pareto: Floats


def score_rows(
    entries: Sequence[BoardEntry], bounds: Sequence[OracleBound], field: SystemField
) -> list[dict[str, Any]]:
    """A row an entry and a bound, in their order; the figures of what could not run are None."""
    there = [e for e in entries if e.played is not None]
    plays = [e.played for e in there if e.played is not None]
    rate = np.stack([p.resolved for p in plays] + [b.resolved for b in bounds])
    usd = np.stack([p.usd for p in plays] + [b.usd for b in bounds])
    twins = _same_decisions(there)
    own = [k for k, entry in enumerate(there) if entry.policy not in twins]
    plain = next((k for k, entry in enumerate(there) if entry.policy == PLAIN_CASCADE), None)
    chance = _resampled_figures(rate, usd, own, plain, field)
    place = {id(entry): k for k, entry in enumerate(there)}
    out = []
    for entry in entries:
        if entry.played is None:
            out.append(_empty_row(entry, rate.shape[1]))
            continue
        k = place[id(entry)]
        line = {
            "policy": entry.policy,
            "knobs": dict(entry.knobs),
            "kind": "baseline" if entry.plugin in BASELINES else "policy",
            **_point_figures(rate[k], usd[k], field),
            **_intervals(rate[k], usd[k], k, chance, field),
            **_curve_figures(entry, entry.played, field),
            **_regrets(rate[k], usd[k], bounds, field),
            "surrogate": entry.surrogate or None,
            "same_as": twins.get(entry.policy),
            "rate_random_cv": _mean_resolved(entry.random_cv),
            "drawn": entry.drawn,
            "most_spent": entry.played.max_spent_usd if entry.drawn else None,
            **_beyond_cascade(rate[k], usd[k], k, chance, (rate, usd, plain), field),
        }
        out.append(line)
    for j, bound in enumerate(bounds):
        k = len(plays) + j
        line = {"policy": bound.name, "knobs": {}, "kind": bound.kind, "idea": bound.idea,
                **_point_figures(rate[k], usd[k], field),
                **_intervals(rate[k], usd[k], k, chance, field)}  # fmt: skip
        out.append(line)
    verdict_words.set_verdict_words(out)
    return [{name: _plain_number(value) for name, value in line.items()} for line in out]


def _resampled_figures(
    rate: Floats, usd: Floats, own: Sequence[int], plain: int | None, field: SystemField
) -> _ResampledFigures:
    shares = bootstrap.resample_shares(rate.shape[1], field.bootstraps, field.seed)
    groups = bootstrap.cluster_resample_shares(field.groups, field.bootstraps, field.seed)
    best = rate - field.rates[field.best_system_index]
    # An oracle would keep every policy off the frontier, and a twin would halve its chances.
    pareto = np.full(len(rate), np.nan)
    pareto[own] = bootstrap.pareto_probability(shares, rate[own], usd[own])
    margin = bootstrap.hull_margins(shares, rate, usd, field.rates, field.usds)
    mixed = None
    if plain is not None:
        point = (rate[plain], usd[plain])
        mixed = bootstrap.extended_hull_margins(
            shares, rate, usd, point, field.rates, field.usds, margin
        )
    return _ResampledFigures(
        bootstrap.resampled_means(shares, usd),
        margin,
        mixed,
        bootstrap.hull_margins(groups, rate, usd, field.rates, field.usds),
        bootstrap.resampled_means(groups, rate),
        bootstrap.resampled_means(shares, best),
        pareto,
    )


def _point_figures(rate: Floats, usd: Floats, field: SystemField) -> dict[str, Any]:
    n, resolved, paid = len(rate), float(rate.sum()), float(usd.sum())
    low, high = wilson_interval(resolved, n)
    costs = [*field.cost.tolist()]
    return {
        "n": n,
        "resolved": resolved,
        "rate": resolved / n,
        "rate_low": low,
        "rate_high": high,
        "usd": paid,
        "usd_per_issue": paid / n,
        "usd_per_resolved": metrics.usd_per_resolved(paid, resolved),
        "pgr": metrics.pgr(
            resolved / n, float(field.rate[0]), float(field.rate[field.best_system_index])
        ),
        "ibc": metrics.ibc(
            paid / n,
            resolved / n,
            (costs[0], float(field.rate[0])),
            (costs[field.best_system_index], float(field.rate[field.best_system_index])),
        ),
        "router_arena": metrics.router_arena(resolved / n, paid / n, min(costs), max(costs)),
        "hull_margin_pp": _percentage_points(
            float(metrics.hull_margin(paid / n, resolved / n, field.cost, field.rate))
        ),
    }


def _intervals(
    rate: Floats, usd: Floats, k: int, chance: _ResampledFigures, field: SystemField
) -> dict[str, Any]:
    n = len(usd)
    cheap, dear = bootstrap.bca_interval(chance.usd[:, k], usd)
    low, high = bootstrap.percentile_interval(chance.margin[:, k])
    cluster = bootstrap.percentile_interval(chance.cluster[:, k])
    rates = bootstrap.percentile_interval(chance.cluster_rate[:, k])
    strong = field.rates[field.best_system_index]
    whole = bool(np.isin(rate, (0, 1)).all() and np.isin(strong, (0, 1)).all())
    ahead = bootstrap.percentile_interval(chance.lead[:, k])
    return {
        "usd_low": cheap * n,
        "usd_high": dear * n,
        "usd_per_issue_low": cheap,
        "usd_per_issue_high": dear,
        "hull_margin_low": _percentage_points(low),
        "hull_margin_high": _percentage_points(high),
        "hull_margin_repo_low": _percentage_points(cluster[0]),
        "hull_margin_repo_high": _percentage_points(cluster[1]),
        "rate_repo_low": rates[0],
        "rate_repo_high": rates[1],
        "p": bootstrap.bootstrap_p_value(chance.margin[:, k]),
        "lead_pp": 100 * float((rate - strong).mean()),
        "lead_low": 100 * ahead[0],
        "lead_high": 100 * ahead[1],
        "mcnemar_p": bootstrap.mcnemar_test(rate, strong) if whole else None,
        "non_inferior": bootstrap.is_non_inferior(chance.lead[:, k], field.non_inferiority_margin),
        "on_pareto_probability": float(chance.pareto[k]),
    }


def _beyond_cascade(
    rate: Floats,
    usd: Floats,
    k: int,
    chance: _ResampledFigures,
    plays: tuple[Floats, Floats, int | None],
    field: SystemField,
) -> dict[str, Any]:
    """The margin over blind mixes of the systems and the plain cascade: routing, not verifying."""
    every, costs, plain = plays
    if plain is None or chance.mixed is None:
        return {}
    points = np.append(field.rate, every[plain].mean())
    prices = np.append(field.cost, costs[plain].mean())
    low, high = bootstrap.percentile_interval(chance.mixed[:, k])
    return {
        "cascade_margin_pp": _percentage_points(
            float(metrics.hull_margin(usd.mean(), rate.mean(), prices, points))
        ),
        "cascade_margin_low": _percentage_points(low),
        "cascade_margin_high": _percentage_points(high),
        "cascade_p": 1.0 if k == plain else bootstrap.bootstrap_p_value(chance.mixed[:, k]),
    }


def _curve_figures(entry: BoardEntry, played: SimulatedRun, field: SystemField) -> dict[str, Any]:
    """Figures of the whole curve; of one point when there is no knob to turn."""
    plays = (played, *entry.curve)
    rate = np.array([p.resolved.mean() for p in plays])
    cost = np.array([p.usd.mean() for p in plays])
    calls = np.array([np.minimum(p.runs[:, field.best_system_index], 1).mean() for p in plays])
    weak, strong = 0, field.best_system_index
    gap = np.asarray(metrics.pgr(rate, float(field.rate[weak]), float(field.rate[strong])))
    low, high = float(field.cost.min()), float(field.cost.max())
    run = float(field.cost[strong] - field.cost[weak])
    paid = (cost - field.cost[weak]) / run if run > 0 else np.full(len(cost), np.nan)
    return {
        "strong_calls": float(calls[0]),
        "points": [{"usd_per_issue": float(c), "rate": float(r)}
                   for c, r in zip(cost, rate, strict=True)],
        "aiq": metrics.aiq(cost, rate, low, high),
        "apgr": metrics.apgr(calls, gap),
        "cpt50_calls": metrics.cpt(calls, gap, 0.5),
        "cpt80_calls": metrics.cpt(calls, gap, 0.8),
        "cpt50_cost": metrics.cpt(paid, gap, 0.5) if run > 0 else math.nan,
        "cpt80_cost": metrics.cpt(paid, gap, 0.8) if run > 0 else math.nan,
        "cost_save": metrics.cost_save(
            cost, rate, float(field.cost[strong]), float(field.rate[strong])
        ),
        "hypervolume": metrics.hypervolume(cost, rate, high),
    }  # fmt: skip


def _regrets(
    rate: Floats, usd: Floats, bounds: Sequence[OracleBound], field: SystemField
) -> dict[str, Any]:
    names = ("regret", "regret_abandon")
    return {
        name: metrics.regret(rate, usd, (bound.resolved, bound.usd), field.usd_per_resolved)
        for name, bound in zip(names, bounds, strict=False)
    }


def _same_decisions(there: Sequence[BoardEntry]) -> dict[str, str]:
    """Policy -> the one whose decisions it takes: exact before drawn, real before surrogate."""
    found: dict[str, str] = {}
    ordered = sorted(there, key=lambda entry: (entry.drawn, bool(entry.surrogate)))
    for k, entry in enumerate(ordered):
        for other in ordered[:k]:
            if other.policy not in found and alike(other, entry):
                found[entry.policy] = other.policy
                break
    return found


def _empty_row(entry: BoardEntry, n: int) -> dict[str, Any]:
    """Every figure of a row that could not run is None; it still says what it is."""
    nothing = ("resolved", "rate", "rate_low", "rate_high", "usd", "usd_per_issue", "usd_low",
               "usd_high", "hull_margin_pp", "hull_margin_low", "hull_margin_high", "aiq", "apgr",
               "on_pareto_probability")  # fmt: skip
    return {"policy": entry.policy, "knobs": dict(entry.knobs), "kind": "policy", "n": n,
            **dict.fromkeys(nothing), "surrogate": entry.surrogate or None,
            "verdict": f"unavailable: {entry.trouble}"}  # fmt: skip


def _mean_resolved(played: SimulatedRun | None) -> float | None:
    return None if played is None else float(played.resolved.mean())


def _percentage_points(share: float) -> float:
    """Percentage points, without the dust of rounding."""
    return round(100 * share, 9) + 0.0


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
