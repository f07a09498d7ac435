"""QC-Opt (arXiv 2402.01742): a linear program over the whole batch under a cost budget, rounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse
from scipy.optimize import linprog

from swe_router.estimates.prediction.estimators import expected_cost, quality_by_features
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.policies.single import SingleTierPolicy, TierChoice
from swe_router.records import Budget, BudgetView, Features
from swe_router.stats.arrays import Floats


class QcOptKnobs(Knobs):
    """Knobs of ``qc-opt``."""

    usd_per_issue: float = Field(default=0.25, gt=0)
    """Mean USD per issue; the run's own budget applies where it is tighter."""


def solve_program(quality: Floats, usd: Floats, budget: float) -> tuple[Floats, float]:
    """Solve the LP relaxation by HiGHS: shares (n, m), and the marginal price of quality.

    max sum q x, s.t. sum_m x_im = 1 and sum c x <= budget. A basic solution has at most one
    fractional issue, as there is one budget row. The price is the dual of the budget: quality per
    USD, 0 when the budget does not bind, infinite when it does not cover the cheapest rungs
    (then each issue gets its cheapest).
    """
    issues, rungs = quality.shape
    if usd.min(axis=1).sum() > budget:
        return np.eye(rungs)[usd.argmin(axis=1)], np.inf
    one_each = sparse.kron(sparse.eye(issues), np.ones((1, rungs)), format="csr")
    found = linprog(-quality.ravel(), A_ub=usd.reshape(1, -1), b_ub=[budget], A_eq=one_each,
                    b_eq=np.ones(issues), bounds=(0, 1), method="highs-ds")  # fmt: skip
    return found.x.reshape(issues, rungs), max(0.0, -float(found.ineqlin.marginals[0]))


def rounded_rungs(shares: Floats, usd: Floats) -> Floats:
    """Rung of each issue, (n,): a fractional issue takes its cheaper rung, so the budget holds."""
    priced = np.where(shares > 1e-9, usd, np.inf)
    whole = shares.max(axis=1) > 1 - 1e-9
    chosen: Floats = np.where(whole, shares.argmax(axis=1), priced.argmin(axis=1)).astype(float)
    return chosen


def best_rung_at_price(quality: Floats, usd: Floats, price: float) -> int:
    """The rung with the highest quality - price * USD; the cheaper of equals."""
    if np.isinf(price):
        return int(usd.argmin())
    net = quality - price * usd
    best = np.flatnonzero(net >= net.max() - 1e-9)
    return int(best[np.argmin(usd[best])])


class QcOpt(LearnedPolicy[QcOptKnobs], SingleTierPolicy[QcOptKnobs]):
    """All issues are known in advance: spend the budget where predicted quality gains the most.

    The state holds what a decision needs of the batch: the price of quality, and the exceptions,
    which are the few issues whose rung at that price is not the one of the linear program.
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
    _exceptions: Mapping[str, int] | None = None

    def learn(self, training: Training) -> None:
        """Fit quality and cost."""
        quality_by_features(training)
        expected_cost(training)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Quality, then cost: (n, 2 m)."""
        return np.hstack([quality_by_features(training)(batch), expected_cost(training)(batch)])

    def prepare(self, batch: Sequence[Features], budget: Budget) -> Self:
        """The policy with the program solved for this batch and budget."""
        known = super().prepare(batch, budget)
        if not batch:
            return known
        rows = np.array([known.prediction(one) for one in batch])
        quality, usd = np.hsplit(rows, 2)
        money = min(float(budget.dollars), self.knobs.usd_per_issue * len(batch))
        shares, price = solve_program(quality, usd, money)
        found = rounded_rungs(shares, usd).astype(int)
        exceptions = {
            one.instance_id: int(rung)
            for one, rung, q, c in zip(batch, found, quality, usd, strict=True)
            if rung != best_rung_at_price(q, c, price)
        }
        return known._with(_price=price, _exceptions=exceptions)

    def choose(self, features: Features, budget: BudgetView) -> TierChoice:
        """The rung from the program; by its price for an issue outside the batch."""
        quality, usd = np.split(self.prediction(features), 2)
        price = self._single_issue_price(quality, usd) if self._price is None else self._price
        rung = (self._exceptions or {}).get(
            features.instance_id, best_rung_at_price(quality, usd, price)
        )
        return TierChoice(rung, f"qc-opt: p {quality[rung]:.2f} for ${usd[rung]:.3f} at a price of"
                            f" {price:.3g} a USD")  # fmt: skip

    def _single_issue_price(self, quality: Floats, usd: Floats) -> float:
        return solve_program(quality[None], usd[None], self.knobs.usd_per_issue)[1]

    def state(self) -> Mapping[str, Any]:
        """Digest of the training data, the price (None or text) and the exceptions."""
        price = None if self._price is None else str(self._price)
        return {**super().state(), "price": price, "apart": dict(self._exceptions or {})}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """With the price and the exceptions of a state."""
        price = state.get("price")
        return (
            super()
            .restored(state)
            ._with(
                _price=None if price is None else float(price),
                _exceptions=dict(state.get("apart") or {}),
            )
        )
