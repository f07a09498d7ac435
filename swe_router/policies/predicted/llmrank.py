"""LLMRank (arXiv 2510.01234): rank tiers by utility = performance - lambda * cost, listwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from swe_router.estimates.recipes import numbers
from swe_router.estimates.training import Floats, Training
from swe_router.policies.base import Knobs
from swe_router.policies.learned import Learned
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import Features, PurseView


class LlmRankKnobs(Knobs):
    """Knobs of ``llmrank``."""

    cost_weight: float = Field(default=1.0, ge=0)
    """lambda, per USD. The paper's 0, 1e3 and 1e5 belong to single prompts of about $1e-4."""


class LlmRank(Learned[LlmRankKnobs], SingleShot[LlmRankKnobs]):
    """Linear scores of readable features, fitted by KL divergence to softmax(utility)."""

    name: ClassVar[str] = "llmrank"
    source: ClassVar[str] = "LLMRank (arXiv 2510.01234), section 3"
    surrogate: ClassVar[str] = "text and graph features for those that an LLM extracts"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = LlmRankKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"cost_weight": weight} for weight in (0.0, 0.1, 0.3, 3.0, 1e3, 1e5)
    )

    def learn(self, lessons: Training) -> None:
        """Fit the scores."""
        self._weights(lessons)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Score of each tier, (n, m)."""
        x = numbers(lessons).of(batch)
        scores: Floats = np.column_stack([np.ones(len(batch)), x]) @ self._weights(lessons)
        return scores

    def choose(self, features: Features, purse: PurseView) -> Choice:
        """The highest score; the cheaper tier of equals."""
        scores = self.seen(features)
        rung = int(np.argmax(scores))
        return Choice(rung, f"llmrank: score {scores[rung]:+.3f}")

    def _weights(self, lessons: Training) -> Floats:
        weight = self.knobs.cost_weight

        def make(known: Training) -> Floats:
            utility = np.nan_to_num(known.resolved) - weight * np.nan_to_num(known.usd)
            target = softmax(utility / max(1.0, float(np.abs(utility).max())) * 3, axis=1)
            x = np.column_stack([np.ones(len(known)), numbers(known).rows])
            shape = (x.shape[1], len(known.arms))

            def loss(flat: Floats) -> tuple[float, Floats]:
                w = flat.reshape(shape)
                logs = log_softmax(x @ w, axis=1)
                slope = x.T @ (np.exp(logs) - target) / len(x)
                penalty = 0.02 * w[1:]
                slope[1:] += penalty
                kl = -(target * logs).sum() / len(x) + 0.5 * float((penalty * w[1:]).sum())
                return float(kl), slope.ravel()

            found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B")
            fitted: Floats = found.x.reshape(shape)
            return fitted

        return lessons.fit(("llmrank", weight), make)
