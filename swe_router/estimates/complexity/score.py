"""The complexity of an issue, 1 to 10: a fitted model that ships as data, with its training card.

``eval/complexity.json`` holds ridge regressions of the share of systems that solve an issue on
features of the issue and its repository. A score of s says that about (s - 1) / 9 of the issues
that the model was fitted on are predicted to be easier. An issue of a repository that was among
the training rows is scored by the fit that left this repository out, so that no score carries
outcomes of the repository it is for: what is shown on public tables is what a new project gets.
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
UNSEEN: Mapping[str, Any] = {
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
"""The fit that ships, on issues that no fit and no choice had seen; value, low, high at 95%."""
NO_POWER = (
    "it has shown no power on 213 unseen issues: AUC .50 to .54 for four weak models, each interval"
    " covers .5"
)
"""The same for whoever reads a score."""


class Term(NamedTuple):
    """One feature of a model. ``at`` puts its value on the scale on which it was fitted."""

    feature: str
    log: bool
    """The feature is taken as log(1 + x)."""
    low: float
    high: float
    """Bounds of the training rows: what lies beyond counts as the bound."""
    mean: float
    scale: float
    weight: float
    """Share of systems that solve the issue, per standard deviation."""

    def at(self, value: float) -> float:
        """Standard deviations from the mean of the training rows; 0 for what is not finite."""
        if not math.isfinite(value):
            return 0.0
        shape = math.log1p(max(0.0, value)) if self.log else value
        return (min(self.high, max(self.low, shape)) - self.mean) / self.scale


class ScoreFit(NamedTuple):
    """One regression and the knots that stretch it over the scale."""

    intercept: float
    terms: tuple[Term, ...]
    knots: tuple[float, ...]
    """Predicted shares that score 1 to 10 at equal steps; they descend."""


class Score(NamedTuple):
    """A complexity and where it comes from."""

    complexity: float
    solve_rate: float
    """Predicted share of the training table's systems that solve the issue, 0 to 1."""
    parts: Mapping[str, float]
    """Feature -> points of complexity by which it moved the score from that of a mean issue;
    exact where the scale is straight, to first order elsewhere. Positive is harder."""
    model: str
    """``whole``, or ``issue`` when nothing but the text is known."""
    held_out: bool
    """The fit left the issue's repository out."""


def score(values: Mapping[str, float], repo: str = "") -> Score:
    """Score an issue of ``repo`` by its features; what is missing counts as the mean."""
    model, fits = _chosen(values)
    fit = fits.get(repo.lower()) or fits[""]
    moved = _moved(fit, values)
    rate = rate_of(fit, values)
    here, middle = stretched(fit.knots, rate), stretched(fit.knots, fit.intercept)
    slope = (here - middle) / (rate - fit.intercept) if rate != fit.intercept else 0.0
    return Score(
        complexity=round(here, 3),
        solve_rate=round(min(1.0, max(0.0, rate)), 4),
        parts={name: round(slope * share, 3) for name, share in moved.items()},
        model=model,
        held_out=bool(repo) and repo.lower() in fits,
    )


def rate_of(fit: ScoreFit, values: Mapping[str, float]) -> float:
    """Predicted share of systems that solve the issue; not cut to 0 to 1."""
    return fit.intercept + math.fsum(_moved(fit, values).values())


def _moved(fit: ScoreFit, values: Mapping[str, float]) -> dict[str, float]:
    return {
        term.feature: term.weight * term.at(values[term.feature])
        for term in fit.terms
        if term.feature in values
    }


def card() -> Mapping[str, Any]:
    """The training card: rows, target, licences, metric, date, seed; what unseen issues said."""
    found: Mapping[str, Any] = _shipped()["card"]
    return {**found, "unseen": UNSEEN}


def stretched(knots: tuple[float, ...], rate: float) -> float:
    """The score of a predicted share: straight lines between the knots, cut off at both ends."""
    if rate >= knots[0]:
        return LOWEST
    for number in range(1, len(knots)):
        if rate >= knots[number]:
            high, low = knots[number - 1], knots[number]
            step = (HIGHEST - LOWEST) / (len(knots) - 1)
            return LOWEST + step * (number - (rate - low) / (high - low))
    return HIGHEST


def _chosen(values: Mapping[str, float]) -> tuple[str, Mapping[str, ScoreFit]]:
    models = _models()
    only_text = {term.feature for term in models["issue"][""].terms}
    beyond = {term.feature for term in models["whole"][""].terms} - only_text
    name = "whole" if beyond & values.keys() else "issue"
    return name, models[name]


@lru_cache(maxsize=1)
def _models() -> dict[str, dict[str, ScoreFit]]:
    return {name: fits_of(tree) for name, tree in _shipped()["models"].items()}


def fits_of(tree: Mapping[str, Any]) -> dict[str, ScoreFit]:
    """The fits of one model, by the repository that each left out; "" left out none.

    Raises ``UsageError`` for data that is no such model.
    """
    try:
        fits = {}
        for repo, fit in tree.items():
            terms = tuple(Term(*term) for term in fit["terms"])
            knots = tuple(map(float, fit["knots"]))
            falling = all(a > b for a, b in pairwise(knots))
            if len(knots) < 2 or not falling or any(term.scale <= 0 for term in terms):
                raise ValueError("knots must descend, scales be positive")
            fits[repo.lower()] = ScoreFit(float(fit["intercept"]), terms, knots)
        fits[""]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"eval/{FILE} is damaged: {error!r}") from None
    return fits


@lru_cache(maxsize=1)
def model_version() -> str:
    """First digits of the digest of the model that ships: a refit changes the scores."""
    return digest_of(_shipped())[:8]


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, Any]:
    path = assets.root() / "eval" / FILE
    try:
        tree: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    return tree
