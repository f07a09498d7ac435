"""PickLLM (arXiv 2412.12170): one arm for all issues, learned online from rewards.

It ignores the issue. The reward uses what a live run knows: the verifier's verdict and the cost,
never the official result.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from pydantic import Field

from swe_router.policies.base import Knobs, is_infra_failure, rung_of, seeded_draw
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import BudgetView, Features, Outcome, RunRecord


class PickLlmKnobs(Knobs):
    """Knobs of both PickLLM policies."""

    rate: float = Field(default=0.1, gt=0, le=1)
    """Learning rate (eta of the automaton, alpha of the Q values)."""
    price: float = Field(default=0.3, ge=0)
    """Reward lost per USD: w_c."""
    latency: float = Field(default=0.0, ge=0)
    """Reward lost per unit of log(1 + seconds): w_l."""


class PickLlmQKnobs(PickLlmKnobs):
    """Knobs of ``pickllm-q``."""

    explore: float = Field(default=0.1, ge=0, le=1)
    """Share of issues on which it tries a tier at random."""


K = TypeVar("K", bound=PickLlmKnobs)


class PickLlm(SingleTierPolicy[K]):
    """One weight per rung, updated by the reward of each issue's first run."""

    maturity: ClassVar[str] = "research; converges to one tier"
    sequential: ClassVar[bool] = True
    _weights: tuple[float, ...] = ()

    @property
    def weights(self) -> tuple[float, ...]:
        """Weight of each rung."""
        return self._weights or self.initial_weights()

    def initial_weights(self) -> tuple[float, ...]:
        """Weights before any update."""
        raise NotImplementedError

    def updated_weights(self, rung: int, reward: float) -> list[float]:
        """New weights after a reward."""
        raise NotImplementedError

    def reward(self, outcome: Outcome) -> float:
        """R = accepted - w_c USD - w_l log(1 + seconds)."""
        cost = float(outcome.attempt.trajectory.usd)
        late = math.log1p(max(0.0, outcome.attempt.seconds))
        return float(outcome.accepted) - self.knobs.price * cost - self.knobs.latency * late

    def update(self, record: RunRecord) -> Self:
        """Learn from the first run of an issue that is evidence about its tier."""
        informative = [
            o for o in record.outcomes if rung_of(self.ladder, o) >= 0 and not is_infra_failure(o)
        ]
        if not informative:
            return self
        weights = self.updated_weights(
            rung_of(self.ladder, informative[0]), self.reward(informative[0])
        )
        return self.restored({"weights": weights})

    def state(self) -> Mapping[str, Any]:
        """The weights."""
        return {"weights": list(self.weights)}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """With the weights of a state."""
        made = copy.copy(self)
        object.__setattr__(made, "_weights", tuple(state.get("weights", ())))
        return made


class PickLlmAutomaton(PickLlm[PickLlmKnobs]):
    """Linear reward-inaction: p_i += eta R (1 - p_i), p_j -= eta R p_j."""

    name: ClassVar[str] = "pickllm-automaton"
    source: ClassVar[str] = "PickLLM (arXiv 2412.12170), section 3.3: learning automaton"
    knobs_type: ClassVar[type[Knobs]] = PickLlmKnobs

    def initial_weights(self) -> tuple[float, ...]:
        """Weights before any update."""
        return tuple([1 / len(self.ladder)] * len(self.ladder))

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """A rung drawn by its probability."""
        drawn, below = seeded_draw(self.knobs.seed, features.instance_id), 0.0
        for rung, weight in enumerate(self.weights):
            below += weight
            if drawn < below:
                return TierChoice(rung, f"drawn with probability {weight:.3f}", max(weight, 1e-9))
        last = len(self.ladder) - 1
        return TierChoice(last, "drawn", max(self.weights[last], 1e-9))

    def reward(self, outcome: Outcome) -> float:
        """Clipped to [0, 1], as the automaton needs it."""
        return float(np.clip(super().reward(outcome), 0, 1))

    def updated_weights(self, rung: int, reward: float) -> list[float]:
        """New weights after a reward in [0, 1]."""
        step = self.knobs.rate * reward
        return [
            weight + step * (1 - weight) if place == rung else weight - step * weight
            for place, weight in enumerate(self.weights)
        ]


class PickLlmQ(PickLlm[PickLlmQKnobs]):
    """Stateless Q: Q += alpha (R - Q) for the arm that was run; epsilon-greedy."""

    name: ClassVar[str] = "pickllm-q"
    source: ClassVar[str] = "PickLLM (arXiv 2412.12170), section 3.2: stateless Q-learning"
    knobs_type: ClassVar[type[Knobs]] = PickLlmQKnobs

    def initial_weights(self) -> tuple[float, ...]:
        """Optimistic initial values, so each tier is tried."""
        return tuple([1.0] * len(self.ladder))

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The highest value, or with probability ``explore`` any tier."""
        size, explore = len(self.ladder), self.knobs.explore
        best = int(np.argmax(self.weights))
        if seeded_draw(self.knobs.seed, features.instance_id, "explore") < explore:
            rung = int(seeded_draw(self.knobs.seed, features.instance_id, "arm") * size)
            chance = explore / size + (1 - explore) * (rung == best)
            return TierChoice(rung, "explores", chance)
        return TierChoice(best, f"Q {self.weights[best]:.3f}", 1 - explore + explore / size)

    def updated_weights(self, rung: int, reward: float) -> list[float]:
        """New values after a reward."""
        values = list(self.weights)
        values[rung] += self.knobs.rate * (reward - values[rung])
        return values
