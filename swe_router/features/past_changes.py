"""What the changes before the base commit say: of the likely region, and of issues like this one.

``kin_…`` are what past commits of the same repository with such words changed: a ridge regression
of log(1 + lines) on the TF-IDF of their subjects, read off for the issue. It learns the size of
changes from the project's own past, never from anybody's solution of an issue.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from swe_router.codegraph.commits import PastCommit
from swe_router.codegraph.grammar import grammar_of
from swe_router.codegraph.test_paths import is_test
from swe_router.lazy_imports import deferred_module

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse
    from scipy.sparse import linalg
else:
    np = deferred_module("numpy")
    sparse = deferred_module("scipy.sparse")
    linalg = deferred_module("scipy.sparse.linalg")

YEAR = 365 * 86400
MAX_FILES = 20
"""Commits that touch more sources are sweeps and say nothing of one issue."""
MIN_KIN = 50
"""Fewer commits than this teach nothing."""
PENALTY = 3.0
_WORD = re.compile(r"[A-Za-z]{3,}")
_FIX = re.compile(
    r"\b(fix\w*|bugs?|regression|crash\w*|errors?|incorrect\w*|wrong\w*|broken)\b", re.IGNORECASE
)


def history_features(
    past: Sequence[PastCommit], text: str, region: Mapping[str, float]
) -> dict[str, float]:
    """Churn and bug-fix density of the ``region`` (file -> weight), and the size of kin changes.

    ``past`` are ancestors of the base commit, the newest first.
    """
    if not past:
        return {}
    return {"history_commits": float(len(past)), **_churn(past, region), **_kin(past, text)}


def _churn(past: Sequence[PastCommit], region: Mapping[str, float]) -> dict[str, float]:
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


def _kin(past: Sequence[PastCommit], text: str) -> dict[str, float]:
    chosen = [commit for commit in past if 0 < len(_sources(commit)) <= MAX_FILES]
    if len(chosen) < MIN_KIN:
        return {}
    words = TfidfWords.of(commit.subject for commit in chosen)
    if not words.place:
        return {}
    known, asked = words.vectors([c.subject for c in chosen]), words.vectors([text])
    found = []
    for tests in (False, True):
        sizes = np.log1p([float(_added(commit, tests)) for commit in chosen])
        found.append(_settled(ridge_prediction(known, sizes, asked)))
    return {"kin_lines": found[0], "kin_tests": found[1]}


@dataclass(frozen=True)
class TfidfWords:
    """TF-IDF of words of three letters or more: log counts, smooth idf, length 1.

    As ``TfidfVectorizer(sublinear_tf=True, min_df=2)`` of scikit-learn, whose import would cost
    every run more than a second.
    """

    place: Mapping[str, int]
    """Words that stand in two texts or more -> column."""
    weight: NDArray[np.float64]
    """Smooth idf of each column."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> TfidfWords:
        """The words of some texts."""
        each = [set(_words(text)) for text in texts]
        found = Counter(word for one in each for word in one)
        kept = sorted(word for word, count in found.items() if count > 1)
        counts = np.array([found[word] for word in kept], dtype=float)
        place = {word: number for number, word in enumerate(kept)}
        return cls(place, np.log((1 + len(each)) / (1 + counts)) + 1)

    def vectors(self, texts: Sequence[str]) -> sparse.csr_array:
        """One row of length 1 (0 without a known word) for each text."""
        rows, columns, values = [], [], []
        for row, text in enumerate(texts):
            counts = Counter(word for word in _words(text) if word in self.place)
            tf = {self.place[w]: 1 + math.log(n) for w, n in sorted(counts.items())}
            raw = {column: one * float(self.weight[column]) for column, one in tf.items()}
            length = math.sqrt(math.fsum(one * one for one in raw.values())) or 1.0
            rows += [row] * len(raw)
            columns += list(raw)
            values += [one / length for one in raw.values()]
        shape = (len(texts), len(self.place))
        return sparse.csr_array((values, (rows, columns)), shape=shape, dtype=float)


def ridge_prediction(
    known: sparse.csr_array, sizes: NDArray[np.float64], asked: sparse.csr_array
) -> float:
    """What a ridge regression with an intercept, fitted on ``known``, says of ``asked``."""
    middle = np.asarray(known.mean(axis=0)).ravel()
    centred = linalg.LinearOperator(
        known.shape,
        matvec=lambda v: known @ v.ravel() - middle @ v.ravel(),
        rmatvec=lambda u: known.T @ u.ravel() - middle * u.sum(),
        dtype=float,
    )
    level = float(sizes.mean())
    weights = linalg.lsqr(centred, sizes - level, damp=math.sqrt(PENALTY), atol=1e-8, btol=1e-8)[0]
    return level + float((asked @ weights)[0] - middle @ weights)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _settled(value: float) -> float:
    """Four digits: below that, machines differ."""
    return round(max(0.0, float(value)), 4)


def _sources(commit: PastCommit) -> list[str]:
    return [one.path for one in commit.changes if _is_code(one.path) and not is_test(one.path)]


def _added(commit: PastCommit, tests: bool) -> int:
    """Lines that a commit adds to sources, or to tests."""
    changes = (one for one in commit.changes if _is_code(one.path))
    return sum(one.added for one in changes if is_test(one.path) == tests)


def _is_code(path: str) -> bool:
    return grammar_of(path) is not None
