"""Benchmarks: what they say of data that is too little for it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import weak_auc


def test_an_auc_within_repositories_needs_one_with_both_kinds_and_is_none_without():
    """It was a division by zero."""
    scores, repos = np.array([0.9, 0.1, 0.6, 0.4]), np.array(["a", "a", "b", "b"])
    assert weak_auc.within(scores, np.array([True, True, False, False]), repos) is None
    apart = weak_auc.within(scores, np.array([True, False, False, True]), repos)
    assert apart == pytest.approx(0.5)
