"""PickLLM (arXiv 2412.12170): one arm for all, learned online from what each run earned.

It looks at nothing of the issue. The reward is what a live run can see: the verifier's verdict
and the cost, never the official result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from swe_router.policies.base import Knobs, draw, rung_of
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import Features, PurseView, RunRecord


class PickKnobs(Knobs):
    """Knobs of both learners."""

    rate: float = Field(default=0.1, gt=0, le=1)
    """Learning rate (eta of the automaton, alpha of the Q values)."""
    explore: float = Field(default=0.1, ge=0, le=1)
    """Share of issues on which the Q learner tries a tier at random."""
    price: float = Field(default=0.3, ge=0)
    """Reward lost per USD."""


class Automaton(SingleShot[PickKnobs]):
    """Linear reward-inaction: p_i += eta R (1 - p_i), p_j -= eta R p_j."""

    name: ClassVar[str] = "pickllm-automaton"
    source: ClassVar[str] = "PickLLM (arXiv 2412.12170), section 3.3: learning automaton"
    maturity: ClassVar[str] = "research; converges to one tier"
    sequential: ClassVar[bool] = True
    knobs_type: ClassVar[type[Knobs]] = PickKnobs
    _weights: tuple[float, ...] = ()

    @property
    def weights(self) -> tuple[float, ...]:
        """Probability of each rung (of the Q learner: its value)."""
        return self._weights or self.first()

    def first(self) -> tuple[float, ...]:
        """Weights before anything was learned."""
        return tuple([1 / len(self.ladder)] * len(self.ladder))

    def choose(self, features: Features, purse: PurseView) -> Choice:
        """A rung drawn by its probability."""
        drawn, below = draw(self.knobs.seed, features.instance_id), 0.0
        for rung, weight in enumerate(self.weights):
            below += weight
            if drawn < below:
                return Choice(rung, f"drawn with probability {weight:.3f}", max(weight, 1e-9))
        last = len(self.ladder) - 1
        return Choice(last, "drawn", max(self.weights[last], 1e-9))

    def update(self, record: RunRecord) -> Self:
        """Learn from the first run of an issue."""
        if not record.outcomes or rung_of(self.ladder, record.outcomes[0]) < 0:
            return self
        outcome = record.outcomes[0]
        cost = float(outcome.attempt.trajectory.usd)
        reward = float(np.clip(float(outcome.accepted) - self.knobs.price * cost, 0, 1))
        learned = self.learned(rung_of(self.ladder, outcome), reward)
        return self.restored({"weights": learned})

    def learned(self, rung: int, reward: float) -> list[float]:
        """New weights after a reward in [0, 1]."""
        step = self.knobs.rate * reward
        return [
            weight + step * (1 - weight) if place == rung else weight - step * weight
            for place, weight in enumerate(self.weights)
        ]

    def state(self) -> Mapping[str, Any]:
        """The weights."""
        return {"weights": list(self.weights)}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """With the weights of a state."""
        made = type(self)(self.ladder, **self.knobs.model_dump())
        object.__setattr__(made, "_weights", tuple(state.get("weights", ())))
        return made


class QLearner(Automaton):
    """Stateless Q: Q += alpha (R - Q) for the arm that was run; epsilon-greedy."""

    name: ClassVar[str] = "pickllm-q"
    source: ClassVar[str] = "PickLLM (arXiv 2412.12170), section 3.2: stateless Q-learning"

    def first(self) -> tuple[float, ...]:
        """Optimistic values, so that each tier is tried."""
        return tuple([1.0] * len(self.ladder))

    def choose(self, features: Features, purse: PurseView) -> Choice:
        """The highest value; now and then any tier."""
        size, explore = len(self.ladder), self.knobs.explore
        best = int(np.argmax(self.weights))
        if draw(self.knobs.seed, features.instance_id, "explore") < explore:
            rung = int(draw(self.knobs.seed, features.instance_id, "arm") * size)
            chance = explore / size + (1 - explore) * (rung == best)
            return Choice(rung, "explores", chance)
        return Choice(best, f"Q {self.weights[best]:.3f}", 1 - explore + explore / size)

    def learned(self, rung: int, reward: float) -> list[float]:
        """New values after a reward."""
        values = list(self.weights)
        values[rung] += self.knobs.rate * (reward - values[rung])
        return values
