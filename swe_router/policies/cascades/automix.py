"""AutoMix (arXiv 2310.12963): GOOD, NEEDY or HOPELESS, judged by the result of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from swe_router.estimates.prediction.run_scorer import (
    held_out_or_fitted_scores,
    observation_of,
    run_scorer,
)
from swe_router.estimates.prediction.training import Training
from swe_router.policies.base import Knobs, rung_of
from swe_router.policies.cascades.climb import LadderCascade, StopJudgement
from swe_router.policies.escalation_order import EscalationKnobs
from swe_router.policies.learned import LearnedPolicy
from swe_router.records import Features, Outcome
from swe_router.stats.arrays import Floats


class AutoMixKnobs(EscalationKnobs):
    """Knobs of ``automix``."""

    value: float = Field(default=4.0, gt=0)
    """USD that a resolved issue is worth."""
    bins: int = Field(default=4, gt=0)
    """Bins of the run's score."""


class AutoMix(LearnedPolicy[AutoMixKnobs], LadderCascade[AutoMixKnobs]):
    """Escalate when value * P(NEEDY | bin) > E[cost of continuing | bin]; else stop.

    GOOD: this tier resolves. NEEDY: it does not and a later one would. HOPELESS: none does. The
    bin is the score of the run by a fit without the issue's repository, where there are several.
    Continuing costs all later tiers up to the first that resolves; with two tiers, that is one
    run of the strong tier.
    """

    name: ClassVar[str] = "automix"
    source: ClassVar[str] = "AutoMix (arXiv 2310.12963), section 4: POMDP meta-verifier"
    surrogate: ClassVar[str] = "the verifier's verdict for k self-verifications"
    maturity: ClassVar[str] = "research"
    knobs_type: ClassVar[type[Knobs]] = AutoMixKnobs
    sweep: ClassVar[Sequence[dict[str, object]]] = tuple(
        {"value": value} for value in (0.5, 1.0, 2.0, 8.0, 20.0)
    )

    def learn(self, training: Training) -> None:
        """Fit scores and tables."""
        for place in range(len(training.arms) - 1):
            self._table(training, place)

    def predict(self, training: Training, batch: Sequence[Features]) -> Floats:
        """Zeros: nothing is predicted before a run."""
        return np.zeros((len(batch), 1))

    def judge(self, outcome: Outcome, spent: float) -> StopJudgement:
        """Stop where continuing is not worth its price."""
        last = outcome
        place = rung_of(self.ladder, last)
        if place >= len(self.ladder) - 1:
            return StopJudgement(True, f"{last.arm} is the strongest tier")
        edges, needy, price = self._table(self.training, place)
        x = observation_of(last)[None]
        score = float(run_scorer(self.training).of(str(last.arm), x)[0])
        found = int(np.searchsorted(edges, score, side="right"))
        gain = self.knobs.value * needy[found]
        why = (
            f"score {score:.2f}: P(needy) {needy[found]:.2f} is worth ${gain:.2f},"
            f" going on costs ${price[found]:.2f}"
        )
        return StopJudgement(bool(gain <= price[found]), why)

    def _table(self, training: Training, place: int) -> tuple[Floats, Floats, Floats]:
        """Edges of the bins, then P(NEEDY) and expected USD of continuing per bin.

        Each bin gets two pseudo-runs of the average kind: a small bin moves little.
        """
        bins = self.knobs.bins

        def make(known: Training) -> tuple[Floats, Floats, Floats]:
            runs, scores = held_out_or_fitted_scores(known, known.arms[place])
            edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
            found = np.searchsorted(edges, scores, side="right")
            rows = runs.issue.astype(int)
            later, paid = later_tiers(known.rates[:, place + 1 :], known.prices[:, place + 1 :])
            price = paid[rows]
            needy = (1 - runs.right) * later[rows]
            size = len(edges) + 1
            weight = np.bincount(found, runs.weight, size) + 2
            base = np.average(needy, weights=runs.weight), np.average(price, weights=runs.weight)
            tables = [
                (np.bincount(found, runs.weight * column, size) + 2 * level) / weight
                for column, level in zip((needy, price), base, strict=True)
            ]
            return edges, tables[0], tables[1]

        return training.fit(("automix", place, bins), make)


def later_tiers(rates: Floats, prices: Floats) -> tuple[Floats, Floats]:
    """P(some of these tiers resolves) and USD up to the first that does, (n,) each."""
    failed: Floats = np.column_stack([np.ones(len(rates)), 1 - rates])
    missed: Floats = np.cumprod(failed, axis=1, dtype=np.float64)
    odds: Floats = 1.0 - missed[:, -1]
    usd: Floats = (missed[:, :-1] * prices).sum(axis=1)
    return odds, usd
