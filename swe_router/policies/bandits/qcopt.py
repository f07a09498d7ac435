"""QC-Opt (arXiv 2402.01742): a linear program over the whole batch under a cost budget, rounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse
from scipy.optimize import linprog

from swe_router.estimates.prediction.estimators import by_numbers, cost
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.learned import Learned
from swe_router.policies.single import Choice, SingleShot
from swe_router.records import Budget, BudgetView, Features
from swe_router.stats.arrays import Floats


class QcOptKnobs(Knobs):
    """Knobs of ``qc-opt``."""

    usd_per_issue: float = Field(default=0.25, gt=0)
    """Mean USD an issue; the run's own budget counts where it is tighter."""


def program(quality: Floats, usd: Floats, budget: float) -> tuple[Floats, float]:
    """The LP relaxation by HiGHS: shares (n, m), and the price of quality at the margin.

    max sum q x, s.t. sum_m x_im = 1 and sum c x <= budget. A basic solution has at most one
    fractional issue, as there is one budget row. The price is the dual of the budget: quality per
    USD, 0 when the budget does not bind, infinite when it does not even reach the cheapest rungs
    (then each issue gets its cheapest).
    """
    issues, rungs = quality.shape
    if usd.min(axis=1).sum() > budget:
        return np.eye(rungs)[usd.argmin(axis=1)], np.inf
    one_each = sparse.kron(sparse.eye(issues), np.ones((1, rungs)), format="csr")
    found = linprog(-quality.ravel(), A_ub=usd.reshape(1, -1), b_ub=[budget], A_eq=one_each,
                    b_eq=np.ones(issues), bounds=(0, 1), method="highs-ds")  # fmt: skip
    return found.x.reshape(issues, rungs), max(0.0, -float(found.ineqlin.marginals[0]))


def rounded(shares: Floats, usd: Floats) -> Floats:
    """Rung of each issue, (n,): a fractional one takes its cheaper rung, so the budget holds."""
    priced = np.where(shares > 1e-9, usd, np.inf)
    whole = shares.max(axis=1) > 1 - 1e-9
    chosen: Floats = np.where(whole, shares.argmax(axis=1), priced.argmin(axis=1)).astype(float)
    return chosen


def at_price(quality: Floats, usd: Floats, price: float) -> int:
    """The rung with the highest quality - price * USD; the cheaper of equals."""
    if np.isinf(price):
        return int(usd.argmin())
    net = quality - price * usd
    best = np.flatnonzero(net >= net.max() - 1e-9)
    return int(best[np.argmin(usd[best])])


class QcOpt(Learned[QcOptKnobs], SingleShot[QcOptKnobs]):
    """All issues are known: spend the budget where predicted quality buys the most.

    What a decision needs of the whole batch is the price of quality that the program found, and
    the few issues whose rung at that price is not the program's: that is the state.
    """

    name: ClassVar[str] = "qc-opt"
    source: ClassVar[str] = "QC-Opt (arXiv 2402.01742): LP and rounding, SciPy HiGHS"
    surrogate: ClassVar[str] = "logistic regression on text and graph features for the BERT scores"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = QcOptKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"usd_per_issue": usd} for usd in (0.05, 0.1, 0.4, 0.6)
    )
    _price: float | None = None
    _apart: Mapping[str, int] | None = None

    def learn(self, lessons: Training) -> None:
        """Fit quality and cost."""
        by_numbers(lessons)
        cost(lessons)

    def predict(self, lessons: Training, batch: Sequence[Features]) -> Floats:
        """Quality, then cost: (n, 2 m)."""
        return np.hstack([by_numbers(lessons)(batch), cost(lessons)(batch)])

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """The program solved for this batch and this money."""
        known = super().prepare(batch, budget)
        if not batch:
            return known
        rows = np.array([known.seen(one) for one in batch])
        quality, usd = np.hsplit(rows, 2)
        money = min(float(budget.dollars), self.knobs.usd_per_issue * len(batch))
        shares, price = program(quality, usd, money)
        found = rounded(shares, usd).astype(int)
        apart = {
            one.instance_id: int(rung)
            for one, rung, q, c in zip(batch, found, quality, usd, strict=True)
            if rung != at_price(q, c, price)
        }
        return known._with(_price=price, _apart=apart)

    def choose(self, features: Features, purse: BudgetView) -> Choice:
        """What the program gave the issue; by its price for an issue that it did not see."""
        quality, usd = np.split(self.seen(features), 2)
        price = self._alone(quality, usd) if self._price is None else self._price
        rung = (self._apart or {}).get(features.instance_id, at_price(quality, usd, price))
        return Choice(rung, f"qc-opt: p {quality[rung]:.2f} for ${usd[rung]:.3f} at a price of"
                            f" {price:.3g} a USD")  # fmt: skip

    def _alone(self, quality: Floats, usd: Floats) -> float:
        return program(quality[None], usd[None], self.knobs.usd_per_issue)[1]

    def state(self) -> Mapping[str, Any]:
        """What it was fitted on, the price (null is none, ``inf`` a text) and the exceptions."""
        price = None if self._price is None else str(self._price)
        return {**super().state(), "price": price, "apart": dict(self._apart or {})}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """With the price and the exceptions of a state."""
        price = state.get("price")
        return (
            super()
            .restored(state)
            ._with(
                _price=None if price is None else float(price),
                _apart=dict(state.get("apart") or {}),
            )
        )
