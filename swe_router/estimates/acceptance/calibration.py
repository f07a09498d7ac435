"""The fitted model behind ``acceptance`` and ``behaviour``: data with a training card.

``eval/acceptance.json`` is written by ``eval/fit_acceptance.py``, a file of the user's own by
``swe-router calibrate``; both hold one ``Calibration``. Scores of patches of a repository that was
among the training rows come from the fit that left this repository out, and so do the scores of
the held-out rows from which thresholds are chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from swe_router import assets
from swe_router.errors import UsageError
from swe_router.estimates.acceptance import selective_threshold, verdict_signals
from swe_router.estimates.acceptance.behaviour_model import (
    USD_PER_STEP,
    BehaviourFit,
    behaviour_lift,
    behaviour_score,
)
from swe_router.estimates.acceptance.selective_threshold import AcceptanceThreshold, HeldOutPatch
from swe_router.records import digest_of
from swe_router.stats.logistic import logistic_function

FILE = "acceptance.json"
AuthorClass = Literal["weak", "strong", "unknown"]
"""Classes of authors, by what share of issues they resolve."""
SHIPPED, NONE = "shipped", "none"


class _FiniteModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


EQUAL_WITHIN = 2e-4
"""Two probabilities, each rounded to four digits, that are no further apart are the same."""


class SignalWeights(_FiniteModel):
    """One weighing: log odds = bias + sum of weight x signal."""

    bias: float
    weights: Mapping[str, float]

    @field_validator("weights")
    @classmethod
    def _known_and_signed(cls, weights: Mapping[str, float]) -> Mapping[str, float]:
        ways = {one.name: one.way for one in verdict_signals.PRIORS}
        for name, weight in weights.items():
            if weight * ways.get(name, 0) < 0:
                raise ValueError(f"the weight of {name!r} has the wrong sign")
        return weights

    def probability(self, signals: Mapping[str, float]) -> float:
        """P(right), 0 to 1, to four digits; a signal that is absent moves nothing."""
        moved = sum(self.weights.get(name, 0.0) * signals[name] for name in sorted(signals))
        return round(logistic_function(self.bias + moved), 4)


class Calibration(_FiniteModel):
    """What turns verdicts into a probability, and probabilities into a decision."""

    schema_version: Literal["swe-router/acceptance-1"] = "swe-router/acceptance-1"
    name: str = Field(min_length=1)
    card: Mapping[str, Any] = Field(default_factory=dict)
    """What it was fitted on, and which weights are priors."""
    authors: Mapping[str, AuthorClass] = Field(default_factory=dict)
    """Fragment of a model's or system's name, in lower case -> class; the longest one counts."""
    priced: tuple[str, ...] = ()
    """Fragments of authors whose dollars the behaviour fit knows."""
    behaviour: Mapping[str, BehaviourFit] = Field(default_factory=dict)
    """Repository left out, in lower case ("" for none) -> fit; empty: behaviour says nothing."""
    judge: tuple[float, float] | None = None
    """Bias and slope (never below 0) of the judge's log odds; None: taken at its word."""
    acceptance: Mapping[str, Mapping[str, SignalWeights]]
    """Class of the author -> repository left out -> weights."""
    held_out: tuple[HeldOutPatch, ...] = ()
    ungrounded: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Class of authors -> instance of each graded patch that was not refused by its text and on
    which nothing ran: it has no score and is never accepted. A class left out: not counted."""

    @field_validator("acceptance")
    @classmethod
    def _whole(
        cls, fits: Mapping[str, Mapping[str, SignalWeights]]
    ) -> Mapping[str, Mapping[str, SignalWeights]]:
        if set(fits) != set(verdict_signals.CLASSES) or any("" not in of for of in fits.values()):
            raise ValueError(f"weights for {', '.join(verdict_signals.CLASSES)} must be there")
        return fits

    @field_validator("behaviour")
    @classmethod
    def _sound(cls, fits: Mapping[str, BehaviourFit]) -> Mapping[str, BehaviourFit]:
        terms = [term for fit in fits.values() for term in fit.terms]
        if (fits and "" not in fits) or any(term.scale <= 0 for term in terms):
            raise ValueError("a fit that left nothing out must be there, scales be positive")
        return fits

    @field_validator("held_out")
    @classmethod
    def _probable(cls, held: tuple[HeldOutPatch, ...]) -> tuple[HeldOutPatch, ...]:
        if any(
            not 0 <= one.score <= 1 or one.author not in verdict_signals.CLASSES for one in held
        ):
            raise ValueError("a held-out row has a score from 0 to 1 and a class of authors")
        return held

    @field_validator("judge")
    @classmethod
    def _rising(cls, judge: tuple[float, float] | None) -> tuple[float, float] | None:
        if judge is not None and judge[1] < 0:
            raise ValueError("its slope, the second number, must be 0 or more")
        return judge

    @property
    def digest(self) -> str:
        """First digits of the digest of what sets probabilities and thresholds."""
        return digest_of(self.model_dump(mode="json", exclude={"ungrounded"}))[:8]

    def class_of(self, author: str) -> str:
        """Which class of authors: weak | strong | unknown."""
        return verdict_signals.class_of(author, self.authors)

    def probability(self, signals: Mapping[str, float], author: str, repo: str) -> float:
        """P(right) for ``verdict_signals.signals``, a class of authors and a repository."""
        fits: Mapping[str, SignalWeights] = self.acceptance[author]
        return (fits.get(repo.lower()) or fits[""]).probability(signals)

    def unweighed(self, signals: Mapping[str, float], author: str, repo: str) -> list[str]:
        """Signals of third-party verifiers that this fit has no weight for, sorted."""
        fits = self.acceptance[author]
        weights = (fits.get(repo.lower()) or fits[""]).weights
        return [n for n in verdict_signals.new_names([signals]) if n not in weights]

    def new_signals(self) -> dict[str, dict[str, float]]:
        """Signal of a third-party verifier -> class of authors -> its weight, all rows used."""
        fits = {author: of[""].weights for author, of in self.acceptance.items()}
        names = verdict_signals.new_names(fits.values())
        return {name: {a: w[name] for a, w in fits.items() if name in w} for name in names}

    def threshold(self, author: str, most: float, confidence: float) -> AcceptanceThreshold:
        """For a class of authors, the threshold that keeps false accepts at ``most``."""
        held = [one for one in self.held_out if one.author == author]
        return selective_threshold.find_threshold(held, most, confidence)

    def behaves(self, signals: Mapping[str, float], author: str, repo: str) -> tuple[float, float]:
        """P(right) and lift by behaviour alone; see ``acceptance.behaviour_model``."""
        fit = self.behaviour.get(repo.lower()) or self.behaviour[""]
        known = any(fragment in author.lower() for fragment in self.priced)
        usable = {k: v for k, v in signals.items() if known or k != USD_PER_STEP}
        return behaviour_score(fit, usable), behaviour_lift(fit, usable)

    def judged(self, probability: float) -> float:
        """A judge's probability, Platt-scaled."""
        bias, slope = self.judge or (0.0, 1.0)
        return round(logistic_function(bias + slope * verdict_signals.log_odds(probability)), 4)

    def dump(self) -> str:
        """JSON text, the card to be read, each fit and each held-out row on a line of its own."""
        tree = self.model_dump(mode="json")
        parts = [
            f"{json.dumps(key)}: {json.dumps(tree[key], indent=1 if key == 'card' else None)}"
            for key in ("schema_version", "name", "card", "authors", "priced", "judge")
        ]
        parts.append(_dump_fits("behaviour", tree["behaviour"]))
        fits = ",\n".join(_dump_fits(name, fits) for name, fits in tree["acceptance"].items())
        parts.append(f'"acceptance": {{\n{fits}\n}}')
        held = ",\n".join(f"  {json.dumps(row)}" for row in tree["held_out"])
        parts.append(f'"held_out": [\n{held}\n]')
        if self.ungrounded:
            parts.append(f'"ungrounded": {json.dumps(tree["ungrounded"])}')
        return "{" + ",\n".join(parts) + "}\n"


