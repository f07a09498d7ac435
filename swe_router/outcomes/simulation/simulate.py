"""A policy replayed over recorded outcomes: exactly where it can be, by shared draws where not.

A policy that looks at nothing but the issue and its own history is followed down every branch of
verdicts, so its row is the expectation itself. One that looks at the purse or learns on the way
meets the issues one after the other, in ``REPLICATES`` worlds whose verdicts every policy shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from swe_router.outcomes.simulation.handover_cost import reread
from swe_router.outcomes.simulation.stage import Cell, Simulation
from swe_router.policy_abilities import (
    SupportsChoice,
    SupportsMixture,
    deciding_policy,
    is_sequential,
)
from swe_router.records import (
    Budget,
    BudgetView,
    Features,
    Instance,
    Outcome,
    Plan,
    RouteDecision,
    RunRecord,
    Try,
    label_with_phases,
)
from swe_router.seams import Policy
from swe_router.stats.arrays import Floats

REPLICATES = 40
"""Worlds for policies whose decisions hang together."""
UNLIMITED_USD = Decimal(10**9)
"""The purse of a replay without a budget, USD."""
MAX_MOVES = 12


@dataclass(frozen=True)
class SimulatedEnding:
    """One way in which an instance may end."""

    probability: float
    resolved: float
    usd: float
    arm_runs: tuple[tuple[str, int], ...]
    """(arm, nth run) of every run, in order."""
    handed_in: int | None
    modes: tuple[str, ...] = ()
    """How each run began; empty when all began fresh."""


@dataclass(frozen=True)
class SimulatedRun:
    """What a policy came to, per instance in the order of the stage."""

    resolved: Floats
    """Expected share resolved, (n,), in [0, 1]."""
    usd: Floats
    """Expected USD, (n,)."""
    runs: Floats
    """Expected number of runs of each arm, (n, m)."""
    first_arm_probability: Floats
    """Probability that the first run is of each arm, (n, m)."""
    signature: tuple[Any, ...]
    """What it did on each instance; equal where two policies decide alike."""
    max_spent_usd: float = 0.0
    """The most USD that any world spent; with a budget, never above it."""


def play(
    policy: Policy,
    stage: Simulation,
    *,
    budget: Decimal | None = None,
    order: Sequence[int] | None = None,
    replicates: int = REPLICATES,
) -> SimulatedRun:
    """Replay a fitted policy over a stage. Raises ``MissingRun`` for a run that is not recorded.

    ``budget`` is a hard cap in USD for all instances together: then every policy is played
    sequentially, in ``order`` (indices of instances; each world has its own shuffle without one).
    """
    whole = Budget(dollars=UNLIMITED_USD if budget is None else budget)
    prepared = policy.prepare(stage.features, whole)
    if budget is None and not is_sequential(policy):
        leaves = [list(_possible_endings(prepared, stage, one)) for one in stage.features]
        return _expected_over_endings(leaves, stage)
    worlds = [
        list(
            _simulate_replicate(prepared, stage, whole.dollars, _instance_order(stage, order, k), k)
        )
        for k in range(replicates)
    ]
    return _mean_of_replicates(worlds, stage)


def submitted_index(policy: Policy, features: Features, history: Sequence[Outcome]) -> int | None:
    """Index of the candidate that is handed in: the last accepted one, else the last of all.

    The same order as selector ``test-pass-rate`` gives to candidates that differ in nothing else.
    """
    if not history:
        return None
    chooser = deciding_policy(policy, features)
    if isinstance(chooser, SupportsChoice):
        return chooser.choose_among(features, history)
    accepted = [number for number, outcome in enumerate(history) if outcome.accepted]
    return accepted[-1] if accepted else len(history) - 1


def _budget_view(budget: Decimal, spent: Decimal, left: int) -> BudgetView:
    return BudgetView(
        budget=budget, spent=spent, reserved=Decimal(0), instances_left=left, clock=0.0
    )


def _next_moves(
    policy: Policy, features: Features, history: Sequence[Outcome], purse: BudgetView
) -> Sequence[tuple[float, RouteDecision]]:
    mixture = deciding_policy(policy, features)
    if isinstance(mixture, SupportsMixture):
        return mixture.options(features, history, purse)
    return [(1.0, policy.decide(features, history, purse))]


def _recorded_cells(
    stage: Simulation, features: Features, plans: Iterable[Plan], before: Sequence[Cell]
) -> list[Cell]:
    """The recorded runs of a move, dearer by what they are handed over from those before it."""
    found, now = [], Counter(cell.row.system for cell in before)
    for plan in plans:
        name = label_with_phases(plan.arm.model, plan.phases)
        if plan.phases:
            cell = stage.phased_cell(features.instance_id, plan, now[name])
        else:
            cell = stage.cell(features.instance_id, plan.arm, now[name])
        now[name] += 1
        if plan.handover != "fresh" and before:
            cell = cell.with_handover(plan, reread(before[-1].row, cell.row, plan.handover))
        found.append(cell)
    return found


def _possible_endings(
    policy: Policy, stage: Simulation, features: Features
) -> Iterator[SimulatedEnding]:
    """Every way in which an instance may end, by depth-first walk over verdicts."""
    purse = _budget_view(UNLIMITED_USD, Decimal(0), len(stage.features))
    open_: list[tuple[float, tuple[Cell, ...], tuple[Outcome, ...]]] = [(1.0, (), ())]
    while open_:
        probability, cells, history = open_.pop()
        for share, move in _next_moves(policy, features, history, purse):
            if share <= 0:
                continue
            if not isinstance(move, Try) or len(history) >= MAX_MOVES:
                yield _ending_of(policy, features, probability * share, cells, history)
                continue
            new = _recorded_cells(stage, features, move.plans, cells)
            grown = [(probability * share, history)]
            for cell in new:
                grown = [
                    (chance * part, (*past, seen))
                    for chance, past in grown
                    for part, seen in (
                        (cell.passes, cell.accepted),
                        (1 - cell.passes, cell.refused),
                    )
                    if part > 0
                ]
            open_ += [(chance, (*cells, *new), past) for chance, past in grown]


def _ending_of(
    policy: Policy,
    features: Features,
    probability: float,
    cells: Sequence[Cell],
    history: Sequence[Outcome],
) -> SimulatedEnding:
    chosen = submitted_index(policy, features, history)
    used: Counter[str] = Counter()
    path = []
    for outcome in history:
        path.append((str(outcome.arm), used[str(outcome.arm)]))
        used[str(outcome.arm)] += 1
    return SimulatedEnding(
        probability,
        0.0 if chosen is None else cells[chosen].resolved,
        sum(cell.usd for cell in cells),
        tuple(path),
        chosen,
        _handover_modes(history),
    )


def _handover_modes(history: Sequence[Outcome]) -> tuple[str, ...]:
    plans = [outcome.attempt.plan for outcome in history]
    modes = tuple(
        label_with_phases(plan.handover, plan.phases) if plan.phases else plan.handover
        for plan in plans
    )
    return () if set(modes) <= {"fresh"} else modes


def _simulate_replicate(
    policy: Policy, stage: Simulation, budget: Decimal, order: Sequence[int], replicate: int
) -> Iterator[tuple[int, SimulatedEnding]]:
    """One world: the instances in order, one purse, the verdicts of this replicate."""
    spent = Decimal(0)
    for done, number in enumerate(order):
        features = stage.features[number]
        cells: tuple[Cell, ...] = ()
        history: tuple[Outcome, ...] = ()
        for _ in range(MAX_MOVES):
            purse = _budget_view(budget, spent, len(order) - done)
            move = policy.decide(features, history, purse)
            if not isinstance(move, Try):
                break
            new = _recorded_cells(stage, features, move.plans, cells)
            limits = (plan.budget.dollars for plan in move.plans)
            if sum(limits) + sum(cell.extra_usd for cell in new) > purse.left:
                break  # the ledger would refuse the attempt
            seen = [c.accepted if stage.channel.draw(c.row, replicate) else c.refused for c in new]
            cells, history = (*cells, *new), (*history, *seen)
            spent += sum((outcome.attempt.trajectory.usd for outcome in seen), Decimal(0))
        leaf = _ending_of(policy, features, 1.0, cells, history)
        yield number, leaf
        policy = policy.update(_record_for_update(features, history, leaf))


def _record_for_update(
    features: Features, history: tuple[Outcome, ...], leaf: SimulatedEnding
) -> RunRecord:
    """What a live run would have given to ``update``; no official verdict is in it."""
    chosen = None if leaf.handed_in is None else history[leaf.handed_in].attempt.id
    return RunRecord(
        run="replay",
        instance=Instance(
            id=features.instance_id, repo=features.repo, base_commit="", problem=features.text or ""
        ),
        features=features,
        decisions=(),
        outcomes=history,
        chosen=chosen,
        status="candidate" if history else "budget",
        usd=Decimal(str(round(leaf.usd, 9))),
    )


def _instance_order(
    stage: Simulation, order: Sequence[int] | None, replicate: int
) -> Sequence[int]:
    if order is not None:
        return order
    shuffled: list[int] = np.random.default_rng(replicate).permutation(len(stage.features)).tolist()
    return shuffled


def _expected_over_endings(
    leaves: Sequence[Sequence[SimulatedEnding]], stage: Simulation, most: float = 0.0
) -> SimulatedRun:
    size, arms = len(leaves), {arm: column for column, arm in enumerate(stage.arms)}
    resolved, usd = np.zeros(size), np.zeros(size)
    runs, first = np.zeros((size, len(arms))), np.zeros((size, len(arms)))
    for row, ends in enumerate(leaves):
        for leaf in ends:
            resolved[row] += leaf.probability * leaf.resolved
            usd[row] += leaf.probability * leaf.usd
            for arm, _ in leaf.arm_runs:
                runs[row, arms[arm]] += leaf.probability
            if leaf.arm_runs:
                first[row, arms[leaf.arm_runs[0][0]]] += leaf.probability
    return SimulatedRun(
        resolved, usd, runs, first, tuple(_path_signature(ends) for ends in leaves), most
    )


def _mean_of_replicates(
    worlds: Sequence[Sequence[tuple[int, SimulatedEnding]]], stage: Simulation
) -> SimulatedRun:
    share = 1 / len(worlds)
    leaves: list[list[SimulatedEnding]] = [[] for _ in stage.features]
    for world in worlds:
        for number, leaf in world:
            leaves[number].append(replace(leaf, probability=share))
    most = max(sum(leaf.usd for _, leaf in world) for world in worlds)
    return _expected_over_endings(leaves, stage, most)


def _path_signature(ends: Sequence[SimulatedEnding]) -> tuple[Any, ...]:
    """Paths with their rounded probabilities: equal where two policies do the same."""
    weights: dict[Any, float] = {}
    for leaf in ends:
        key = (leaf.arm_runs, leaf.handed_in, leaf.modes)
        weights[key] = weights.get(key, 0.0) + leaf.probability
    return tuple(sorted((key, round(weight, 6)) for key, weight in weights.items()))
