"""Candidates and trajectories of one instance, joined into outcomes that are still unverified."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from swe_router.candidates.foreign_patch import candidate_of
from swe_router.candidates.prediction_files import check_text, entries, patch_of
from swe_router.candidates.trajectory import ForeignTrajectory, sealed
from swe_router.errors import UsageError
from swe_router.patch_identity import edits_digest
from swe_router.records import (
    IMPORTED,
    Arm,
    Attempt,
    Budget,
    FrozenRecord,
    Name,
    Outcome,
    Plan,
    Step,
    Trajectory,
    digest_of,
)

FIRST = f"0-{IMPORTED}"
"""Attempt id of the only imported candidate; of several the beginning of each."""


class ForeignCandidates(FrozenRecord):
    """A patch of another system; whether it is right is not known here."""

    instance_id: Name
    name: str
    """Tells it from the other candidates of its instance."""
    patch: str = ""
    model: str = ""
    """``model_name_or_path`` of its file."""
    named: bool = False
    """The file gave the name; else it is a number."""


@dataclass(frozen=True)
class InstanceCase:
    """One instance with everything that was brought along."""

    instance_id: str
    outcomes: tuple[Outcome, ...]
    """One per candidate under test, in the order of the file, without verdicts."""
    peers: tuple[Outcome, ...] = ()
    """Attempts that no candidate under test came from."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Attempt id -> name of the candidate."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Attempt id -> ``model_name_or_path``."""
    steps: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    """Attempt id -> what its trajectory tells."""

    def digest(self) -> str:
        """SHA-256 over all that a verdict may look at; the seals stand for the steps.

        Names and models are of it: a class of authors has its own weights, and two candidates
        may change names.
        """
        parts = [
            (
                one.candidate.digest if one.candidate else "",
                one.attempt.trajectory.fingerprint(),
                self.names.get(one.attempt.id, ""),
                self.models.get(one.attempt.id, ""),
                *([one.candidate.mended] if one.candidate and one.candidate.mended else []),
            )
            for one in (*self.outcomes, *self.peers)
        ]
        return digest_of(parts)


def read_candidates(path: Path) -> list[ForeignCandidates]:
    """Every candidate of a predictions file; an instance may have several.

    Reads instance_id, candidate, model_patch and model_name_or_path and nothing else: what more
    such files hold are often labels. ``candidate`` names one of several, else they are numbered.
    A text that is no diff is a candidate that does not apply: one such answer of a model does not
    take their verdicts from the others. Raises ``UsageError``: unreadable file, the same candidate
    twice.
    """
    found: list[ForeignCandidates] = []
    counted: dict[str, int] = {}
    seen: dict[tuple[str, str], str] = {}
    whole = [(where, *patch_of(where, entry, diff=False)) for where, entry in entries(path)]
    given_names = {(instance, _given(fields)) for _, instance, _, fields in whole}
    for where, instance, patch, fields in whole:
        counted[instance] = counted.get(instance, 0) + 1
        name = _given(fields)
        named = bool(name)
        while not name or (not named and (instance, name) in given_names):
            counted[instance] += bool(name)
            name = str(counted[instance])
        if (instance, name) in seen:
            first = seen[instance, name]
            raise UsageError(f"candidate {name!r} of {instance!r} is there twice: {first}, {where}")
        seen[instance, name] = where
        given = fields.get("model_name_or_path")
        model = given if isinstance(given, str) else ""
        check_text(where, instance, name, patch, model)
        made = {"instance_id": instance, "name": name, "patch": patch, "model": model}
        found.append(ForeignCandidates(**made, named=named))
    if not found:
        raise UsageError(f"{path} holds no predictions")
    return found


def _given(fields: Mapping[str, Any]) -> str:
    """The name that the file gives a candidate, or the empty string."""
    name = fields.get("candidate")
    return str(name) if isinstance(name, str | int) else ""


def check_known(found: Sequence[ForeignCandidates], known: Collection[str], split: str) -> None:
    """Raise ``UsageError`` for the candidates of instances that the split does not have."""
    strange = list(dict.fromkeys(one.instance_id for one in found if one.instance_id not in known))
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise UsageError(
            f"split {split!r} has no instance {', '.join(map(repr, strange[:3]))}{more}:"
            " is it the split that these predictions are of?"
        )


def mended(joined: Mapping[str, InstanceCase]) -> str:
    """A message about texts that were mended before they are judged; empty for none."""
    names = [f"{case.instance_id} {case.names[one.attempt.id]}" for case in joined.values()
             for one in case.outcomes if one.candidate and one.candidate.mended]  # fmt: skip
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return (
        f"{len(names)} patches were stripped of their last line end, with which git and the"
        f" official harness refuse them as they stand in the file; it was added: {shown}"
    )


def join(
    found: Sequence[ForeignCandidates], trajectories: Sequence[ForeignTrajectory], source: str
) -> dict[str, InstanceCase]:
    """Instance id -> its case; ``source`` names where the candidates came from.

    A trajectory belongs to the candidate whose patch it handed in, letter by letter or edit by
    edit, of several such to the one whose ``candidate`` names its file or folder; else to the one
    that is named so; the only one left that handed in nothing to the only empty candidate left;
    else to none: a peer.
    """
    by_id: dict[str, list[ForeignCandidates]] = {}
    for one in found:
        by_id.setdefault(one.instance_id, []).append(one)
    return {
        name: _case(
            name, mine, [_whole(one) for one in trajectories if one.instance_id == name], source
        )
        for name, mine in by_id.items()
    }


def _case(
    name: str,
    mine: Sequence[ForeignCandidates],
    trajectories: Sequence[ForeignTrajectory],
    source: str,
) -> InstanceCase:
    owned = _owned(mine, trajectories)
    outcomes, names, models = [], {}, {}
    steps: dict[str, tuple[Step, ...]] = {}
    for number, one in enumerate(mine):
        key = FIRST if len(mine) == 1 else f"{FIRST}.{number + 1}"
        # File, model, label: only the middle part names the author of the patch.
        file, label = "_".join(source.split()), "_".join(one.name.split())
        maker = " ".join(filter(None, (file, one.model, label)))
        outcomes.append(_outcome(key, name, one.patch, owned.get(number), maker))
        names[key], models[key] = one.name, one.model
        if number in owned:
            steps[key] = owned[number].steps
    peers = []
    rest = [one for one in trajectories if all(one is not other for other in owned.values())]
    for number, other in enumerate(rest, 1):
        key = f"0-peer.{number}"
        peers.append(_outcome(key, name, other.submission, other, other.name))
        steps[key] = other.steps
    return InstanceCase(name, tuple(outcomes), tuple(peers), names, models, steps)


def _whole(trajectory: ForeignTrajectory) -> ForeignTrajectory:
    """With the model that made it in each step, and the steps chained to each other."""

    def by(step: Step) -> Step:
        if step.completion.model or not trajectory.model:
            return step
        answer = step.completion.model_copy(update={"model": trajectory.model})
        return step.model_copy(update={"completion": answer})

    steps = sealed([by(step) for step in trajectory.steps])
    seal = steps[-1].seal if steps else ""
    end = trajectory.trajectory.model_copy(update={"seal": seal})
    return replace(trajectory, steps=steps, trajectory=end)


def _owned(
    mine: Sequence[ForeignCandidates], trajectories: Sequence[ForeignTrajectory]
) -> dict[int, ForeignTrajectory]:
    """Place of a candidate -> the trajectory that it came from; each belongs to one at most."""
    owned: dict[int, ForeignTrajectory] = {}
    left = list(trajectories)
    for fits in (_same_text_and_name, _same_edit_and_name, _same_text, _same_edit, _same_name):
        for other in tuple(left):
            # Two models may hand in the same text: the one that the run names goes first.
            ours = sorted(range(len(mine)), key=lambda n: not _same_maker(mine[n], other))
            for number in ours:
                if number not in owned and fits(mine[number], other):
                    owned[number] = other
                    left.remove(other)
                    break
    bare = [n for n, one in enumerate(mine) if n not in owned and not one.patch.strip()]
    empty = [other for other in left if not other.submission.strip()]
    if len(bare) == len(empty) == 1:  # no text or edit joins what handed in nothing
        owned[bare[0]] = empty[0]
    return owned


def _same_maker(one: ForeignCandidates, other: ForeignTrajectory) -> bool:
    ours, theirs = one.model.lower(), other.model.lower().rpartition("/")[2]
    return bool(ours and theirs) and (ours in theirs or theirs in ours)


def _same_text(one: ForeignCandidates, other: ForeignTrajectory) -> bool:
    return bool(other.submission.strip()) and one.patch.strip() == other.submission.strip()


def _same_edit(one: ForeignCandidates, other: ForeignTrajectory) -> bool:
    return bool(other.submission.strip()) and bool(one.patch.strip()) and (
        edits_digest(one.patch) == edits_digest(other.submission)
    )  # fmt: skip


def _same_text_and_name(one: ForeignCandidates, other: ForeignTrajectory) -> bool:
    """Where two runs handed in the same patch, each keeps its own trajectory."""
    return _same_name(one, other) and _same_text(one, other)


def _same_edit_and_name(one: ForeignCandidates, other: ForeignTrajectory) -> bool:
    return _same_name(one, other) and _same_edit(one, other)


def _same_name(one: ForeignCandidates, other: ForeignTrajectory) -> bool:
    """Its name is the file's, or that of a folder on the way to it."""
    return one.named and one.name in other.name.split("/")


def _outcome(
    key: str, instance_id: str, patch: str, trajectory: ForeignTrajectory | None, source: str
) -> Outcome:
    plan = Plan(arm=Arm(model=IMPORTED), budget=Budget(dollars=Decimal(0)))
    if trajectory is not None:
        end = trajectory.trajectory
    else:
        end = Trajectory(exit="submitted" if patch.strip() else "gave_up", why="no trajectory")
    attempt = Attempt(id=key, instance_id=instance_id, plan=plan, trajectory=end, source=source)
    return Outcome(attempt=attempt, candidate=candidate_of(key, patch))
