"""What every learned policy shares: fitted once, predicting a batch at once, then looking up.

``state`` is the digest of what it was fitted on: a replay that fits on something else is told so.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from swe_router.errors import UsageError
from swe_router.estimates.prediction.training import Training, training
from swe_router.policies.base import Knobs, LadderPolicy
from swe_router.records import Budget, Example, Features
from swe_router.stats.arrays import Floats

K = TypeVar("K", bound=Knobs)


class Learned(LadderPolicy[K]):
    """A ladder policy with a fit. Say ``learn`` and ``predict``; read ``self.seen(features)``.

    The fit is no part of the value that two policies are compared by: two made with the same
    ladder, knobs and examples are equal in all they do.
    """

    _lessons: Training | None = None
    _seen: Mapping[str, tuple[Features, Floats]] | None = None

    def learn(self, lessons: Training) -> None:
        """Fit what can be fitted before any issue is known; may raise ``UsageError``."""

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """What the decision is taken on, a row an issue: (len(batch), any width)."""
        raise NotImplementedError

    def fitted(self, examples: Sequence[Example]) -> Self:
        """The policy, fitted on past issues. Raises ``UsageError`` when they do not serve."""
        lessons = training(examples, [str(plan.arm) for plan in self.ladder])
        self.learn(lessons)
        return self._with(_lessons=lessons, _seen=None)

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """The policy with its predictions for the whole batch made at once."""
        rows = self.predict(self.lessons, batch) if batch else np.zeros((0, 0))
        pairs = zip(batch, rows, strict=True)
        seen = {one.instance_id: (one, row) for one, row in pairs}
        return self._with(_seen=seen)

    def seen(self, features: Features) -> Floats:
        """The prediction for an issue: from the batch, or made now when more is known since."""
        known = (self._seen or {}).get(features.instance_id)
        if known is not None and (known[0] is features or known[0] == features):
            return known[1]
        row: Floats = self.predict(self.lessons, [features])[0]
        return row

    @property
    def lessons(self) -> Training:
        """What it was fitted on. Raises ``UsageError`` when it was not."""
        if self._lessons is None:
            raise UsageError(
                f"policy {self.name!r} learns from recorded outcomes and was given none:"
                " --policy-set outcomes=FILE"
            )
        return self._lessons

    def state(self) -> Mapping[str, Any]:
        """Digest of what it was fitted on."""
        return {"fitted_on": self.lessons.digest}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """Itself. Raises ``UsageError`` when it was fitted on something else than it was then."""
        if state.get("fitted_on") not in (None, self.lessons.digest):
            raise UsageError(
                f"policy {self.name!r} was fitted on other outcomes when this was recorded"
                f" ({state['fitted_on'][:12]}, now {self.lessons.digest[:12]})"
            )
        return self

    def _with(self, **attributes: Any) -> Self:
        made = copy.copy(self)
        for name, value in attributes.items():
            object.__setattr__(made, name, value)
        return made
