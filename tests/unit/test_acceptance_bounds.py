"""The threshold: where it lies, how often its claim may break, and where none is shown."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import binom, norm

from swe_router.estimates.acceptance import selective_threshold
from swe_router.estimates.acceptance.selective_threshold import HeldOutPatch


def drawn(n: int, wrong: int, repos: int = 5, author: str = "weak") -> list[HeldOutPatch]:
    dice = np.random.default_rng(n)
    return [
        HeldOutPatch(
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
    found = selective_threshold.find_threshold(held, most, 0.95)
    bad = [one for one in held if not one.right]

    def holds(value: float) -> bool:
        # P(X <= accepted | wrong, most) <= 5%: the bound, by the binomial tail and no beta.
        rests = [[one.score for one in bad if one.repo != f"r{left}"] for left in range(5)]
        tails = [binom.cdf(sum(s >= value for s in rest), len(rest), most) for rest in rests]
        return bool(max(tails) <= 0.05)

    steps = [*sorted({one.score for one in held}), 1.0]
    lowest = next((value for value in steps if holds(value)), None)
    assert found.shown == (lowest is not None)
    if lowest is not None:
        assert float(found.claim.split("<= ")[1][:4]) <= most + 0.01
        assert holds(found.value)
        assert found.value <= lowest
        below = [value for value in steps if value < found.value]
        assert not below or not holds(below[-1])


def test_the_claim_is_broken_no_more_often_than_it_says() -> None:
    dice, broken, draws = np.random.default_rng(1), 0, 400
    for _ in range(draws):
        scores = dice.random(60)  # of wrong patches: above t lies a share of 1 - t of them
        held = [
            HeldOutPatch(round(float(score), 6), n >= 40, f"i{n}", f"r{n % 5}", "weak")
            for n, score in enumerate(scores)
        ]
        found = selective_threshold.find_threshold(held, 0.28, 0.95)
        assert found.shown
        broken += 1 - found.value > 0.28
    assert broken <= binom.ppf(0.999, draws, 0.05)


def shifted(dice: np.random.Generator, sizes: list[int]) -> list[HeldOutPatch]:
    """Wrong and right patches of repositories whose scores lie apart by half a deviation."""
    made = []
    for repo, count in enumerate(sizes):
        shift = dice.normal(0, 0.5)
        for n in range(2 * count):
            score = 1 / (1 + np.exp(-dice.normal(shift + n % 2, 1)))
            name = f"{repo}-{n}"
            made.append(HeldOutPatch(round(float(score), 6), bool(n % 2), name, f"r{repo}", "weak"))
    return made


def test_a_bound_is_not_claimed_of_repositories_on_the_strength_of_one() -> None:
    dice = np.random.default_rng(2)
    assert not any(
        selective_threshold.find_threshold(shifted(dice, [32, 2, 2, 2, 2]), 0.28, 0.95).shown
        for _ in range(20)
    )
    rest = dice.normal(0, 0.5, 2000)
    broken = 0
    for _ in range(200):
        found = selective_threshold.find_threshold(shifted(dice, [8] * 5), 0.28, 0.95)
        broken += float(np.mean(norm.sf(logit(found.value) - rest))) > 0.28
    assert broken <= binom.ppf(0.999, 200, 0.05), "by repositories drawn alike, not by issues"


def test_counts_beside_a_threshold_are_of_repositories_that_did_not_set_it() -> None:
    held = shifted(np.random.default_rng(3), [8, 8, 8])
    bars = {
        repo: selective_threshold.find_threshold(
            [h for h in held if h.repo != repo], 0.28, 0.95
        ).value
        for repo in ("r0", "r1", "r2")
    }
    taken = [one.right for one in held if one.score >= bars[one.repo]]
    assert selective_threshold.nested_accept_counts(held, 0.28, 0.95) == (
        sum(taken),
        len(taken) - sum(taken),
    )
    assert selective_threshold.nested_accept_counts([], 0.28, 0.95) == (0, 0)


def test_a_bound_is_refused_where_the_data_is_too_small() -> None:
    few = selective_threshold.find_threshold(drawn(40, 9), 0.28, 0.95)
    assert not few.shown
    assert "not shown: 9 wrong patches" in few.claim
    assert not selective_threshold.find_threshold(drawn(40, 12), 0.28, 0.95).shown, (
        "not with one left out"
    )
    assert selective_threshold.find_threshold(drawn(40, 13), 0.28, 0.95).shown
    two = selective_threshold.find_threshold(drawn(60, 40, repos=2), 0.28, 0.95)
    assert not two.shown
    assert (
        selective_threshold.find_threshold((), 0.28, 0.95).value
        == selective_threshold.DEFAULT_THRESHOLD
    )


def test_runs_over_one_issue_are_one_witness() -> None:
    one = [HeldOutPatch(0.1, False, "i", f"r{n % 4}", "weak") for n in range(40)]
    assert not selective_threshold.find_threshold(one, 0.28, 0.95).shown
    apart = [row._replace(instance_id=f"i{n}") for n, row in enumerate(one)]
    assert selective_threshold.find_threshold(apart, 0.28, 0.95).shown
