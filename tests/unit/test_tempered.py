"""Probabilities that are too sure of themselves are drawn towards what held-out patches came to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from swe_router.estimates.acceptance.calibration import SignalWeights
from swe_router.estimates.acceptance.recalibration import MIN_SLOPE, fit_recalibration, recalibrate
from swe_router.estimates.acceptance.selective_threshold import HeldOutPatch


def rows(n: int, boldness: float) -> list[HeldOutPatch]:
    """Patches that are right with a probability whose log odds the score multiplies."""
    dice = np.random.default_rng(0)
    true = dice.uniform(0.2, 0.9, n)
    scores = expit(boldness * logit(true))
    return [
        HeldOutPatch(float(score), bool(dice.random() < p), f"i{k}", f"r{k % 5}", "strong")
        for k, (score, p) in enumerate(zip(scores, true, strict=True))
    ]


def test_bold_scores_are_drawn_back_and_honest_ones_are_left() -> None:
    assert fit_recalibration([]) == (0.0, 1.0)
    assert fit_recalibration(rows(400, 4.0))[1] == pytest.approx(0.25, abs=0.08)
    assert fit_recalibration(rows(400, 1.0))[1] > 0.85
    assert fit_recalibration(rows(400, 0.3))[1] == 1.0, "never made bolder"


def test_an_order_is_left_where_the_scores_tell_nothing() -> None:
    dice = np.random.default_rng(1)
    noise = [one._replace(right=bool(dice.random() < 0.7)) for one in rows(400, 4.0)]
    bias, slope = fit_recalibration(noise)
    assert slope == MIN_SLOPE
    assert expit(bias) == pytest.approx(0.7, abs=0.08)


def test_what_no_graded_patch_had_keeps_its_weight_and_a_fact_stays_one() -> None:
    bold = SignalWeights(
        bias=1.0, weights={"tests_kept": 2.0, "written_failed": -2.2, "refused": -4.0}
    )
    made = recalibrate(bold, (0.4, 0.25), {"tests_kept", "refused"})
    assert made.bias == 0.65
    assert made.weights == {"tests_kept": 0.5, "written_failed": -2.2, "refused": -4.0}
