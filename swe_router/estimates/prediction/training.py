"""Training data as arrays, with a cache of the fits made on it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from swe_router.errors import UsageError
from swe_router.lazy_imports import deferred_module
from swe_router.records import Example, Features
from swe_router.records.known_features import require_text, require_values, value_or_nan
from swe_router.stats.arrays import Floats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

else:
    np = deferred_module("numpy")

F = TypeVar("F")


@dataclass(frozen=True, eq=False)
class Training:
    """Past issues in rows, the arms of the ladder in columns.

    Raises ``UsageError`` when an arm was never tried in the examples.
    """

    examples: tuple[Example, ...]
    arms: tuple[str, ...]
    complete: Training | None = field(default=None, repr=False)
    """The training data that this is a part of, for fits that use no outcomes."""
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
        return _with_arm_means(self.resolved)

    @cached_property
    def prices(self) -> Floats:
        """``usd`` with an arm's mean where it is unknown: never $0.

        Raises ``UsageError`` when no cost of an arm is known.
        """
        for name, column in zip(self.arms, self.usd.T, strict=True):
            if np.isnan(column).all():
                raise UsageError(f"needs costs: the outcomes tell no USD of {name!r}")
        return _with_arm_means(self.usd)

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
        """``make(self)``, cached per recipe: knobs that only move a threshold share a fit."""
        if recipe not in self._fits:
            self._fits[recipe] = make(self)
        made: F = self._fits[recipe]
        return made

    def without(self, rows: NDArray[np.intp]) -> Training:
        """The training data without some issues; cached, so its fits are shared too."""

        def part(known: Training) -> Training:
            left_out = set(rows.tolist())
            kept = tuple(e for i, e in enumerate(known.examples) if i not in left_out)
            return Training(kept, known.arms, known.complete or known)

        return self.fit(("without", rows.tobytes()), part)

    def folds(self, max_folds: int = 5) -> list[NDArray[np.intp]]:
        """Rows in at most ``max_folds`` folds of whole repositories, of similar sizes."""
        sizes = sorted(Counter(self.groups.tolist()).items(), key=lambda item: (-item[1], item[0]))
        folds: list[tuple[int, int, list[str]]] = [
            (0, n, []) for n in range(min(max_folds, len(sizes)))
        ]
        for name, size in sizes:
            total, number, names = min(folds)
            folds[number] = (total + size, number, [*names, name])
        return [np.flatnonzero(np.isin(self.groups, names)) for _, _, names in folds]

    def _mean(self, value: Callable[[Any], float | None]) -> Floats:
        out = np.full((len(self.examples), len(self.arms)), np.nan)
        for row, example in enumerate(self.examples):
            for column, arm in enumerate(self.arms):
                known = [v for run in example.runs.get(arm, ()) if (v := value(run)) is not None]
                if known:
                    out[row, column] = sum(known) / len(known)
        return out


_MADE: dict[tuple[tuple[int, ...], tuple[str, ...]], Training] = {}


def make_training(examples: Sequence[Example], arms: Sequence[str]) -> Training:
    """The examples as arrays; the same examples give the same object with its cached fits."""
    given = tuple(examples)
    key = (tuple(map(id, given)), tuple(arms))
    found = _MADE.get(key)
    if found is not None and all(a is b for a, b in zip(found.examples, given, strict=True)):
        return found
    if len(_MADE) > 64:
        _MADE.clear()
    _MADE[key] = Training(given, tuple(arms))
    return _MADE[key]


def _with_arm_means(rows: Floats) -> Floats:
    out: Floats = np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows)
    return out


def feature_values(features: Features, names: Sequence[str]) -> list[float]:
    """The named numeric features of an issue; NaN where it has none."""
    return [float(value_or_nan(features, name)) for name in names]


def out_of_fold_predictions(
    training: Training, predict: Callable[[Training, Sequence[Features]], Floats]
) -> Floats:
    """Predictions (n, any) for each issue by a fit without its repository.

    ``predict(rest, features)`` fits on the rest and predicts. Predictions are NaN with a single
    repository, and for a fold whose rest lacks an arm.
    """
    out: Floats | None = None
    for rows in training.folds():
        if len(rows) == len(training):
            break
        try:
            made = predict(training.without(rows), [training.features[row] for row in rows])
        except UsageError:  # only these repositories have runs of an arm
            continue
        out = np.full((len(training), made.shape[1]), np.nan) if out is None else out
        out[rows] = made
    return np.full((len(training), 1), np.nan) if out is None else out
