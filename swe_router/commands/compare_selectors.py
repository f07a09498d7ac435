"""What other selectors would hand in of a run's candidates, and how often that is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swe_router import plugins
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.integrity.locate import find_run
from swe_router.journal.header import header_of_run
from swe_router.records import Grade, RunRecord
from swe_router.reports.selector_table import RUN_CHOICE_ROW, SIGNIFICANCE_LEVEL, selectors_view
from swe_router.seams import Selector
from swe_router.solve.selection import checked_choice
from swe_router.stats import bootstrap, significance

MEAN_ROW = "mean single"
ORACLE_SELECTOR = "oracle"
MIN_INSTANCES = 10
"""Instances below which no difference is reported."""

GradesByPatch = Mapping[tuple[str, str], Grade]


def compare_selectors(run_name: str, runs_folder: Path, selectors: Sequence[str]) -> CommandResult:
    """Each selector over the recorded candidates; ``all`` names every one.

    Instances count of which every distinct patch has an official verdict. Differences from the
    run's own choice are paired by instance; "differs" needs an interval that excludes 0 and an
    exact test (of signs; of a blind choice, the law of its number right) at .05 after Holm.
    Raises ``UsageError`` for an unknown selector, or when nothing was graded.
    """
    run = find_run(run_name, runs_folder)
    graded = run.grades_by_patch()
    records = [one for one in run.records().values() if _is_fully_graded(one, graded)]
    if not records:
        raise UsageError(
            f"run {run.name}: of no instance every patch is graded, so selectors cannot be compared"
        )
    names = plugins.plugin_names("selectors") if "all" in selectors else list(selectors)
    seed = header_of_run(run).settings.seed
    chosen = {
        one: [_selected_attempt(one, record, graded, seed) for record in records] for one in names
    }
    chosen = {RUN_CHOICE_ROW: [record.chosen for record in records], **chosen}
    right = {one: np.array([_resolved_share(record, attempt, graded) for record, attempt in
             zip(records, chosen[one], strict=True)]) for one in chosen}  # fmt: skip
    right[MEAN_ROW] = np.array([_mean_candidate_share(record, graded) for record in records])
    ids = [record.instance.id for record in records]
    tested = {one: significance.sign_test(right[one] - right[RUN_CHOICE_ROW], ids) for one in chosen
              if one not in (RUN_CHOICE_ROW, ORACLE_SELECTOR)}  # fmt: skip
    tested[MEAN_ROW] = significance.poisson_binomial_test(
        int(right[RUN_CHOICE_ROW].sum()), list(right[MEAN_ROW])
    )
    p = dict(zip(tested, significance.holm_adjusted(list(tested.values())), strict=True))
    rows = [
        _selector_row(one, right[one], right[RUN_CHOICE_ROW], seed, p.get(one))
        for one in (*chosen, MEAN_ROW)
    ]
    picks = {
        record.instance.id: {one: chosen[one][n] for one in chosen}
        for n, record in enumerate(records)
    }
    facts = {"run": run.name, "instances": len(records), "selectors": rows, "chosen": picks}
    return CommandResult(facts=facts, view=selectors_view(run.name, len(records), rows))


def _is_fully_graded(record: RunRecord, grades: GradesByPatch) -> bool:
    """Every patch of the instance has a verdict, and there is one."""
    made = [o.candidate for o in record.outcomes if o.candidate and o.candidate.patch.strip()]
    known = [grades.get((record.instance.id, one.digest)) for one in made]
    return bool(made) and all(g is not None and g.outcome != "ungraded" for g in known)


def _is_resolved(record: RunRecord, patch_digest: str, grades: GradesByPatch) -> bool:
    grade = grades.get((record.instance.id, patch_digest))
    return grade is not None and grade.outcome == "resolved"


def _selected_attempt(
    selector_name: str, record: RunRecord, grades: GradesByPatch, seed: int
) -> str | None:
    """Attempt whose candidate the selector hands in; official results go to the oracle alone."""
    kind, knobs = plugins.load_plugin("selectors", selector_name), dict[str, Any]()
    if selector_name == ORACLE_SELECTOR:
        digests = [o.candidate.digest for o in record.outcomes if o.candidate]
        knobs = {"resolved": {digest: _is_resolved(record, digest, grades) for digest in digests}}
    if selector_name == "random":
        knobs = {"seed": seed}
    selector: Selector = kind(**knobs)
    candidate = checked_choice(selector, record.outcomes, record.matrix)
    return candidate.attempt_id if candidate is not None else None


def _resolved_share(record: RunRecord, attempt_id: str | None, grades: GradesByPatch) -> float:
    made = [o.candidate for o in record.outcomes if o.attempt.id == attempt_id and o.candidate]
    return float(bool(made) and _is_resolved(record, made[0].digest, grades))


def _mean_candidate_share(record: RunRecord, grades: GradesByPatch) -> float:
    """Chance of a blind choice among the non-empty candidates to be right."""
    made = [o.candidate for o in record.outcomes if o.candidate and o.candidate.patch.strip()]
    return float(np.mean([_is_resolved(record, one.digest, grades) for one in made]))


def _selector_row(
    selector_name: str, resolved_shares: Any, run_shares: Any, seed: int, p_value: float | None
) -> dict[str, Any]:
    gap = resolved_shares - run_shares
    low, high = bootstrap.percentile_interval(
        bootstrap.resampled_means(bootstrap.resample_shares(len(gap), seed=seed), gap)[:, 0]
    )
    differs = (low > 0 or high < 0) and p_value is not None and p_value < SIGNIFICANCE_LEVEL
    # "not told" is a value of --json, kept: people read "not significant".
    word = "differs" if differs else "not told" if gap.any() else "same"
    if selector_name == ORACLE_SELECTOR:
        word = "hindsight"
    return {
        "selector": selector_name,
        "resolved": round(float(resolved_shares.sum()), 3),
        "difference": round(float(gap.sum()), 3),
        "low": round(low * len(gap), 3),
        "high": round(high * len(gap), 3),
        "p": None if p_value is None else round(float(p_value), 6),
        "said": word
        if len(gap) >= MIN_INSTANCES or selector_name == ORACLE_SELECTOR
        else "too few instances",
    }
