"""The one logistic regression of the house finds the best weights that its signs allow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from swe_router.estimates.prediction.run_scorer import WeightedRuns, _fit_weights
from swe_router.stats.logistic import SignedPrior, fit_logistic, sigmoid
from swe_router.stats.rates import clopper_pearson_upper


def problem(seed):
    dice = np.random.default_rng(seed)
    n, k = int(dice.integers(1, 200)), int(dice.integers(1, 12))
    x = dice.normal(size=(n, k)) * 10 ** dice.uniform(-1, 1, k)
    right = (dice.random(n) < dice.random()).astype(float)
    ways = dice.integers(-1, 2, k)
    signs = [
        SignedPrior(
            str(i), int(way), float(way * abs(dice.normal())), float(10 ** dice.uniform(-1, 2))
        )
        for i, way in enumerate(ways)
    ]
    return x, right, dice.random(n), signs


@pytest.mark.parametrize("seed", range(12))
def test_no_other_weights_within_the_signs_are_better(seed):
    x, right, weight, signs = problem(seed)
    bias, found = fit_logistic(x, right, weight, signs, 0.5)
    table = np.column_stack([np.ones(len(x)), x])
    prior = np.array([0.5, *(sign.prior for sign in signs)])
    strength = np.array([1.0, *(sign.strength for sign in signs)])

    def loss(w):
        z = table @ w
        return weight @ (np.logaddexp(0, z) - right * z) + 0.5 * strength @ (w - prior) ** 2

    def slope(w):
        return table.T @ (weight * (sigmoid(table @ w) - right)) + strength * (w - prior)

    best = np.array([bias, *found])
    bounds = [(None, None), *((0 if s.way > 0 else None, 0 if s.way < 0 else None) for s in signs)]
    other = optimize.minimize(loss, best * 0.5, jac=slope, bounds=bounds, method="L-BFGS-B").x
    assert loss(best) <= loss(other) + 1e-9
    assert all(sign.way * w >= 0 for sign, w in zip(signs, found, strict=True))
    inside = np.array([True, *(s.way == 0 or w != 0 for s, w in zip(signs, found, strict=True))])
    assert slope(best)[inside] == pytest.approx(0, abs=1e-6)


def test_a_row_of_twice_the_weight_is_two_rows():
    x, right, _, signs = problem(3)
    once = fit_logistic(
        np.vstack([x, x[:5]]), np.append(right, right[:5]), np.ones(len(x) + 5), signs
    )
    weight = np.ones(len(x))
    weight[:5] = 2
    twice = fit_logistic(x, right, weight, signs)
    assert once[0] == pytest.approx(twice[0], abs=1e-8)
    assert once[1] == pytest.approx(twice[1], abs=1e-8)


def test_the_verifiers_word_against_a_run_never_lowers_its_score():
    dice = np.random.default_rng(0)
    z = dice.normal(size=(80, 4))
    right = (z[:, 3] < 0).astype(float)  # the more sure the verifiers, the more often wrong
    runs = WeightedRuns(z, right, np.ones(80), np.zeros(80))
    assert _fit_weights(z, runs)[-1] == 0
    runs = WeightedRuns(z, 1 - right, np.ones(80), np.zeros(80))
    assert _fit_weights(z, runs)[-1] > 1


def test_the_bound_takes_many_counts_at_once_and_fractions_between_them():
    whole = clopper_pearson_upper([0, 1, 2, 10], 10, 0.05)
    assert whole == pytest.approx([0.258866, 0.394163, 0.506901, 1.0], abs=1e-6)
    assert whole[0] < clopper_pearson_upper(0.5, 10, 0.05) < whole[1]
