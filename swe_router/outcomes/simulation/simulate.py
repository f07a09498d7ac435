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
)
from swe_router.seams import Policy
from swe_router.stats.arrays import Floats

REPLICATES = 40
"""Worlds for policies whose decisions hang together."""
UNBOUND = Decimal(10**9)
"""The purse of a replay without a budget, USD."""
MAX_MOVES = 12


@dataclass(frozen=True)
class Leaf:
    """One way in which an instance may end."""

    probability: float
    resolved: float
    usd: float
    path: tuple[tuple[str, int], ...]
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
    first: Floats
    """Probability that the first run is of each arm, (n, m)."""
    signature: tuple[Any, ...]
    """What it did on each instance; equal where two policies decide alike."""
    most_spent: float = 0.0
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
    whole = Budget(dollars=UNBOUND if budget is None else budget)
    prepared = policy.prepare(stage.features, whole)
    if budget is None and not is_sequential(policy):
        leaves = [list(_branches(prepared, stage, one)) for one in stage.features]
        return _expected(leaves, stage)
    worlds = [
        list(_world(prepared, stage, whole.dollars, _order(stage, order, k), k))
        for k in range(replicates)
    ]
    return _averaged(worlds, stage)


def handed_in(policy: Policy, features: Features, history: Sequence[Outcome]) -> int | None:
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


def _purse(budget: Decimal, spent: Decimal, left: int) -> BudgetView:
    return BudgetView(
        budget=budget, spent=spent, reserved=Decimal(0), instances_left=left, clock=0.0
    )


def _moves(
    policy: Policy, features: Features, history: Sequence[Outcome], purse: BudgetView
) -> Sequence[tuple[float, RouteDecision]]:
    mixture = deciding_policy(policy, features)
    if isinstance(mixture, SupportsMixture):
        return mixture.options(features, history, purse)
    return [(1.0, policy.decide(features, history, purse))]


def _cells(
    stage: Simulation, features: Features, plans: Iterable[Plan], before: Sequence[Cell]
) -> list[Cell]:
    """The recorded runs of a move, dearer by what they are handed over from those before it."""
    found, now = [], Counter(cell.row.system for cell in before)
    for plan in plans:
        cell = stage.cell(features.instance_id, plan.arm, now[plan.arm.model])
        now[plan.arm.model] += 1
        if plan.handover != "fresh" and before:
            cell = cell.begun(plan, reread(before[-1].row, cell.row, plan.handover))
        found.append(cell)
    return found


def _branches(policy: Policy, stage: Simulation, features: Features) -> Iterator[Leaf]:
    """Every way in which an instance may end, by depth-first walk over verdicts."""
    purse = _purse(UNBOUND, Decimal(0), len(stage.features))
    open_: list[tuple[float, tuple[Cell, ...], tuple[Outcome, ...]]] = [(1.0, (), ())]
    while open_:
        probability, cells, history = open_.pop()
        for share, move in _moves(policy, features, history, purse):
            if share <= 0:
                continue
            if not isinstance(move, Try) or len(history) >= MAX_MOVES:
                yield _leaf(policy, features, probability * share, cells, history)
                continue
            new = _cells(stage, features, move.plans, cells)
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


def _leaf(
    policy: Policy,
    features: Features,
    probability: float,
    cells: Sequence[Cell],
    history: Sequence[Outcome],
) -> Leaf:
    chosen = handed_in(policy, features, history)
    used: Counter[str] = Counter()
    path = []
    for outcome in history:
        path.append((str(outcome.arm), used[str(outcome.arm)]))
        used[str(outcome.arm)] += 1
    return Leaf(
        probability,
        0.0 if chosen is None else cells[chosen].resolved,
        sum(cell.usd for cell in cells),
        tuple(path),
        chosen,
        _modes(history),
    )


def _modes(history: Sequence[Outcome]) -> tuple[str, ...]:
    modes = tuple(outcome.attempt.plan.handover for outcome in history)
    return () if set(modes) <= {"fresh"} else modes


def _world(
    policy: Policy, stage: Simulation, budget: Decimal, order: Sequence[int], replicate: int
) -> Iterator[tuple[int, Leaf]]:
    """One world: the instances in order, one purse, the verdicts of this replicate."""
    spent = Decimal(0)
    for done, number in enumerate(order):
        features = stage.features[number]
        cells: tuple[Cell, ...] = ()
        history: tuple[Outcome, ...] = ()
        for _ in range(MAX_MOVES):
            purse = _purse(budget, spent, len(order) - done)
            move = policy.decide(features, history, purse)
            if not isinstance(move, Try):
                break
            new = _cells(stage, features, move.plans, cells)
            limits = (plan.budget.dollars for plan in move.plans)
            if sum(limits) + sum(cell.extra for cell in new) > purse.left:
                break  # the ledger would refuse the attempt
            seen = [c.accepted if stage.channel.draw(c.row, replicate) else c.refused for c in new]
            cells, history = (*cells, *new), (*history, *seen)
            spent += sum((outcome.attempt.trajectory.usd for outcome in seen), Decimal(0))
        leaf = _leaf(policy, features, 1.0, cells, history)
        yield number, leaf
        policy = policy.update(_record(features, history, leaf))


def _record(features: Features, history: tuple[Outcome, ...], leaf: Leaf) -> RunRecord:
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


def _order(stage: Simulation, order: Sequence[int] | None, replicate: int) -> Sequence[int]:
    if order is not None:
        return order
    shuffled: list[int] = np.random.default_rng(replicate).permutation(len(stage.features)).tolist()
    return shuffled


def _expected(
    leaves: Sequence[Sequence[Leaf]], stage: Simulation, most: float = 0.0
) -> SimulatedRun:
    size, arms = len(leaves), {arm: column for column, arm in enumerate(stage.arms)}
    resolved, usd = np.zeros(size), np.zeros(size)
    runs, first = np.zeros((size, len(arms))), np.zeros((size, len(arms)))
    for row, ends in enumerate(leaves):
        for leaf in ends:
            resolved[row] += leaf.probability * leaf.resolved
            usd[row] += leaf.probability * leaf.usd
            for arm, _ in leaf.path:
                runs[row, arms[arm]] += leaf.probability
            if leaf.path:
                first[row, arms[leaf.path[0][0]]] += leaf.probability
    return SimulatedRun(
        resolved, usd, runs, first, tuple(_signature(ends) for ends in leaves), most
    )


def _averaged(worlds: Sequence[Sequence[tuple[int, Leaf]]], stage: Simulation) -> SimulatedRun:
    share = 1 / len(worlds)
    leaves: list[list[Leaf]] = [[] for _ in stage.features]
    for world in worlds:
        for number, leaf in world:
            leaves[number].append(replace(leaf, probability=share))
    most = max(sum(leaf.usd for _, leaf in world) for world in worlds)
    return _expected(leaves, stage, most)


def _signature(ends: Sequence[Leaf]) -> tuple[Any, ...]:
    """Paths with their rounded probabilities: equal where two policies do the same."""
    weights: dict[Any, float] = {}
    for leaf in ends:
        key = (leaf.path, leaf.handed_in, leaf.modes)
        weights[key] = weights.get(key, 0.0) + leaf.probability
    return tuple(sorted((key, round(weight, 6)) for key, weight in weights.items()))