def _dump_fits(name: str, fits: Mapping[str, Any]) -> str:
    lines = ",\n".join(f"  {json.dumps(repo)}: {json.dumps(fit)}" for repo, fit in fits.items())
    return f"{json.dumps(name)}: {{\n{lines}\n }}"


def load_calibration(name_or_path: str) -> Calibration | None:
    """``shipped``, a file, or None for ``none``. Raises ``UsageError`` for what is no such file."""
    if name_or_path == NONE:
        return None
    if name_or_path == SHIPPED:
        return _shipped_calibration(assets.assets_root() / "eval" / FILE)
    return parse_calibration(_read_text(Path(name_or_path).expanduser()), name_or_path)


def calibration_text(name_or_path: str) -> str:
    """The text of a calibration, ``shipped`` or a file, that can be read. Raises ``UsageError``."""
    shipped = name_or_path == SHIPPED
    path = assets.assets_root() / "eval" / FILE if shipped else Path(name_or_path).expanduser()
    text = _read_text(path)
    parse_calibration(text, name_or_path)
    return text


def parse_calibration(text: str, where: str) -> Calibration:
    """A calibration from its text. Raises ``UsageError`` that names ``where``."""
    try:
        return Calibration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"calibration {where} is damaged{f' at {place}' if place else ''}: {first['msg']}"
        ) from None


@lru_cache(maxsize=2)
def _shipped_calibration(path: Path) -> Calibration:
    return parse_calibration(_read_text(path), str(path))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"calibration {path} cannot be read: {error}") from None
