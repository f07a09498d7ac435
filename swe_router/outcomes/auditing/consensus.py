"""Does a system solve what the others find easy? Permuted ids and mixed-up verdicts do not.

A real system's verdicts are ranked well by the share of the other systems that solve the issue:
AUC .81-.99 for the 24 models and 134 leaderboard systems of the development tables, but for three
that solve at most five of 287. With shuffled ids the AUC is .5, with thinned-out verdicts below .8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from swe_router.outcomes.auditing.findings import AuditFinding, some_systems
from swe_router.outcomes.tables.table import OutcomeTable
from swe_router.stats.arrays import Floats

Z_95_ONE_SIDED = 1.645
"""A system is refused when even the upper end of a 95% one-sided interval is under the floor."""
MIN_POSITIVES = 20
MANY, SOME, MAX_FEW = 200, 50, 20


@dataclass(frozen=True)
class Consensus:
    """How well the others' consensus ranks a system's verdicts."""

    system: str
    instance_count: int
    """Runs on instances that at least one other system ran."""
    resolved: int
    auc: float
    """In [0, 1]; nan when the column is constant."""
    standard_error: float
    """Standard error (Hanley and McNeil 1982)."""
    other_systems: int

    @property
    def interval_high(self) -> float:
        """Upper end of the interval."""
        return self.auc + Z_95_ONE_SIDED * self.standard_error

    @property
    def honest_minimum(self) -> float:
        """What an honest column reaches; two or three others make a coarse consensus.

        Measured on random subsets of the development tables: the lowest of a hundred real
        columns has an upper end of .86 with 8 others, .83 with 5, .75 with 2, .59 with 1.
        """
        return {0: 0.0, 1: 0.57, 2: 0.65, 3: 0.65, 4: 0.7}.get(self.other_systems, 0.8)


def auc(won: Floats, score: Floats) -> tuple[float, float]:
    """Area under the ROC curve, ties halved, and its standard error; nan for one class only."""
    ranks = rankdata(score)
    yes = float(won.sum())
    no = len(won) - yes
    if yes == 0 or no == 0:
        return math.nan, math.nan
    area = (float(ranks[won == 1].sum()) - yes * (yes + 1) / 2) / (yes * no)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (yes - 1) * (q1 - area**2) + (no - 1) * (q2 - area**2)
    return area, math.sqrt(max(0.0, spread) / (yes * no))


@dataclass(frozen=True)
class _Column:
    """The runs of a system: on which instance (index), and won or not."""

    system: str
    instance_indices: NDArray[np.int64]
    resolved: Floats


def agreements(table: OutcomeTable) -> list[Consensus]:
    """Each system against the consensus of the others that are themselves sound.

    The worst column is taken out of the consensus until none is under its floor, so that one
    shuffled column does not drag down the others; then all are judged by what is left.
    """
    columns = _system_columns(table)
    rates = np.column_stack([_mean_resolved(one, len(table.instances)) for one in columns])
    kept = list(range(len(columns)))
    while len(kept) > 2:
        found = {j: _agreement_with_others(columns[j], rates, j, kept) for j in kept}
        low = {
            j: one.interval_high - one.honest_minimum
            for j, one in found.items()
            if one.interval_high < one.honest_minimum
        }
        if not low:
            break
        kept.remove(min(low, key=lambda j: low[j]))
    return [_agreement_with_others(one, rates, j, kept) for j, one in enumerate(columns)]


def _system_columns(table: OutcomeTable) -> list[_Column]:
    index = {name: i for i, name in enumerate(table.instances)}
    runs: dict[str, list[tuple[int, bool]]] = {name: [] for name in table.systems}
    for row in table.rows:
        runs[row.system].append((index[row.instance_id], row.resolved))
    return [
        _Column(name, np.array([i for i, _ in own]), np.array([float(won) for _, won in own]))
        for name, own in runs.items()
    ]


def _mean_resolved(column: _Column, n: int) -> Floats:
    """Mean of ``resolved`` over a system's runs on each of ``n`` instances; nan where none ran."""
    runs = np.bincount(column.instance_indices, minlength=n)
    won = np.bincount(column.instance_indices, weights=column.resolved, minlength=n)
    return np.where(runs > 0, won / np.maximum(runs, 1), np.nan)


