"""The scripts that fit what ships: what they say of how well the fit does."""

from __future__ import annotations

import numpy as np
import pytest

from eval import fit_acceptance
from swe_router.stats import rates


def test_an_auc_of_1_of_a_few_issues_is_not_said_to_be_certain():
    """Resampled to itself it was [1.0, 1.0]."""
    found = fit_acceptance.reached(np.array([0.9, 0.8, 0.7, 0.2, 0.1]), [True] * 3 + [False] * 2,
                                   list("abcde"))  # fmt: skip
    assert found["auc"] == 1.0
    assert found["auc_95"] == pytest.approx(rates.newcombe_auc(1.0, 3, 2), abs=5e-4)
    assert found["auc_95"][0] < 0.6
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.7, 0.8, 0.9]).mean(), abs=5e-5)
