"""Where a policy is replayed: issues, the ladder of arms, and the recorded runs that answer it.

A policy is shown what a live run would have shown it: the verdict of the channel, the cost, the
steps. The official verdict stays in ``Cell.resolved``, which only the engine reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from swe_router.errors import UsageError
from swe_router.outcomes.simulation.verifier_model import VerifierModel
from swe_router.outcomes.tables.table import OutcomeRow, OutcomeTable
from swe_router.records import (
    ACCEPTANCE,
    Arm,
    Attempt,
    Budget,
    Candidate,
    Example,
    Features,
    Outcome,
    Plan,
    RecordedRun,
    Trajectory,
    Verdict,
    label_with_phases,
)

SIMULATED_VERIFIER = "channel"


class MissingRun(UsageError):
    """A policy asked for a run that the table does not hold; nothing is guessed in its place."""


@dataclass(frozen=True)
class Cell:
    """One recorded run, as the truth and as a policy may see it."""

    row: OutcomeRow
    passes: float
    """Probability that the verifier accepts it."""
    accepted: Outcome
    """What the policy looks back on when the verifier passed the patch."""
    refused: Outcome
    """The same when it did not."""
    extra_usd: Decimal = Decimal(0)
    """USD in addition to the recorded cost: the prefix of a run that did not begin fresh."""

    @property
    def resolved(self) -> float:
        """1 when the official verdict is resolved."""
        return float(self.row.resolved)

    @property
    def usd(self) -> float:
        """USD of the run."""
        assert self.row.usd is not None
        return self.row.usd + float(self.extra_usd)

    def with_handover(self, plan: Plan, extra: Decimal) -> Cell:
        """A copy of the recorded run with the hand-over of ``plan`` and ``extra_usd`` USD added."""

        def dearer(outcome: Outcome) -> Outcome:
            old = outcome.attempt
            path = old.trajectory.model_copy(update={"usd": old.trajectory.usd + extra})
            handed = old.plan.model_copy(update={"handover": plan.handover})
            new = old.model_copy(update={"plan": handed, "trajectory": path})
            return outcome.model_copy(update={"attempt": new})

        return replace(
            self, accepted=dearer(self.accepted), refused=dearer(self.refused), extra_usd=extra
        )


@dataclass(frozen=True)
class Simulation:
    """A ladder of systems over the instances on which all of them have a run with a cost."""

    table: OutcomeTable
    ladder: tuple[Plan, ...]
    features: tuple[Features, ...]
    channel: VerifierModel

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """Names of the ladder's arms, from cheap to strong."""
        return tuple(str(plan.arm) for plan in self.ladder)

    @cached_property
    def cells(self) -> Mapping[tuple[str, str, int], Cell]:
        """(instance, arm, nth run with a cost, from 0) -> the recorded run."""
        made = {}
        for feature in self.features:
            for plan in self.ladder:
                key = (feature.instance_id, plan.arm.model)
                costed = [row for row in self.table.runs.get(key, ()) if row.usd is not None]
                for nth, row in enumerate(costed):
                    made[(*key, nth)] = _make_cell(row, plan, nth, self.channel)
        return made

    def cell(self, instance_id: str, arm: Arm, nth: int) -> Cell:
        """A recorded run. Raises ``MissingRun`` when there is none: a repeat is never invented."""
        found = self.cells.get((instance_id, arm.model, nth))
        if found is None:
            what = "no second run" if nth == 1 else f"no run number {nth + 1}"
            raise MissingRun(f"real repeats: {what} of {arm} on {instance_id}")
        return found

    def phased_cell(self, instance_id: str, plan: Plan, nth: int) -> Cell:
        """A recorded run of an arm with the phases of ``plan``, as our own runs leave them.

        Raises ``MissingRun`` when there is none: what a plan, advice or another's end would have
        made of a run is not in the runs of the tiers by themselves.
        """
        name = label_with_phases(plan.arm.model, plan.phases)
        rows = [r for r in self.table.runs.get((instance_id, name), ()) if r.usd is not None]
        if nth >= len(rows):
            raise MissingRun(
                f"recorded runs of {name}: there is none on {instance_id}, and runs of the tiers"
                " alone do not tell how two work together"
            )
        return _make_cell(rows[nth], plan, nth, self.channel)

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """Every issue as training data. Hand a policy those of other repositories only."""
        return tuple(
            Example(
                features=feature,
                runs={
                    arm: tuple(_as_tried(self.cells[key]) for nth in range(64)
                               if (key := (feature.instance_id, arm, nth)) in self.cells)
                    for arm in self.arms
                },
            )
            for feature in self.features
        )  # fmt: skip


def build_simulation(
    table: OutcomeTable,
    systems: Sequence[str],
    features: Sequence[Features],
    channel: VerifierModel,
) -> Simulation:
    """A stage over the instances where each of ``systems`` has a run whose cost is known.

    An attempt's dollar limit is the dearest recorded run of its system, rounded up to a cent.
    Raises ``UsageError`` when no instance is left, or a system has no cost at all.
    """
    wanted = [
        feature
        for feature in features
        if all(_runs_with_cost(table, feature.instance_id, name) for name in systems)
    ]
    if not wanted:
        raise UsageError(_no_instances_message(table, systems, features))
    ladder = tuple(Plan(arm=Arm(model=name), budget=_usd_limit(table, name)) for name in systems)
    return Simulation(table, ladder, tuple(wanted), channel)


def _runs_with_cost(table: OutcomeTable, instance_id: str, system: str) -> bool:
    return any(row.usd is not None for row in table.runs.get((instance_id, system), ()))


def _no_instances_message(
    table: OutcomeTable, systems: Sequence[str], features: Sequence[Features]
) -> str:
    bare = [s for s in systems if not any(r.usd is not None for r in table.rows if r.system == s)]
    if bare:
        return f"no cost is known of {', '.join(bare)}: leave it out, or give its cost"
    known = {feature.instance_id for feature in features}
    if not known & set(table.instances):
        return "the features and the outcomes have no instance in common"
    return f"no instance has a run of each of {', '.join(systems)}"


def _usd_limit(table: OutcomeTable, system: str) -> Budget:
    dearest = max(row.usd for row in table.rows if row.system == system and row.usd is not None)
    return Budget(dollars=Decimal(math.ceil(dearest * 100 - 1e-9)) / 100)


def _as_tried(cell: Cell) -> RecordedRun:
    row = cell.row
    return RecordedRun(resolved=row.resolved, usd=row.usd, steps=row.steps, seconds=row.seconds,
                 passes=cell.passes, probability=cell.accepted.probability)  # fmt: skip


def _make_cell(row: OutcomeRow, plan: Plan, nth: int, channel: VerifierModel) -> Cell:
    chance = channel.probability(row)
    verifier = SIMULATED_VERIFIER if chance is None else ACCEPTANCE

    def outcome(passed: bool) -> Outcome:
        name = f"{row.system}.{nth + 1}"
        attempt = Attempt(
            id=name,
            instance_id=row.instance_id,
            plan=plan,
            trajectory=Trajectory(
                exit="submitted", steps=row.steps or 0, usd=Decimal(str(row.usd))
            ),
            seconds=row.seconds or 0.0,
        )
        verdict = Verdict(
            candidate=name,
            verifier=verifier,
            outcome="pass" if passed else "fail",
            score=chance,
        )
        candidate = Candidate(attempt_id=name, patch="recorded", digest=name)
        return Outcome(attempt=attempt, candidate=candidate, verdicts=(verdict,))

    return Cell(row, channel.passes(row), outcome(True), outcome(False))
