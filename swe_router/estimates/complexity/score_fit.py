"""Fits the complexity score on the outcomes of past issues.

The target of an issue is the share of systems that solve it, adjusted for which systems tried it.
The regression must hold for a *new* repository. Features and targets are compared within one
only (fixed effects), since repositories differ for reasons outside the issues. Every weight
keeps the fixed sign of its feature. Weights are shrunk towards one common weight, which helps on
small samples (Dawes 1979, "The robust beauty of improper linear models").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls
from scipy.stats import spearmanr

from swe_router.errors import UsageError
from swe_router.estimates.complexity.score import (
    HIGHEST,
    LOWEST,
    ComplexityFit,
    ScoreTerm,
    predicted_rate,
    score_of_rate,
)
from swe_router.stats.arrays import Floats

SHRINKAGE = 1000.0
"""Weight of the common weight, in rows; one of 30, 100, 300, 1000, which hardly differ."""
CLIPPED_SHARE = 0.02
"""Share of the training rows clipped at each bound of a feature."""
MIN_ROWS, MIN_REPOS = 30, 3


class WeightSign(NamedTuple):
    """A feature, the sign of its weight, and its scale."""

    feature: str
    way: int
    """+1: more of it is easier; -1: harder."""
    log: bool = True


WEIGHT_SIGNS = (
    WeightSign("log_words", -1, log=False),
    WeightSign("prose_words", -1),
    WeightSign("symbol_mentions", -1),
    WeightSign("capital_words", -1),
    WeightSign("code_definitions", -1),
    WeightSign("indented_lines", -1),
    WeightSign("versions", -1),
    WeightSign("wishes", -1),
    WeightSign("file_mentions", +1),
    WeightSign("line_mentions", +1),
    WeightSign("fix_hints", +1),
    WeightSign("diff", +1, log=False),
    WeightSign("unknown_share", -1, log=False),
    WeightSign("ambiguity", -1),
    WeightSign("frames_found", +1),
    WeightSign("files_found", +1),
    WeightSign("seed_weight", +1),
    WeightSign("named_size", +1, log=False),
    WeightSign("ppr_entropy", -1, log=False),
    WeightSign("ppr_top1", +1, log=False),
    WeightSign("plausible_files", -1),
    WeightSign("plausible_packages", -1),
    WeightSign("word_lead", +1, log=False),
    WeightSign("word_match", +1, log=False),
    WeightSign("top_lines", -1),
    WeightSign("top_centrality", -1, log=False),
    WeightSign("top_tests", -1),
    WeightSign("region_lines", -1),
    WeightSign("region_fan_in", -1),
    WeightSign("region_tests", +1),
    WeightSign("kin_lines", -1, log=False),
    WeightSign("kin_tests", -1, log=False),
    WeightSign("region_churn", -1),
    WeightSign("region_fix_share", -1, log=False),
)
"""Features of the score; the part of each one is in ``ComplexityScore.parts``."""


class OutcomeExample(NamedTuple):
    """One issue of the training tables."""

    repo: str
    values: Mapping[str, float]
    rate: float
    """Share of systems that solve it, 0 to 1."""


def solve_rates(runs: Sequence[tuple[str, str, bool]]) -> dict[str, float]:
    """Share of systems that solve each issue, from (instance, system, resolved).

    A two-way additive fit (issue + system) corrects for issues that only strong systems tried.
    Clipped to [0, 1].
    """
    issues, systems = sorted({run[0] for run in runs}), sorted({run[1] for run in runs})
    row = {name: number for number, name in enumerate(issues)}
    column = {name: number for number, name in enumerate(systems)}
    total, tries = np.zeros((2, len(issues), len(systems)))
    for issue, system, resolved in runs:
        total[row[issue], column[system]] += resolved
        tries[row[issue], column[system]] += 1
    tried = tries > 0
    mean = np.divide(total, tries, out=np.zeros_like(total), where=tried)
    easy, able = np.zeros(len(issues)), np.zeros(len(systems))
    for _ in range(50):
        able = ((mean - easy[:, None]) * tried).sum(0) / tried.sum(0)
        easy = ((mean - able[None, :]) * tried).sum(1) / tried.sum(1)
    level = float(mean[tried].mean()) - float(np.average(easy, weights=tried.sum(1)))
    return {name: float(np.clip(easy[row[name]] + level, 0, 1)) for name in issues}


def fit_complexity(rows: Sequence[OutcomeExample], signs: Sequence[WeightSign]) -> ComplexityFit:
    """One fit on all rows. Raises ``UsageError`` for too few rows or repositories."""
    repos = np.array([row.repo for row in rows])
    if len(rows) < MIN_ROWS or len(set(repos)) < MIN_REPOS:
        raise UsageError(
            f"a fit needs {MIN_ROWS} issues of {MIN_REPOS} repositories with features and"
            f" outcomes: there are {len(rows)} of {len(set(repos))}"
        )
    unfitted = [_unfitted_term(rows, sign) for sign in signs]
    shapes = np.array([[_standard_value(term, row) for term in unfitted] for row in rows])
    ways = np.array([sign.way for sign in signs], dtype=float)
    rates = np.array([row.rate for row in rows])
    inside, target = shapes * ways, rates.copy()
    for repo in sorted(set(repos)):
        here = repos == repo
        inside[here] -= inside[here].mean(axis=0)
        target[here] -= target[here].mean()
    weights = ways * _shrunk_weights(inside, target)
    levels = [(rates - shapes @ weights)[repos == repo].mean() for repo in sorted(set(repos))]
    terms = tuple(
        term._replace(weight=float(f"{weight:.6g}"))
        for term, weight in zip(unfitted, weights, strict=True)
    )
    unknotted = ComplexityFit(round(float(np.mean(levels)), 6), terms, (1.0, 0.0))
    return unknotted._replace(knots=_knots([predicted_rate(unknotted, row.values) for row in rows]))


def cross_validate_complexity(
    rows: Sequence[OutcomeExample], signs: Sequence[WeightSign]
) -> tuple[dict[str, ComplexityFit], Any]:
    """Fits by left-out repository ("" for none), and their held-out results."""
    fits = {"": fit_complexity(rows, signs)}
    for repo in sorted({row.repo for row in rows}):
        fits[repo.lower()] = fit_complexity([row for row in rows if row.repo != repo], signs)
    own = [fits[row.repo.lower()] for row in rows]
    predicted = [predicted_rate(one, row.values) for one, row in zip(own, rows, strict=True)]
    scores = [score_of_rate(one.knots, rate) for one, rate in zip(own, predicted, strict=True)]
    rates = np.array([row.rate for row in rows])
    at = np.array(scores)
    bands = []
    for low, high in ((1, 3.25), (3.25, 5.5), (5.5, 7.75), (7.75, 10.01)):
        here = (at >= low) & (at < high)
        if here.any():
            band = [low, min(high, HIGHEST)]
            solved = round(float(rates[here].mean()), 3)
            bands.append({"score": band, "issues": int(here.sum()), "solve_rate": solved})
    return fits, {
        "spearman_score_solve_rate": round(float(spearmanr(at, rates).statistic), 3),
        "spearman_predicted_solve_rate": round(float(spearmanr(predicted, rates).statistic), 3),
        "solve_rate_by_score": bands,
    }


def fit_as_json(one: ComplexityFit) -> dict[str, Any]:
    """A fit as JSON, terms without weight left out."""
    return {
        "intercept": one.intercept,
        "terms": [list(term) for term in one.terms if term.weight],
        "knots": list(one.knots),
    }


def _unfitted_term(rows: Sequence[OutcomeExample], sign: WeightSign) -> ScoreTerm:
    """Bounds, mean and deviation of a feature over the rows that have it."""
    given = np.array([r.values[sign.feature] for r in rows if sign.feature in r.values] or [0.0])
    shaped = np.log1p(np.maximum(given, 0)) if sign.log else given
    low, high = np.quantile(shaped, [CLIPPED_SHARE, 1 - CLIPPED_SHARE])
    if high <= low:  # a rare flag: clipping would remove it
        low, high = shaped.min(), shaped.max()
    clipped = np.clip(shaped, low, high)
    numbers = (low, high, clipped.mean(), clipped.std() or 1.0)
    low, high, mean, scale = (float(f"{number:.6g}") for number in numbers)
    return ScoreTerm(sign.feature, sign.log, low, high, mean, scale, weight=0.0)


def _standard_value(term: ScoreTerm, row: OutcomeExample) -> float:
    return term.standardised(row.values[term.feature]) if term.feature in row.values else 0.0


def _shrunk_weights(inside: Floats, target: Floats) -> Floats:
    """Weights >= 0 that minimise squared error + ``SHRINKAGE`` |w - common weight|^2."""
    whole = inside.sum(axis=1)
    common = max(0.0, float(whole @ target) / (float(whole @ whole) or 1.0))
    count = inside.shape[1]
    left = np.vstack([inside, np.sqrt(SHRINKAGE) * np.eye(count)])
    right = np.concatenate([target, np.full(count, np.sqrt(SHRINKAGE) * common)])
    found: Floats = nnls(left, right)[0]
    return found


def _knots(predicted: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of the predicted shares, highest first, for equal steps of the score."""
    steps = int(HIGHEST - LOWEST) + 1
    found = np.quantile(predicted, np.linspace(0.99, 0.01, steps))
    falling = [float(found[0])]
    for value in found[1:]:
        falling.append(min(float(value), falling[-1] - 1e-6))
    return tuple(round(value, 7) for value in falling)
