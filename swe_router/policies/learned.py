"""Base of every learned policy: fit once, predict a batch at once, then look predictions up.

``state`` is the digest of the training data: a replay with other training data raises.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.prediction.training import Training, make_training
from swe_router.policies.base import Knobs, LadderPolicy
from swe_router.records import Budget, Example, Features
from swe_router.stats.arrays import Floats

K = TypeVar("K", bound=Knobs)


class LearnedPolicy(LadderPolicy[K]):
    """A ladder policy with a fit: implement ``learn`` and ``predict``, read ``prediction``.

    Equality ignores the fit: two policies with the same ladder and knobs are equal.
    """

    _training: Training | None = None
    _predictions: Mapping[str, tuple[Features, Floats]] | None = None

    def learn(self, training: Training) -> None:
        """Fit all that needs no issue of the run; may raise ``UsageError``."""

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """What a decision is based on, one row per issue: (len(batch), any width)."""
        raise NotImplementedError

    def fitted(self, examples: Sequence[Example]) -> Self:
        """The policy, fitted on past issues. Raises ``UsageError`` when these are insufficient."""
        training = make_training(examples, [str(plan.arm) for plan in self.ladder])
        self.learn(training)
        return self._with(_training=training, _predictions=None)

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """The policy with predictions for the whole batch."""
        rows = self.predict(self.training, batch) if batch else np.zeros((0, 0))
        pairs = zip(batch, rows, strict=True)
        return self._with(_predictions={one.instance_id: (one, row) for one, row in pairs})

    def prediction(self, features: Features) -> Floats:
        """The prediction for an issue: from the batch, or computed anew if its features changed."""
        known = (self._predictions or {}).get(features.instance_id)
        if known is not None and (known[0] is features or known[0] == features):
            return known[1]
        row: Floats = self.predict(self.training, [features])[0]
        return row

    @property
    def training(self) -> Training:
        """The training data. Raises ``UsageError`` when the policy was not fitted."""
        if self._training is None:
            raise UsageError(
                f"policy {self.name!r} learns from recorded outcomes and was given none:"
                " --policy-set outcomes=FILE"
            )
        return self._training

    def state(self) -> Mapping[str, Any]:
        """Digest of the training data."""
        return {"fitted_on": self.training.digest}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """Itself. Raises ``UsageError`` when the recorded policy had other training data."""
        if state.get("fitted_on") not in (None, self.training.digest):
            raise UsageError(
                f"policy {self.name!r} was fitted on other outcomes when this was recorded"
                f" ({state['fitted_on'][:12]}, now {self.training.digest[:12]})"
            )
        return self

    def _with(self, **attributes: Any) -> Self:
        made = copy.copy(self)
        for name, value in attributes.items():
            object.__setattr__(made, name, value)
        return made
