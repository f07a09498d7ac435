"""QC-Opt (arXiv 2402.01742): a linear program over the whole batch under a cost budget, rounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse
from scipy.optimize import linprog

from swe_router.estimates.recipes import by_numbers, cost
from swe_router.estimates.training import Floats, Training
from swe_router.policies.base import Knobs
from swe_router.policies.learned import Learned
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import Budget, Features, PurseView


class QcOptKnobs(Knobs):
    """Knobs of ``qc-opt``."""

    usd_per_issue: float = Field(default=0.25, gt=0)
    """Mean USD an issue; the run's own budget counts where it is tighter."""


def assign(quality: Floats, usd: Floats, budget: float) -> Floats:
    """Rung of each issue: max sum q x, s.t. one rung an issue and sum c x <= budget, by HiGHS.

    A basic solution has at most one fractional issue (one budget row); it takes its cheaper
    rung, so the budget holds. An infeasible budget gives the cheapest rung to all.
    """
    issues, rungs = quality.shape
    if usd.min(axis=1).sum() > budget:
        return usd.argmin(axis=1).astype(float)
    one_each = sparse.kron(sparse.eye(issues), np.ones((1, rungs)), format="csr")
    found = linprog(-quality.ravel(), A_ub=usd.reshape(1, -1), b_ub=[budget], A_eq=one_each,
                    b_eq=np.ones(issues), bounds=(0, 1), method="highs-ds")  # fmt: skip
    x = found.x.reshape(issues, rungs)
    priced = np.where(x > 1e-9, usd, np.inf)
    whole = x.max(axis=1) > 1 - 1e-9
    chosen: Floats = np.where(whole, x.argmax(axis=1), priced.argmin(axis=1)).astype(float)
    return chosen


class QcOpt(Learned[QcOptKnobs], SingleShot[QcOptKnobs]):
    """All issues are known: spend the budget where predicted quality buys the most."""

    name: ClassVar[str] = "qc-opt"
    source: ClassVar[str] = "QC-Opt (arXiv 2402.01742): LP and rounding, SciPy HiGHS"
    surrogate: ClassVar[str] = "logistic regression on text and graph features for the BERT scores"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = QcOptKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"usd_per_issue": usd} for usd in (0.05, 0.1, 0.4, 0.6)
    )
    _budget: float = float("inf")

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """The program solved for this batch and this money."""
        return super(QcOpt, self._with(_budget=float(budget.dollars))).prepare(batch, budget)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """The rung of each issue of the batch, (n, 1)."""
        money = min(self._budget, self.knobs.usd_per_issue * len(batch))
        quality, usd = by_numbers(lessons)(batch), cost(lessons)(batch)
        return assign(quality, usd, money)[:, None]

    def choose(self, features: Features, purse: PurseView) -> Choice:
        """What the program gave the issue."""
        return Choice(int(self.seen(features)[0]), "qc-opt: the linear program's choice")
