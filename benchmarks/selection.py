"""Selectors over recorded candidates: how often each hands in a right one.

Usage: python benchmarks/selection.py --verdicts FILE --labels FILE [--seed 0]

--verdicts: rows of `swe-router verify --json` (or --out). --labels: rows of instance_id,
candidate, resolved and model_patch; `resolved` is looked at only to count, and by the oracle.
Instances with two candidates or more count. "mean single" is what a blind choice gives. A selector
differs from it where the number of its right choices on open instances (some candidates right, some
wrong) has p < .05 under the exact law of a blind choice, Poisson-binomial; of fewer than ten open
instances nothing is reported. The intervals of the differences are percentiles of 10,000 resamples
of the instances, paired; for a sample drawn from a few repositories the same with repositories
resampled whole.

"best single run" is the candidate name that is right most often, and the oracle takes a right one
where there is one: both are picked with the labels in hand, so no verdict is given of them. How far
a selector is from them is reported as a reference. Runs are compared on the instances that have all
of those that half of the instances have.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from swe_router.outcomes.tables import labels
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
from swe_router.selectors.random_choice import RandomChoice
from swe_router.selectors.test_pass_rate import TestPassRate
from swe_router.solve.cross_evaluation import matrix_of
from swe_router.stats import bootstrap, significance

FEW = 10
"""Open instances below which no difference is reported, instances below which no interval is."""
ALPHA = 0.05
MEAN, ORACLE = "mean single", "oracle"
Column = np.ndarray[Any, Any]
"""A value an instance."""
Gap = list[float] | None
"""[difference, low, high] of two shares, with the 95% interval."""


@dataclass(frozen=True)
class Case:
    """The candidates of one instance, and which of them are right."""

    instance_id: str
    outcomes: tuple[Outcome, ...]
    names: tuple[str, ...]
    right: tuple[bool, ...]
    matrix: CrossMatrix | None

    @property
    def open(self) -> bool:
        """The choice matters."""
        return 0 < sum(self.right) < len(self.right)

    @property
    def resolved(self) -> dict[str, bool]:
        return {o.candidate.digest: is_right for o, is_right in zip(self.outcomes, self.right,
                strict=True) if o.candidate}  # fmt: skip


def cases_of(verdicts: Path, truth: Path) -> list[Case]:
    patches = {(str(row["instance_id"]), str(row["candidate"])): row.get("model_patch")
               for row in labels.read_objects(truth)}  # fmt: skip
    resolved = labels.read_labels([truth])
    latest = {(str(row["instance_id"]), str(row["candidate"])): row
              for row in labels.read_objects(verdicts)}  # fmt: skip
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
    verdicts = [Verdict.model_validate({**v, "candidate": row["patch"]}) for v in row["verdicts"]]
    return Outcome(attempt=attempt, candidate=candidate, verdicts=tuple(verdicts))


def choices(case: Case, seed: int) -> dict[str, float]:
    """Selector -> 1 when what it hands in is right."""
    by_attempt = {o.attempt.id: right for o, right in zip(case.outcomes, case.right, strict=True)}
    selectors: dict[str, Any] = {
        "test-pass-rate": TestPassRate(),
        "majority": Majority(),
        "agentless": Agentless(),
        "pairwise": Pairwise(),
        "random": RandomChoice(seed=seed),
        ORACLE: Oracle(case.resolved),
    }
    made = {MEAN: float(np.mean(case.right))}
    for name, selector in selectors.items():
        chosen = selector.select(case.outcomes, case.matrix)
        made[name] = float(chosen is not None and by_attempt[chosen.attempt_id])
    return made


@dataclass(frozen=True)
class Best:
    """The run that is right most often, which only the labels tell."""

    name: str
    held: Column
    """(n,) bools: the instances on which the runs were compared."""
    right: Column
    """(held,) 0 or 1."""
    runs: tuple[str, ...]
    passed_over: tuple[str, ...]
    """Runs that fewer than half of the instances have."""


def best_single(cases: Sequence[Case]) -> Best | None:
    """The best candidate name; an instance that lacks one of the runs is dropped for all of them.

    None where no instance has them all.
    """
    counts = Counter(name for case in cases for name in case.names)
    runs = tuple(sorted(name for name, count in counts.items() if 2 * count >= len(cases)))
    held = np.array([set(runs) <= set(case.names) for case in cases])
    if not runs or not held.any():
        return None
    kept = [case for case, whole in zip(cases, held, strict=True) if whole]
    right = {name: np.array([case.right[case.names.index(name)] for case in kept], dtype=float)
             for name in runs}  # fmt: skip
    best = max(runs, key=lambda name: right[name].mean())
    return Best(best, held, right[best], runs, tuple(sorted(set(counts) - set(runs))))


def significance_of(label: str, column: Column, cases: Sequence[Case]) -> tuple[float | None, str]:
    """The p-value of a selector against a blind choice, and what it comes to."""
    if label in (MEAN, ORACLE):
        return None, "reference" if label == MEAN else "hindsight"
    places = [k for k, case in enumerate(cases) if case.open]
    if len(places) < FEW:
        return None, "too few open instances"
    p = significance.poisson_binomial_test(
        int(column[places].sum()), [float(np.mean(cases[k].right)) for k in places]
    )
    return p, "differs" if p < ALPHA else "none"


def less(one: Column, other: Column, seed: int) -> Gap:
    """The difference of two columns of the same instances, paired; None of few instances."""
    if len(one) < FEW:
        return None
    gap = one - other
    ends = bootstrap.percentile_interval(
        bootstrap.resampled_means(bootstrap.resample_shares(len(gap), seed=seed), gap)[:, 0]
    )
    return [round(x, 4) for x in (float(gap.mean()), *ends)]


def rows_of(cases: Sequence[Case], best: Best | None, seed: int) -> list[dict[str, Any]]:
    """A row a selector; of the best single run its share alone."""
    picked = [choices(case, seed) for case in cases]
    columns = {name: np.array([row[name] for row in picked]) for name in picked[0]}
    shares = bootstrap.resample_shares(len(cases), seed=seed)
    repos = [case.instance_id.rpartition("-")[0] for case in cases]
    whole = bootstrap.cluster_resample_shares(repos, seed=seed)
    rows: list[dict[str, Any]] = []
    for label, column in columns.items():
        gap = column - columns[MEAN]
        low, high = bootstrap.percentile_interval(bootstrap.resampled_means(shares, gap)[:, 0])
        wide = bootstrap.percentile_interval(bootstrap.resampled_means(whole, gap)[:, 0])
        p, word = significance_of(label, column, cases)
        rows.append({"selector": label, "resolved": round(float(column.mean()), 4),
                     "difference": round(float(gap.mean()), 4), "low": round(low, 4),
                     "high": round(high, 4), "repositories": [round(x, 4) for x in wide],
                     "p": p, "said": word,
                     "hindsight": {
                         "less best single": less(column[best.held], best.right, seed)
                         if best else None,
                         "less oracle": less(column, columns[ORACLE], seed),
                     }})  # fmt: skip
    return rows


def closing_lines(best: Best | None, count: int) -> list[str]:
    """The best single run in words, with what was dropped to find it."""
    if best is None:
        return ["no instance has all runs: no best single run"]
    lines = [f"best single run, chosen with hindsight of {len(best.runs)}: {best.name},"
             f" {best.right.mean():.1%} of {len(best.right)} instances"]  # fmt: skip
    if count > len(best.right):
        lines.append(f"{count - len(best.right)} instances lack a patch, verdict or label of one of"
                     " these runs and are dropped for all of them there")  # fmt: skip
    if best.passed_over:
        lines.append(f"not compared, as fewer than half of the instances have them:"
                     f" {', '.join(best.passed_over)}")  # fmt: skip
    return lines


def line_of(row: dict[str, Any]) -> str:
    """One selector in words."""
    low, high = row["repositories"]
    sure = "" if row["p"] is None else f" (p {row['p']:.2g})"
    text = (f"{row['selector']:16s} {row['resolved']:6.1%}  {row['difference']:+6.1%}"
            f" [{row['low']:+.1%}, {row['high']:+.1%}], by repository"
            f" [{low:+.1%}, {high:+.1%}]: {row['said']}{sure}")  # fmt: skip
    for name, gap in row["hindsight"].items():
        if gap is not None and not (name.endswith(ORACLE) and row["selector"] == ORACLE):
            text += f"\n{'':17s}with hindsight {name}: {gap[0]:+.1%} [{gap[1]:+.1%}, {gap[2]:+.1%}]"
    return text


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--verdicts", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(words)
    cases = cases_of(given.verdicts, given.labels)
    if not cases:
        sys.exit("no instance has two candidates with a verdict, a patch and a label")
    best = best_single(cases)
    rows = rows_of(cases, best, given.seed)
    counts = {
        "instances": len(cases),
        "open": sum(case.open for case in cases),
        "repositories": len({case.instance_id.rpartition("-")[0] for case in cases}),
    }
    if given.json:
        hindsight = best and {"name": best.name, "resolved": round(float(best.right.mean()), 4),
                              "instances": len(best.right), "runs": best.runs,
                              "not_compared": best.passed_over}  # fmt: skip
        print(json.dumps({**counts, "best_single_by_hindsight": hindsight, "rows": rows}))
        return
    print(f"{counts['instances']} instances of {counts['repositories']} repositories,"
          f" {sum(len(case.names) for case in cases)} candidates;"
          f" on {counts['open']} instances the choice matters")  # fmt: skip
    print("\n".join([*map(line_of, rows), *closing_lines(best, len(cases))]))


if __name__ == "__main__":
    main()
