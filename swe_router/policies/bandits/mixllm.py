"""MixLLM (arXiv 2502.18482): predicted quality and cost plus an upper confidence bonus, online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.estimators import expected_cost, quality_by_forest
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs, is_infra_failure, rung_of
from swe_router.policies.learned import LearnedPolicy
from swe_router.policies.predicted.utility import UtilityKnobs
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features, RunRecord
from swe_router.stats.arrays import Floats


class MixLlmKnobs(UtilityKnobs):
    """Knobs of ``mixllm``."""

    bonus: float = Field(default=1.0, ge=0)
    """Weight of the forest's spread: the confidence bonus."""
    rate: float = Field(default=0.05, ge=0, le=1)
    """Learning rate of a tier's quality correction."""


class MixLlm(LearnedPolicy[MixLlmKnobs], SingleTierPolicy[MixLlmKnobs]):
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

    def learn(self, training: Training) -> None:
        """Fit forest and cost."""
        quality_by_forest(training)
        expected_cost(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Mean, spread and cost of each tier, (n, 3 m)."""
        mean, spread = quality_by_forest(training)(batch)
        return np.hstack([mean, spread, expected_cost(training)(batch)])

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The best upper bound on the utility."""
        mean, spread, usd = np.split(self.prediction(features), 3)
        shifts = np.array(self._shifts or [0.0] * len(self.ladder))
        bound = np.clip(mean + shifts + self.knobs.bonus * spread, 0, 1)
        gains = self.knobs.value * bound - usd
        rung = int(np.argmax(gains))
        return TierChoice(rung, f"mixllm: upper bound {bound[rung]:.2f} for ${usd[rung]:.3f}")

    def update(self, record: RunRecord) -> Self:
        """Move the tier's correction towards the verdict on its first run."""
        informative = [
            o for o in record.outcomes if rung_of(self.ladder, o) >= 0 and not is_infra_failure(o)
        ]
        if not informative:
            return self
        outcome = informative[0]
        rung = rung_of(self.ladder, outcome)
        shifts = list(self._shifts or [0.0] * len(self.ladder))
        mean = self.prediction(record.features)[rung]
        shifts[rung] += self.knobs.rate * (float(outcome.accepted) - mean - shifts[rung])
        return self._with(_shifts=tuple(shifts))

    def state(self) -> Mapping[str, Any]:
        """What it was fitted on, and the corrections."""
        return {**super().state(), "shifts": list(self._shifts)}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """With the corrections of a state."""
        return super().restored(state)._with(_shifts=tuple(state.get("shifts", ())))
