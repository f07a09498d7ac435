"""MixLLM (arXiv 2502.18482): predicted quality and cost plus an upper confidence bonus, online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.estimators import by_forest, cost
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs, is_infra_failure, rung_of
from swe_router.policies.learned import Learned
from swe_router.policies.predicted.utility import UtilityKnobs
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import BudgetView, Features, RunRecord
from swe_router.stats.arrays import Floats


class MixLlmKnobs(UtilityKnobs):
    """Knobs of ``mixllm``."""

    bonus: float = Field(default=1.0, ge=0)
    """Weight of the forest's spread: the confidence bonus."""
    rate: float = Field(default=0.05, ge=0, le=1)
    """How fast a tier's quality is corrected by the verdicts that it gets."""


class MixLlm(Learned[MixLlmKnobs], SingleShot[MixLlmKnobs]):
    """argmax value * (quality + correction + bonus * spread) - cost; corrected run by run.

    The reward of the correction is the verifier's verdict, the only one a live run has.
    """

    name: ClassVar[str] = "mixllm"
    source: ClassVar[str] = "MixLLM (arXiv 2502.18482), section 3"
    surrogate: ClassVar[str] = "random forest on text and graph features for tuned BERT and tags"
    maturity: ClassVar[str] = "research"
    sequential: ClassVar[bool] = True
    knobs_type: ClassVar[type[Knobs]] = MixLlmKnobs
    _shifts: tuple[float, ...] = ()

    def learn(self, lessons: Training) -> None:
        """Fit forest and cost."""
        by_forest(lessons)
        cost(lessons)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Mean, spread and cost of each tier, (n, 3 m)."""
        mean, spread = by_forest(lessons)(batch)
        return np.hstack([mean, spread, cost(lessons)(batch)])

    def choose(self, features: Features, purse: BudgetView) -> Choice:
        """The best upper bound on the utility."""
        mean, spread, usd = np.split(self.seen(features), 3)
        shifts = np.array(self._shifts or [0.0] * len(self.ladder))
        hope = np.clip(mean + shifts + self.knobs.bonus * spread, 0, 1)
        gains = self.knobs.value * hope - usd
        rung = int(np.argmax(gains))
        return Choice(rung, f"mixllm: upper bound {hope[rung]:.2f} for ${usd[rung]:.3f}")

    def update(self, record: RunRecord) -> Self:
        """Move the tier's correction towards what the verifier said of its first run."""
        told = [
            o for o in record.outcomes if rung_of(self.ladder, o) >= 0 and not is_infra_failure(o)
        ]
        if not told:
            return self
        outcome = told[0]
        rung = rung_of(self.ladder, outcome)
        shifts = list(self._shifts or [0.0] * len(self.ladder))
        mean = self.seen(record.features)[rung]
        shifts[rung] += self.knobs.rate * (float(outcome.accepted) - mean - shifts[rung])
        return self._with(_shifts=tuple(shifts))

    def state(self) -> Mapping[str, Any]:
        """What it was fitted on, and the corrections."""
        return {**super().state(), "shifts": list(self._shifts)}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """With the corrections of a state."""
        return super().restored(state)._with(_shifts=tuple(state.get("shifts", ())))
