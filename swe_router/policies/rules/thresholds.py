"""Rule routers with fixed thresholds: two of our first design, and readable rules; baselines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from swe_router.policies.base import Knobs
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features
from swe_router.records.known_features import require_text, require_values

ALGORITHM = re.compile(r"algorithm|optimi[sz]ation|complexity|performance", re.IGNORECASE)
ALGORITHM_62 = re.compile(r"algorithm|optimi[sz]ation", re.IGNORECASE)
REFACTOR = re.compile(r"refactor", re.IGNORECASE)
BUG = re.compile(r"\bbugs?\b|\bfix", re.IGNORECASE)


def three_rungs(ladder_size: int) -> tuple[int, int, int]:
    """Rungs for simple, medium and hard issues."""
    return 0, (ladder_size - 1) // 2 if ladder_size > 2 else ladder_size - 1, ladder_size - 1


class FirstDesignRulesKnobs(Knobs):
    """Knobs of ``doc-6.2``."""

    middle: float = 5.0
    """Complexity (1 to 10) above which the middle tier takes over."""
    high: float = 8.0
    """Complexity above which the strong tier takes over."""


class FirstDesignRules(SingleTierPolicy[FirstDesignRulesKnobs]):
    """Complexity over 8: strong tier; over 5: middle tier; two keywords override both."""

    name: ClassVar[str] = "doc-6.2"
    source: ClassVar[str] = "our own baseline: rules of our first design"
    maturity: ClassVar[str] = "baseline: the keyword override discards the score"
    knobs_type: ClassVar[type[Knobs]] = FirstDesignRulesKnobs

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """By keyword, else by complexity."""
        low, middle, high = three_rungs(len(self.ladder))
        text = require_text(features)
        if REFACTOR.search(text):
            return TierChoice(high, "it says refactor")
        if ALGORITHM_62.search(text):
            return TierChoice(max(middle, high - 1), "it says algorithm or optimization")
        score = require_values(features).get("complexity", 0.0)
        rung = high if score > self.knobs.high else middle if score > self.knobs.middle else low
        return TierChoice(rung, f"complexity {score:.1f}")


class FirstDesignScaleKnobs(Knobs):
    """Knobs of ``doc-a4``."""

    middle: float = 5.0
    high: float = 8.0
    shift: float = 0.0
    """Added to the score; moves the mix."""


class FirstDesignScale(SingleTierPolicy[FirstDesignScaleKnobs]):
    """The first design's scale of files, words and keywords, with a predicted number of files.

    min(2 files, 4) + min(words / 50, 3) + 3 algorithm + 2 refactor + 1 bug. The first design
    counted the files of the gold patch, which is the answer. Here they are the plausible files of
    the walk over the code graph, or the files that the issue names.
    """

    name: ClassVar[str] = "doc-a4"
    source: ClassVar[str] = "our own baseline: rules of our first design, its leak replaced"
    maturity: ClassVar[str] = "baseline: measured no better than its random mix"
    knobs_type: ClassVar[type[Knobs]] = FirstDesignScaleKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"shift": float(shift)} for shift in (-4, -2, -1, 1, 2, 4)
    )

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """By the scale."""
        low, middle, high = three_rungs(len(self.ladder))
        score = first_design_scale(features) + self.knobs.shift
        rung = high if score >= self.knobs.high else middle if score >= self.knobs.middle else low
        return TierChoice(rung, f"scale {score:.1f}")


def first_design_scale(features: Features) -> float:
    """The scale of the first design, 0 to 13."""
    values, text = require_values(features), require_text(features)
    files = values.get("plausible_files", values.get("file_mentions", 1.0))
    words = values.get("words", float(len(text.split())))
    return (
        min(2 * files, 4)
        + min(words / 50, 3)
        + 3 * bool(ALGORITHM.search(text))
        + 2 * bool(REFACTOR.search(text))
        + bool(BUG.search(text))
    )


class RulesKnobs(Knobs):
    """Knobs of ``rules``."""

    easy_words: int = Field(default=60, ge=0)
    """Shorter issues that name a file go to the cheap tier."""
    hard: float = 7.0
    """Complexity from which an issue goes to the strong tier."""


class RulesPolicy(SingleTierPolicy[RulesKnobs]):
    """Readable rules, first match wins: shown fix, short, complex, feature request, else middle."""

    name: ClassVar[str] = "rules"
    source: ClassVar[str] = (
        "vLLM Semantic Router: signals to rules (github.com/vllm-project/semantic-router)"
    )
    maturity: ClassVar[str] = "baseline"
    knobs_type: ClassVar[type[Knobs]] = RulesKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple({"hard": x} for x in (4.0, 5.0, 6.0, 8.0))

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The first rule that matches."""
        low, middle, high = three_rungs(len(self.ladder))
        values = require_values(features)
        if values.get("diff") or values.get("fix_hints", 0) >= 3:
            return TierChoice(low, "rule: the issue shows the fix")
        if values.get("words", 0) < self.knobs.easy_words and values.get("file_mentions"):
            return TierChoice(low, "rule: short, and it names the file")
        if values.get("complexity", 0) >= self.knobs.hard:
            return TierChoice(high, f"rule: complexity {values.get('complexity', 0):.1f}")
        if values.get("feature_words", 0) > values.get("bug_words", 0):
            return TierChoice(high, "rule: it asks for something new")
        return TierChoice(middle, "rule: nothing speaks for another tier")
