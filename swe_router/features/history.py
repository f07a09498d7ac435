"""What the changes before the base commit say: of the likely region, and of issues like this one.

``kin_…`` are what past commits of the same repository with such words changed: a ridge regression
of log(1 + lines) on the TF-IDF of their subjects, read off for the issue. It learns the size of
changes from the project's own past, never from anybody's solution of an issue.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from swe_router.codegraph.grammar import grammar_of
from swe_router.codegraph.history import Commit
from swe_router.codegraph.layout import is_test

YEAR = 365 * 86400
MAX_FILES = 20
"""Commits that touch more sources are sweeps and say nothing of one issue."""
LEAST_KIN = 50
"""Fewer commits than this teach nothing."""
PENALTY = 3.0
_WORD = r"[A-Za-z]{3,}"
_FIX = re.compile(
    r"\b(fix\w*|bugs?|regression|crash\w*|errors?|incorrect\w*|wrong\w*|broken)\b", re.IGNORECASE
)


def history_features(
    past: Sequence[Commit], text: str, region: Mapping[str, float]
) -> dict[str, float]:
    """Churn and bug-fix density of the ``region`` (file -> weight), and the size of kin changes.

    ``past`` are ancestors of the base commit, the newest first.
    """
    if not past:
        return {}
    return {"history_commits": float(len(past)), **_churn(past, region), **_kin(past, text)}


def _churn(past: Sequence[Commit], region: Mapping[str, float]) -> dict[str, float]:
    """Of the commits of the last year that touch a file of the region, weighted by the file."""
    newest = max(commit.time for commit in past)
    year = [commit for commit in past if newest - commit.time <= YEAR]
    touching = [(c, sum(region.get(one.path, 0.0) for one in c.changes)) for c in year]
    touching = [(commit, weight) for commit, weight in touching if weight > 0]
    total = math.fsum(weight for _, weight in touching)
    fixes = math.fsum(weight for commit, weight in touching if _FIX.search(commit.subject))
    together = [math.log(max(1, len(_sources(commit)))) for commit, _ in touching]
    return {
        "region_commits": float(len(touching)),
        "region_churn": round(total / (math.fsum(region.values()) or 1.0), 6),
        "region_fix_share": round(fixes / total, 6) if total else 0.0,
        "region_authors": float(len({commit.author for commit, _ in touching})),
        "region_together": round(fmean(together), 6) if together else 0.0,
    }


def _kin(past: Sequence[Commit], text: str) -> dict[str, float]:
    chosen = [commit for commit in past if 0 < len(_sources(commit)) <= MAX_FILES]
    if len(chosen) < LEAST_KIN:
        return {}
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, token_pattern=_WORD)
    try:
        known = words.fit_transform(commit.subject for commit in chosen)
    except ValueError:  # no word stands in two subjects
        return {}
    sizes = np.log1p([[_added(commit, False), _added(commit, True)] for commit in chosen])
    fitted = Ridge(PENALTY, solver="lsqr", tol=1e-8).fit(known, sizes)
    lines, tests = fitted.predict(words.transform([text]))[0]
    return {"kin_lines": _settled(lines), "kin_tests": _settled(tests)}


def _settled(value: float) -> float:
    """Four digits: below that, machines differ."""
    return round(max(0.0, float(value)), 4)


def _sources(commit: Commit) -> list[str]:
    return [one.path for one in commit.changes if _is_code(one.path) and not is_test(one.path)]


def _added(commit: Commit, tests: bool) -> int:
    """Lines that a commit adds to sources, or to tests."""
    changes = (one for one in commit.changes if _is_code(one.path))
    return sum(one.added for one in changes if is_test(one.path) == tests)


def _is_code(path: str) -> bool:
    return grammar_of(path) is not None
