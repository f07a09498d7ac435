"""The leaderboard: every policy over one table, with intervals, as one JSON-ready mapping."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from swe_router import plugins
from swe_router.estimates.caching.cache_use import saved_usd
from swe_router.outcomes.leaderboard import scoring, verdict_words
from swe_router.outcomes.leaderboard.verifier_map import verifier_map
from swe_router.outcomes.simulation import ladders
from swe_router.outcomes.simulation.entries import HANDED, Terms, entries
from swe_router.outcomes.simulation.handover_cost import Unpriced, rate_of_row
from swe_router.outcomes.simulation.oracle_policies import live, oracles
from swe_router.outcomes.simulation.stage import Simulation, build_simulation
from swe_router.outcomes.simulation.verifier_model import VerifierModel
from swe_router.outcomes.tables.issue_data import features_of_table, has_texts
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable
from swe_router.prices import PriceRate
from swe_router.records import Features, Usage
from swe_router.stats import bootstrap
from swe_router.stats.hull import hull_at


@dataclass(frozen=True)
class BoardRequest:
    """What the board is made of."""

    channel: VerifierModel
    weak: str = ""
    strong: str = ""
    models: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    """Names of plugins; none is all of them."""
    budget: Decimal | None = None
    """USD for all issues together, a hard cap; policies are then played one issue at a time."""
    bootstraps: int = bootstrap.RESAMPLES
    seed: int = 0
    random_cv: bool = False
    curves: bool = True
    replicates: int = 40


def leaderboard_rows(
    table: OutcomeTable,
    known: Sequence[Features],
    request: BoardRequest,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """``rows`` and what they rest on. Raises ``UsageError`` when there is nothing to compare.

    Nothing depends on the order of the table's rows or of ``known``.
    """
    features = features_of_table(table, known)
    ids = [one.instance_id for one in features]
    names = ladders.ladder(
        table, ids, weak=request.weak, strong=request.strong, models=request.models
    )
    simulation = build_simulation(table, names, features, request.channel)
    field = _competing_systems(simulation, request)
    terms = Terms(request.budget, request.random_cv, request.curves, request.replicates)
    default = (*plugins.plugin_names("policies"), *HANDED)
    made = entries(simulation, request.policies or default, terms, say)
    runs, short = live(simulation)
    for line in short:
        say(line)
    lines = scoring.score_rows(made, [*oracles(simulation), *runs], field)
    ids = [one.instance_id for one in simulation.features]
    return {
        "rows": sorted(lines, key=_sort_key),
        "assumptions": _assumption_lines(simulation, request),
        "ladder": [_single_system_row(simulation, field, k) for k in range(len(names))],
        "systems": [vars(p) for p in ladders.points(table, ids)],
        "hull": _hull_strip(field),
        "verifier_map": verifier_map(
            simulation,
            names[0],
            names[field.best_system_index] if field.best_system_index else names[-1],
        ),
        "n": len(ids),
        "table": ", ".join(Path(one).name for one in table.source.split(", ")),
        "channel": {
            "tpr": request.channel.tpr,
            "fpr": request.channel.fpr,
            "recorded": request.channel.recorded,
            "said": request.channel.description,
        },
        "budget": None if request.budget is None else float(request.budget),
        "bootstraps": request.bootstraps,
        "seed": request.seed,
        "texts": has_texts(simulation.features),
    }


def _competing_systems(simulation: Simulation, request: BoardRequest) -> scoring.SystemField:
    cells = [
        [simulation.cells[(f.instance_id, arm, _first_run(simulation, f.instance_id, arm))]
         for f in simulation.features]
        for arm in simulation.arms
    ]  # fmt: skip
    return scoring.SystemField(
        simulation.arms,
        np.array([[cell.resolved for cell in column] for column in cells]),
        np.array([[cell.usd for cell in column] for column in cells]),
        tuple(one.repo for one in simulation.features),
        request.bootstraps,
        request.seed,
    )


def _first_run(simulation: Simulation, instance_id: str, arm: str) -> int:
    """The first run; a board that has none is refused by ``stage``."""
    return next(nth for nth in range(64) if (instance_id, arm, nth) in simulation.cells)


def _single_system_row(
    simulation: Simulation, field: scoring.SystemField, k: int
) -> dict[str, Any]:
    return {
        "system": simulation.arms[k],
        "rate": float(field.rate[k]),
        "usd_per_issue": float(field.cost[k]),
        "limit_usd": float(simulation.ladder[k].budget.dollars),
        "cache": _cache_facts(simulation, simulation.ladder[k].arm.model),
    }


def _cache_facts(simulation: Simulation, system: str) -> dict[str, Any] | None:
    """What a cache did in the recorded runs of a system; None where no row tells its reads.

    ``saved_usd_per_issue`` is against no cache at the list prices of the rows' days, by the sums of
    a run; None where the model or the day is unknown.
    """
    rows = [
        row
        for one in simulation.features
        for row in simulation.table.runs.get((one.instance_id, system), ())
        if row.cache_read_tokens is not None and row.input_tokens is not None
    ]
    usages = [_usage(row) for row in rows]
    prompt = sum(usage.prompt_tokens for usage in usages)
    if not prompt:
        return None
    saved = None
    with contextlib.suppress(Unpriced):
        pairs = zip(usages, rows, strict=True)
        saved = sum((saved_usd(usage, _first_band(row)) for usage, row in pairs), Decimal(0))
    return {
        "share": round(sum(usage.cache_read_tokens for usage in usages) / prompt, 4),
        "saved_usd_per_issue": None if saved is None else float(saved / len(rows)),
    }


def _first_band(row: OutcomeRow) -> PriceRate:
    """The rate of a row's calls: dearer bands go by one call's prompt, and a row has sums."""
    rate = rate_of_row(row)
    return rate.model_copy(update={"bands": rate.bands[:1]})


def _usage(row: OutcomeRow) -> Usage:
    return Usage(
        input_tokens=row.input_tokens or 0,
        cache_read_tokens=row.cache_read_tokens or 0,
        cache_write_tokens=row.cache_write_tokens or 0,
    )


def _sort_key(line: Mapping[str, Any]) -> tuple[int, float, str]:
    """Oracles, then what ran by its margin, then what could not."""
    kinds = 0 if line["kind"] == "oracle" else 2 if line["rate"] is None else 1
    return kinds, -(line["hull_margin_pp"] or 0.0), line["policy"]


def _assumption_lines(simulation: Simulation, request: BoardRequest) -> list[str]:
    notes = [
        f"verifier: {request.channel.description}",
        "learned policies are fitted without the repository that they are scored on",
        f"intervals: 95%, {request.bootstraps} paired resamples of issues (repo_ fields: of"
        " repositories); they hold the recorded runs and the verifier's error rates for given",
        "hull: blind mixes of the ladder's systems and of leaving issues undone; a row's word is"
        " Holm's, at 5% over all policies of the board",
        "over cascade: margin over blind mixes that the plain cascade is one of: what routing adds"
        " to verifying",
        "a run counts with its recorded cost; the verifier's own cost is not in it",
    ]
    n, there = len(simulation.features), len(simulation.table.instances)
    if n < there:
        notes.append(f"{n} of the table's {there} issues have features and a run of every tier")
    if n < verdict_words.MIN_INSTANCES:
        notes.append(
            f"with fewer than {verdict_words.MIN_INSTANCES} issues no row is compared with a"
            f" random mix"
        )
    if request.budget is not None:
        notes.append(
            f"hard cap: ${request.budget} for {len(simulation.features)} issues, each policy in"
            f" {request.replicates} shuffled worlds; a run starts only if its limit still fits"
        )
    return notes


def _hull_strip(field: scoring.SystemField, samples: int = 60) -> list[dict[str, float]]:
    """The hull as points for a drawing, from its cheapest system to the dearest one."""
    spend = np.linspace(float(field.cost.min()), float(field.cost.max()), samples)
    height = hull_at(field.cost, field.rate, spend)
    return [{"usd_per_issue": float(x), "rate": float(y)}
            for x, y in zip(spend, height, strict=True)]  # fmt: skip
