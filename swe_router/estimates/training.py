"""Examples as arrays: what every estimator is fitted on, made once and fitted once per recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from swe_router.errors import UsageError
from swe_router.records import Example, Features

Floats = NDArray[np.float64]
F = TypeVar("F")


@dataclass(frozen=True, eq=False)
class Training:
    """Past issues in rows, the arms of the ladder in columns.

    Raises ``UsageError`` when an arm was never tried in the examples.
    """

    examples: tuple[Example, ...]
    arms: tuple[str, ...]
    _fits: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for number, arm in enumerate(self.arms):
            if not len(self) or np.isnan(self.resolved[:, number]).all():
                raise UsageError(
                    f"nothing to learn from: the outcomes hold no run of {arm!r};"
                    " name a system that they hold (--policy-set systems.TIER=SYSTEM)"
                )

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def resolved(self) -> Floats:
        """Share of an arm's runs on an issue that resolve it, (n, m); NaN where it has none."""
        return self._mean(lambda run: float(run.resolved))

    @cached_property
    def usd(self) -> Floats:
        """Mean USD of an arm's runs on an issue, (n, m); NaN where unknown."""
        return self._mean(lambda run: run.usd)

    @cached_property
    def steps(self) -> Floats:
        """Mean steps of an arm's runs on an issue, (n, m); NaN where unknown."""
        return self._mean(lambda run: run.steps)

    @cached_property
    def passes(self) -> Floats:
        """Mean probability that the verifier passes the patch, (n, m); NaN where unknown."""
        return self._mean(lambda run: run.passes)

    @cached_property
    def groups(self) -> NDArray[np.str_]:
        """Repository of each issue, (n,)."""
        return np.array([example.group for example in self.examples])

    @cached_property
    def features(self) -> tuple[Features, ...]:
        """The features of each issue."""
        return tuple(example.features for example in self.examples)

    @cached_property
    def texts(self) -> list[str]:
        """The issue texts."""
        return [example.features.text for example in self.examples]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Numeric features that every example has, sorted."""
        shared = set(self.features[0].values) if self.features else set()
        for one in self.features[1:]:
            shared &= set(one.values)
        return tuple(sorted(shared))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of examples and arms: what a fit on them depends on."""
        known = hashlib.sha256("\x00".join(self.arms).encode())
        for example in self.examples:
            known.update(example.model_dump_json().encode())
        return known.hexdigest()

    def arm(self, name: str) -> int:
        """Column of an arm."""
        return self.arms.index(name)

    def fit(self, recipe: tuple[Any, ...], make: Callable[[Training], F]) -> F:
        """``make(self)``, made once per recipe: knobs that only move a threshold share a fit."""
        if recipe not in self._fits:
            self._fits[recipe] = make(self)
        made: F = self._fits[recipe]
        return made

    def without(self, group: str) -> Training:
        """The same without one repository; made once, so that its fits are shared too."""

        def cut(whole: Training) -> Training:
            kept = tuple(e for e in whole.examples if e.group != group)
            return Training(kept, whole.arms)

        return self.fit(("without", group), cut)

    def _mean(self, value: Callable[[Any], float | None]) -> Floats:
        out = np.full((len(self.examples), len(self.arms)), np.nan)
        for row, example in enumerate(self.examples):
            for column, arm in enumerate(self.arms):
                known = [v for run in example.runs.get(arm, ()) if (v := value(run)) is not None]
                if known:
                    out[row, column] = sum(known) / len(known)
        return out


_KEPT: dict[tuple[tuple[int, ...], tuple[str, ...]], Training] = {}


def training(examples: Sequence[Example], arms: Sequence[str]) -> Training:
    """The examples as arrays; the same tuple of examples gives the same object, fits and all."""
    made = tuple(examples)
    key = (tuple(map(id, made)), tuple(arms))
    found = _KEPT.get(key)
    if found is not None and all(a is b for a, b in zip(found.examples, made, strict=True)):
        return found
    if len(_KEPT) > 64:
        _KEPT.clear()
    _KEPT[key] = Training(made, tuple(arms))
    return _KEPT[key]


def values_of(features: Features, names: Sequence[str]) -> list[float]:
    """The named numeric features of an issue; 0 where it has none."""
    known: Mapping[str, float] = features.values
    return [float(known.get(name, 0.0)) for name in names]


def out_of_fold(
    training_: Training, predict: Callable[[Training, Sequence[Features]], Floats]
) -> Floats:
    """Predictions (n, m) for each issue by a fit that never saw its repository.

    ``predict(rest, features)`` fits on the rest and predicts. With a single repository there is
    no such fit: every prediction is NaN.
    """
    out = np.full((len(training_), len(training_.arms)), np.nan)
    groups = training_.groups
    for group in sorted(set(groups.tolist())):
        rows = np.flatnonzero(groups == group)
        if len(rows) < len(training_):
            chosen = [training_.features[row] for row in rows]
            try:
                rest = training_.without(group)
            except UsageError:  # an arm that only this repository was tried with
                continue
            out[rows] = predict(rest, chosen)
    return out
