"""The complexity of an issue, 1 to 10: a fitted model that ships as data, with its training card.

``eval/complexity.json`` holds ridge regressions of the share of systems that solve an issue on
features of the issue and its repository. A score of s means that about (s - 1) / 9 of the training
issues are predicted to be easier. An issue of a training repository is scored by the fit without
this repository, so results on public tables hold for a new project too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from swe_router import assets
from swe_router.errors import UsageError
from swe_router.records import digest_of

FILE = "complexity.json"
LOWEST, HIGHEST = 1.0, 10.0
UNSEEN_RESULTS: Mapping[str, Any] = {
    "issues": 213,
    "what": "the other instances of SWE-bench Verified, looked at once, each repository scored by"
    " the fit that left it out",
    "spearman_score_solve_rate": [-0.074, -0.202, 0.050],
    "solve_rate_by_score": [0.52, 0.56, 0.55, 0.47],
    "auc": {
        "DeepSeek V3.2": [0.495, 0.410, 0.576],
        "GPT-5 mini": [0.528, 0.442, 0.609],
        "Devstral small 2512": [0.523, 0.442, 0.603],
        "GPT-5 nano": [0.539, 0.462, 0.620],
    },
    "auc_of_the_issue_s_length": {
        "DeepSeek V3.2": 0.580,
        "GPT-5 mini": 0.547,
        "Devstral small 2512": 0.570,
        "GPT-5 nano": 0.551,
    },
    "verdict": "no power shown: every interval covers .5, and the issue's length does no worse",
}
"""Results of the shipped fit on unseen issues; value, low, high at 95%."""
NO_POWER = (
    "it has shown no power on 213 unseen issues: AUC .50 to .54 for four weak models, each interval"
    " covers .5"
)
"""The note shown with a score."""


class ScoreTerm(NamedTuple):
    """One feature of a model; ``standardised`` converts a value to the fitted scale."""

    feature: str
    log: bool
    """Use log(1 + x) of the feature."""
    low: float
    high: float
    """Bounds of the training rows; values beyond are clipped."""
    mean: float
    scale: float
    weight: float
    """Share of systems that solve the issue, per standard deviation."""

    def standardised(self, value: float) -> float:
        """Standard deviations from the training mean; 0 for a value that is not finite."""
        if not math.isfinite(value):
            return 0.0
        shape = math.log1p(max(0.0, value)) if self.log else value
        return (min(self.high, max(self.low, shape)) - self.mean) / self.scale


class ComplexityFit(NamedTuple):
    """One regression and the knots that map it to the scale."""

    intercept: float
    terms: tuple[ScoreTerm, ...]
    knots: tuple[float, ...]
    """Predicted shares, descending, for scores from 1 to 10 at equal steps."""


class ComplexityScore(NamedTuple):
    """A complexity score and its parts."""

    complexity: float
    solve_rate: float
    """Predicted share of the training table's systems that solve the issue, 0 to 1."""
    parts: Mapping[str, float]
    """Feature -> its points of complexity relative to a mean issue; exact within one linear segment
    of the scale, to first order elsewhere. Positive is harder."""
    model: str
    """``whole``, or ``issue`` when only the text is known."""
    held_out: bool
    """The fit excluded the issue's repository."""


def complexity_score(values: Mapping[str, float], repo: str = "") -> ComplexityScore:
    """Score an issue of ``repo`` by its features; a missing feature counts as the mean."""
    model, fits = _choose_model(values)
    fit = fits.get(repo.lower()) or fits[""]
    parts = _contributions(fit, values)
    rate = predicted_rate(fit, values)
    here, middle = score_of_rate(fit.knots, rate), score_of_rate(fit.knots, fit.intercept)
    slope = (here - middle) / (rate - fit.intercept) if rate != fit.intercept else 0.0
    return ComplexityScore(
        complexity=round(here, 3),
        solve_rate=round(min(1.0, max(0.0, rate)), 4),
        parts={name: round(slope * share, 3) for name, share in parts.items()},
        model=model,
        held_out=bool(repo) and repo.lower() in fits,
    )


def predicted_rate(fit: ComplexityFit, values: Mapping[str, float]) -> float:
    """Predicted share of systems that solve the issue; not clipped to [0, 1]."""
    return fit.intercept + math.fsum(_contributions(fit, values).values())


def _contributions(fit: ComplexityFit, values: Mapping[str, float]) -> dict[str, float]:
    return {
        term.feature: term.weight * term.standardised(values[term.feature])
        for term in fit.terms
        if term.feature in values
    }


def training_card() -> Mapping[str, Any]:
    """The training card: rows, target, licences, metric, date, seed, results on unseen issues."""
    found: Mapping[str, Any] = _shipped_model()["card"]
    return {**found, "unseen": UNSEEN_RESULTS}


def score_of_rate(knots: tuple[float, ...], rate: float) -> float:
    """The score of a predicted share: linear between knots, clipped at both ends."""
    if rate >= knots[0]:
        return LOWEST
    for number in range(1, len(knots)):
        if rate >= knots[number]:
            high, low = knots[number - 1], knots[number]
            step = (HIGHEST - LOWEST) / (len(knots) - 1)
            return LOWEST + step * (number - (rate - low) / (high - low))
    return HIGHEST


def _choose_model(values: Mapping[str, float]) -> tuple[str, Mapping[str, ComplexityFit]]:
    models = _models()
    only_text = {term.feature for term in models["issue"][""].terms}
    beyond = {term.feature for term in models["whole"][""].terms} - only_text
    name = "whole" if beyond & values.keys() else "issue"
    return name, models[name]


@lru_cache(maxsize=1)
def _models() -> dict[str, dict[str, ComplexityFit]]:
    return {name: parse_fits(tree) for name, tree in _shipped_model()["models"].items()}


def parse_fits(tree: Mapping[str, Any]) -> dict[str, ComplexityFit]:
    """The fits of one model by left-out repository ("" for none).

    Raises ``UsageError`` for damaged data.
    """
    try:
        fits = {}
        for repo, fit in tree.items():
            terms = tuple(ScoreTerm(*term) for term in fit["terms"])
            knots = tuple(map(float, fit["knots"]))
            falling = all(a > b for a, b in pairwise(knots))
            if len(knots) < 2 or not falling or any(term.scale <= 0 for term in terms):
                raise ValueError("knots must descend, scales be positive")
            fits[repo.lower()] = ComplexityFit(float(fit["intercept"]), terms, knots)
        fits[""]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"eval/{FILE} is damaged: {error!r}") from None
    return fits


@lru_cache(maxsize=1)
def model_version() -> str:
    """First digits of the digest of the shipped model: a refit changes the scores."""
    return digest_of(_shipped_model())[:8]


@lru_cache(maxsize=1)
def _shipped_model() -> Mapping[str, Any]:
    path = assets.assets_root() / "eval" / FILE
    try:
        tree: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    return tree