def _agreement_with_others(
    column: _Column, rates: Floats, j: int, kept: Sequence[int]
) -> Consensus:
    others = rates[:, [k for k in kept if k != j]]
    there = ~np.isnan(others)
    known = there.sum(axis=1)
    score = np.where(there, others, 0).sum(axis=1) / np.maximum(known, 1)
    of = known[column.instance_indices] > 0
    won = column.resolved[of]
    area, error = auc(won, score[column.instance_indices[of]])
    return Consensus(column.system, len(won), int(won.sum()), area, error, others.shape[1])


def agreement_findings(found: Sequence[Consensus]) -> list[AuditFinding]:
    """Refusals and warnings over the agreement of each system with the others."""
    out = [finding for one in found if (finding := _agreement_finding(one)) is not None]
    bad = [one.system for one in out if one.severity == "refuse"]
    if len(bad) > 2 and len(bad) > len(found) / 2:
        text = (f"{len(bad)} of {len(found)} systems do not agree with each other on which"
                " instances are easy: the ids of the whole table are mixed up")  # fmt: skip
        out.insert(0, AuditFinding("refuse", "permuted-ids", text))
    return out


def _agreement_finding(one: Consensus) -> AuditFinding | None:
    if math.isnan(one.auc) or one.other_systems == 0 or one.instance_count < SOME:
        return None
    auc = (
        f"AUC {one.auc:.2f} (95% up to {min(1, one.interval_high):.2f}) of its verdicts under the"
        f" consensus of {one.other_systems} others, n = {one.instance_count}"
    )
    if one.instance_count >= MANY and one.interval_high < one.honest_minimum:
        mixed_up = "its instance ids or verdicts are mixed up"
        text = f"{auc}: real systems reach {one.honest_minimum:g}; {mixed_up}"
        return AuditFinding("refuse", "permuted-ids", text, one.system)
    low = one.honest_minimum if one.instance_count >= MANY else one.honest_minimum - 0.1
    if one.auc < low:
        few = min(one.resolved, one.instance_count - one.resolved) < MIN_POSITIVES
        why = f", of which {one.resolved} resolved: too few to judge" if few else ""
        return AuditFinding("warn", "low-agreement", f"{auc}{why}; {low:g} is expected", one.system)
    return None


def reference_findings(table: OutcomeTable, reference: OutcomeTable) -> list[AuditFinding]:
    """The table's consensus against that of another table; nothing when they share too little.

    Ids that are permuted for all systems alike leave the systems in agreement; only a second
    source can tell. On the development tables the rank correlation with SWE-Effi over 30 common
    instances is .80 and .89 (20 of them: above .62), and after a permutation below .42.
    """
    ours, theirs = _easiness_by_instance(table), _easiness_by_instance(reference)
    common = [name for name in ours if name in theirs]
    if len(common) < MAX_FEW or min(len(table.systems), len(reference.systems)) < 3:
        return []
    x, y = [ours[name] for name in common], [theirs[name] for name in common]
    if len(set(x)) < 2 or len(set(y)) < 2:
        return []
    rho = float(spearmanr(x, y).statistic)
    where = reference.source.rsplit("/", 1)[-1]
    finding = f"rank correlation {rho:.2f} of easiness with {where} on {len(common)} instances"
    if rho < 0.3:
        text = f"{finding}: the instance ids of the whole table are mixed up"
        return [AuditFinding("refuse", "permuted-ids", text)]
    return (
        [AuditFinding("warn", "low-agreement", f"{finding}; .5 is expected")] if rho < 0.5 else []
    )


def _easiness_by_instance(table: OutcomeTable) -> Mapping[str, float]:
    found: dict[str, list[float]] = {}
    for (instance, _), runs in table.runs.items():
        found.setdefault(instance, []).append(sum(r.resolved for r in runs) / len(runs))
    return {name: sum(rates) / len(rates) for name, rates in found.items()}


def copy_findings(table: OutcomeTable) -> list[AuditFinding]:
    """Systems with one and the same column of verdicts: one of them is a copy."""
    alike: dict[tuple[bytes, bytes], list[str]] = {}
    for one in _system_columns(table):
        if len(one.resolved) >= SOME and 0 < one.resolved.sum() < len(one.resolved):
            order = np.lexsort((one.resolved, one.instance_indices))
            key = (one.instance_indices[order].tobytes(), one.resolved[order].tobytes())
            alike.setdefault(key, []).append(one.system)
    return [
        AuditFinding(
            "warn",
            "duplicates",
            f"the same verdicts on every instance as {some_systems(names[1:])}",
            names[0],
        )
        for names in alike.values()
        if len(names) > 1
    ]
