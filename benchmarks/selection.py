"""Selectors over recorded candidates: how often each hands in a right one.

Usage: python benchmarks/selection.py --verdicts FILE --labels FILE [--seed 0]

--verdicts: rows of `swe-router verify --json` (or --out). --labels: rows of instance_id,
candidate, resolved and model_patch; `resolved` is looked at only to count, and by the oracle.
Instances with two candidates or more count. "mean single" is what a blind choice gives; "best
single run" is the candidate name that is right most often over the instances that have it, picked
with the labels in hand. Differences from the mean single run are paired by instance; their
intervals are percentiles of 10,000 resamples of the instances, and one that covers 0 is reported
as none. For a sample drawn from a few repositories the same with repositories resampled whole.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from swe_router.assemble import labels
from swe_router.outcomes import stats
from swe_router.records import (
    Arm,
    Attempt,
    Budget,
    Candidate,
    CrossMatrix,
    Outcome,
    Plan,
    Trajectory,
    Verdict,
)
from swe_router.selectors.agentless import Agentless
from swe_router.selectors.majority import Majority
from swe_router.selectors.oracle import Oracle
from swe_router.selectors.pairwise import Pairwise
from swe_router.selectors.random_pick import RandomPick
from swe_router.selectors.test_pass_rate import TestPassRate
from swe_router.verifiers.cross import matrix_of

FEW = 10
"""Instances below which no difference is told."""


@dataclass(frozen=True)
class Case:
    """The candidates of one instance, and which of them are right."""

    instance_id: str
    outcomes: tuple[Outcome, ...]
    names: tuple[str, ...]
    right: tuple[bool, ...]
    matrix: CrossMatrix | None

    @property
    def resolved(self) -> dict[str, bool]:
        return {o.candidate.digest: is_right for o, is_right in zip(self.outcomes, self.right,
                strict=True) if o.candidate}  # fmt: skip


def cases_of(verdicts: Path, truth: Path) -> list[Case]:
    patches = {(str(row["instance_id"]), str(row["candidate"])): row.get("model_patch")
               for row in labels.objects(truth)}  # fmt: skip
    resolved = labels.read([truth])
    latest = {(str(row["instance_id"]), str(row["candidate"])): row
              for row in labels.objects(verdicts)}  # fmt: skip
    rows: dict[str, list[Any]] = defaultdict(list)
    for key, row in latest.items():
        if key in resolved and patches.get(key):
            rows[key[0]].append((row, patches[key], resolved[key]))
    made = []
    for instance_id, found in sorted(rows.items()):
        if len(found) < 2:
            continue
        outcomes = tuple(outcome_of(row, str(patch)) for row, patch, _ in found)
        made.append(Case(instance_id, outcomes, tuple(str(row["candidate"]) for row, _, _ in found),
                         tuple(right for _, _, right in found), matrix_of(outcomes)))  # fmt: skip
    return made


def outcome_of(row: Any, patch: str) -> Outcome:
    arm = Arm(model=str(row.get("model_name_or_path") or "unnamed"))
    plan = Plan(arm=arm, budget=Budget(dollars=Decimal(0)))
    attempt = Attempt(id=row["attempt"], instance_id=row["instance_id"], plan=plan,
                      trajectory=Trajectory(exit="submitted"))  # fmt: skip
    candidate = Candidate(attempt_id=attempt.id, patch=patch, digest=row["patch"])
    said = [Verdict.model_validate({**v, "candidate": row["patch"]}) for v in row["verdicts"]]
    return Outcome(attempt=attempt, candidate=candidate, verdicts=tuple(said))


def choices(case: Case, seed: int) -> dict[str, float]:
    """Selector -> 1 when what it hands in is right."""
    by_attempt = {o.attempt.id: right for o, right in zip(case.outcomes, case.right, strict=True)}
    selectors: dict[str, Any] = {
        "test-pass-rate": TestPassRate(),
        "majority": Majority(),
        "agentless": Agentless(),
        "pairwise": Pairwise(),
        "random": RandomPick(seed=seed),
        "oracle": Oracle(case.resolved),
    }
    made = {"mean single": float(np.mean(case.right))}
    for name, selector in selectors.items():
        chosen = selector.select(case.outcomes, case.matrix)
        made[name] = float(chosen is not None and by_attempt[chosen.attempt_id])
    return made


def best_single(cases: Sequence[Case]) -> tuple[str, np.ndarray[Any, Any]]:
    """The candidate name that is right most often, where every instance has it."""
    shared = set.intersection(*(set(case.names) for case in cases))
    rates = {name: np.array([case.right[case.names.index(name)] for case in cases], dtype=float)
             for name in sorted(shared)}  # fmt: skip
    if not rates:
        return "", np.array([])
    best = max(rates, key=lambda name: rates[name].mean())
    return best, rates[best]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--verdicts", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    cases = cases_of(given.verdicts, given.labels)
    if not cases:
        sys.exit("no instance has two candidates with a verdict, a patch and a label")
    picked = [choices(case, given.seed) for case in cases]
    columns = {name: np.array([row[name] for row in picked]) for name in picked[0]}
    name, best = best_single(cases)
    if name:
        columns[f"best single run ({name})"] = best
    shares = stats.weights(len(cases), seed=given.seed)
    repos = [case.instance_id.rpartition("-")[0] for case in cases]
    whole = stats.cluster_weights(repos, seed=given.seed)
    rows: list[dict[str, Any]] = []
    for label, column in columns.items():
        gap = column - columns["mean single"]
        low, high = stats.interval(stats.means(shares, gap)[:, 0])
        wide = stats.interval(stats.means(whole, gap)[:, 0])
        differs = label != "mean single" and (low > 0 or high < 0)
        rows.append({"selector": label, "resolved": round(float(column.mean()), 4),
                     "difference": round(float(gap.mean()), 4), "low": round(low, 4),
                     "high": round(high, 4), "repositories": [round(x, 4) for x in wide],
                     "said": "too few instances" if len(cases) < FEW
                     else "differs" if differs else "none"})  # fmt: skip
    if given.json:
        print(json.dumps({"instances": len(cases), "repositories": len(set(repos)), "rows": rows}))
        return
    open_ = sum(0 < sum(case.right) < len(case.right) for case in cases)
    print(f"{len(cases)} instances of {len(set(repos))} repositories,"
          f" {sum(len(case.names) for case in cases)} candidates;"
          f" on {open_} instances the choice matters")  # fmt: skip
    for row in rows:
        low, high = row["repositories"]
        print(f"{row['selector']:28s} {row['resolved']:6.1%}  {row['difference']:+6.1%}"
              f" [{row['low']:+.1%}, {row['high']:+.1%}], by repository"
              f" [{low:+.1%}, {high:+.1%}]: {row['said']}")  # fmt: skip


if __name__ == "__main__":
    main()
