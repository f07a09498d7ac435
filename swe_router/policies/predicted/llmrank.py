"""LLMRank (arXiv 2510.01234): rank tiers by utility = performance - lambda * cost, listwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from swe_router.estimates.prediction.estimators import numeric_features
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features
from swe_router.stats.arrays import Floats


class LlmRankKnobs(Knobs):
    """Knobs of ``llmrank``."""

    cost_weight: float = Field(default=1.0, ge=0)
    """lambda, per USD. The paper's 0, 1e3 and 1e5 belong to single prompts of about $1e-4."""


class LlmRank(LearnedPolicy[LlmRankKnobs], SingleTierPolicy[LlmRankKnobs]):
    """Linear scores of readable features, fitted to the utility and to its ranking."""

    name: ClassVar[str] = "llmrank"
    source: ClassVar[str] = "LLMRank (arXiv 2510.01234), section 3"
    surrogate: ClassVar[str] = "text and graph features for those that an LLM extracts"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = LlmRankKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"cost_weight": weight} for weight in (0.0, 0.1, 0.3, 3.0, 1e3, 1e5)
    )

    def learn(self, training: Training) -> None:
        """Fit the scores."""
        self._weights(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Score of each tier, (n, m)."""
        x = numeric_features(training).of(batch)
        scores: Floats = np.column_stack([np.ones(len(batch)), x]) @ self._weights(training)
        return scores

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The highest score; the cheaper tier of equals."""
        scores = self.prediction(features)
        rung = int(np.argmax(scores))
        return TierChoice(rung, f"llmrank: score {scores[rung]:+.3f}")

    def _weights(self, training: Training) -> Floats:
        weight = self.knobs.cost_weight

        def make(known: Training) -> Floats:
            x = np.column_stack([np.ones(len(known)), numeric_features(known).rows])
            return fit_score_weights(x, scaled_utility(known.rates, known.prices, weight))

        return training.fit(("llmrank", weight), make)


def scaled_utility(rate: Floats, usd: Floats, weight: float) -> Floats:
    """(performance - lambda cost) / max(1, lambda * mean cost), (n, m).

    The divisor changes no argmax; without it a high lambda would give one-hot targets only.
    """
    utility: Floats = (rate - weight * usd) / max(1.0, weight * float(usd.mean()))
    return utility


def fit_score_weights(x: Floats, utility: Floats, decay: float = 0.02) -> Floats:
    """Weights (features, m) of linear scores, the first row intercepts.

    They minimise the mean of the squared error against the utility (pointwise) plus
    KL(softmax(utility) || softmax(score)) (listwise) plus a ridge on all but the intercepts.
    """
    shape, target = (x.shape[1], utility.shape[1]), softmax(utility, axis=1)
    entropy = float((target * np.log(target + 1e-300)).sum(axis=1).mean())

    def loss(flat: Floats) -> tuple[float, Floats]:
        w = flat.reshape(shape)
        scores = x @ w
        logs = log_softmax(scores, axis=1)
        error = (scores - utility) / utility.shape[1]
        slope = x.T @ (np.exp(logs) - target + 2 * error) / len(x)
        slope[1:] += decay * w[1:]
        listwise = entropy - (target * logs).sum(axis=1).mean()
        pointwise = ((scores - utility) ** 2).mean()
        return float(listwise + pointwise + 0.5 * decay * (w[1:] ** 2).sum()), slope.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B")
    weights: Floats = found.x.reshape(shape)
    return weights
