"""The threshold: where it lies, how often its claim may break, and where none is shown."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from swe_router.estimates import bounds
from swe_router.estimates.bounds import Held


def drawn(n: int, wrong: int, repos: int = 5, author: str = "weak") -> list[Held]:
    dice = np.random.default_rng(n)
    return [
        Held(
            round(float(dice.beta(2, 4) if k < wrong else dice.beta(4, 2)), 4),
            k >= wrong,
            f"i{k}",
            f"r{k % repos}",
            author,
        )
        for k in range(n)
    ]


@settings(max_examples=25)
@given(st.integers(20, 80), st.integers(10, 60), st.sampled_from([0.1, 0.28, 0.5]))
def test_the_threshold_is_the_lowest_whose_bound_holds(n: int, wrong: int, most: float) -> None:
    held = drawn(n + wrong, wrong)
    found = bounds.threshold(held, most, 0.95)
    bad = sorted(one.score for one in held if not one.right)

    def holds(value: float) -> bool:
        # P(X <= accepted | wrong, most) <= 5%: the bound, by the binomial tail and no beta.
        return bool(binom.cdf(sum(score >= value for score in bad), wrong, most) <= 0.05)

    steps = [*sorted({one.score for one in held}), 1.0]
    lowest = next((value for value in steps if holds(value)), None)
    assert found.shown == (lowest is not None)
    if lowest is not None:
        assert holds(found.value)
        assert found.value <= lowest
        below = [value for value in steps if value < found.value]
        assert not below or not holds(below[-1])


def test_the_claim_is_broken_no_more_often_than_it_says() -> None:
    dice, broken, draws = np.random.default_rng(1), 0, 400
    for _ in range(draws):
        scores = dice.random(60)  # of wrong patches: above t lies a share of 1 - t of them
        held = [
            Held(round(float(score), 6), n >= 40, f"i{n}", f"r{n % 5}", "weak")
            for n, score in enumerate(scores)
        ]
        found = bounds.threshold(held, 0.28, 0.95)
        assert found.shown
        broken += 1 - found.value > 0.28
    assert 0 < broken <= binom.ppf(0.999, draws, 0.05)


def test_a_bound_is_refused_where_the_data_is_too_small() -> None:
    few = bounds.threshold(drawn(40, 9), 0.28, 0.95)
    assert not few.shown
    assert "not shown: only 9 wrong patches" in few.claim
    assert bounds.threshold(drawn(40, 10), 0.28, 0.95).shown
    two = bounds.threshold(drawn(60, 40, repos=2), 0.28, 0.95)
    assert not two.shown
    assert bounds.threshold((), 0.28, 0.95).value == bounds.NO_THRESHOLD


def test_runs_over_one_issue_are_one_witness() -> None:
    one = [Held(0.1, False, "i", f"r{n % 4}", "weak") for n in range(40)]
    assert not bounds.threshold(one, 0.28, 0.95).shown
    apart = [row._replace(instance=f"i{n}") for n, row in enumerate(one)]
    assert bounds.threshold(apart, 0.28, 0.95).shown
