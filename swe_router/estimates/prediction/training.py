"""Examples as arrays: what every estimator is fitted on, made once and fitted once per recipe."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred
from swe_router.records import Example, Features
from swe_router.records.known_features import require_text, require_values, value_or_nan
from swe_router.stats.arrays import Floats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

else:
    np = deferred("numpy")

F = TypeVar("F")


@dataclass(frozen=True, eq=False)
class Training:
    """Past issues in rows, the arms of the ladder in columns.

    Raises ``UsageError`` when an arm was never tried in the examples.
    """

    examples: tuple[Example, ...]
    arms: tuple[str, ...]
    whole: Training | None = field(default=None, repr=False)
    """The training that these are a part of, for what is learned without any outcome."""
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
    def rates(self) -> Floats:
        """``resolved`` with an arm's mean where it was not tried."""
        return _filled(self.resolved)

    @cached_property
    def prices(self) -> Floats:
        """``usd`` with an arm's mean where it is unknown: never $0.

        Raises ``UsageError`` when no cost of an arm is known.
        """
        for name, column in zip(self.arms, self.usd.T, strict=True):
            if np.isnan(column).all():
                raise UsageError(f"needs costs: the outcomes tell no USD of {name!r}")
        return _filled(self.usd)

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
        return [require_text(example.features) for example in self.examples]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Numeric features that every example has, sorted."""
        shared = set(require_values(self.features[0])) if self.features else set()
        for one in self.features[1:]:
            shared &= set(require_values(one))
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

    def without(self, rows: NDArray[np.intp]) -> Training:
        """The same without some issues; made once, so that its fits are shared too."""

        def cut(whole: Training) -> Training:
            left_out = set(rows.tolist())
            kept = tuple(e for i, e in enumerate(whole.examples) if i not in left_out)
            return Training(kept, whole.arms, whole.whole or whole)

        return self.fit(("without", rows.tobytes()), cut)

    def folds(self, most: int = 5) -> list[NDArray[np.intp]]:
        """Rows in at most ``most`` folds of whole repositories, as even as they come."""
        sizes = sorted(Counter(self.groups.tolist()).items(), key=lambda item: (-item[1], item[0]))
        piles: list[tuple[int, int, list[str]]] = [(0, n, []) for n in range(min(most, len(sizes)))]
        for name, size in sizes:
            total, number, names = min(piles)
            piles[number] = (total + size, number, [*names, name])
        return [np.flatnonzero(np.isin(self.groups, names)) for _, _, names in piles]

    def _mean(self, value: Callable[[Any], float | None]) -> Floats:
        out = np.full((len(self.examples), len(self.arms)), np.nan)
        for row, example in enumerate(self.examples):
            for column, arm in enumerate(self.arms):
                known = [v for run in example.runs.get(arm, ()) if (v := value(run)) is not None]
                if known:
                    out[row, column] = sum(known) / len(known)
        return out


_KEPT: dict[tuple[tuple[int, ...], tuple[str, ...]], Training] = {}


def make_training(examples: Sequence[Example], arms: Sequence[str]) -> Training:
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


def _filled(rows: Floats) -> Floats:
    out: Floats = np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows)
    return out


def values_of(features: Features, names: Sequence[str]) -> list[float]:
    """The named numeric features of an issue; NaN where it has none."""
    return [float(value_or_nan(features, name)) for name in names]


def out_of_fold(
    training: Training, predict: Callable[[Training, Sequence[Features]], Floats]
) -> Floats:
    """Predictions (n, any) for each issue by a fit that never saw its repository.

    ``predict(rest, features)`` fits on the rest and predicts. With a single repository there is
    no such fit: the predictions are NaN. The rest of a fold may lack an arm: NaN as well.
    """
    out: Floats | None = None
    for rows in training.folds():
        if len(rows) == len(training):
            break
        try:
            made = predict(training.without(rows), [training.features[row] for row in rows])
        except UsageError:  # an arm that only these repositories were tried with
            continue
        out = np.full((len(training), made.shape[1]), np.nan) if out is None else out
        out[rows] = made
    return np.full((len(training), 1), np.nan) if out is None else out
