"""``--from``: candidates that exist already become attempt 0 of their instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swe_router.candidates import joining, trajectory_folders
from swe_router.candidates.joining import ForeignCandidates, InstanceCase
from swe_router.candidates.prediction_files import may_be_diff
from swe_router.errors import UsageError
from swe_router.instances import splits
from swe_router.journal import imported_candidates
from swe_router.journal.header import Header
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.records import Instance, digest_of
from swe_router.settings import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunInputs:
    """The instances of a run and the candidates imported for them."""

    settings: Settings
    """With the digest of what the source held, so that it names the run."""
    instances: list[Instance]
    cases: Mapping[str, InstanceCase] = field(default_factory=dict)


def read_run_inputs(settings: Settings, say: Say) -> RunInputs:
    """The instances that the settings ask for, with the candidates that ``source`` has of them.

    With a source these are the instances that it has candidates for, and with ``rest`` all others
    of the split too. Raises ``UsageError``.
    """
    known = splits.load_instances(settings.split, dataset_reader=settings.dataset)
    found = joining.read_candidates(Path(settings.source)) if settings.source else []
    joining.check_known(found, {one.id for one in known}, settings.split)
    name, there = settings.split, {one.instance_id for one in found}
    if settings.source and not settings.rest:
        known = [one for one in known if one.id in there]
        name = f"{settings.split} with candidates in {settings.source}"
    instances = splits.narrow_instances(
        known, name, ids=settings.instances, filter=settings.filter, slice=settings.slice,
        shuffle=settings.shuffle, seed=settings.seed,
    )  # fmt: skip
    if not settings.source:
        return RunInputs(settings, instances)
    ids = {one.id for one in instances}
    trajectories = (
        trajectory_folders.read_trajectories(Path(settings.trajectories), ids, say)
        if settings.trajectories
        else []
    )
    mine = _with_readable_patches([one for one in found if one.instance_id in ids], say)
    joined = joining.join(mine, trajectories, Path(settings.source).name)
    if note := joining.mended(joined):
        say(note)
    say(f"{len(mine)} candidates of {len(joined)} instances, {len(trajectories)} trajectories")
    sealed = settings.model_copy(update={"source_digest": cases_digest(joined)})
    return RunInputs(sealed, instances, joined)


def _with_readable_patches(
    imported: Sequence[ForeignCandidates], say: Say
) -> list[ForeignCandidates]:
    """The candidates; one whose text is no diff has no patch, as an attempt that gave up."""
    made = []
    for one in imported:
        if not may_be_diff(one.patch):
            say(f"{one.instance_id}: candidate {one.name!r} is no diff: it counts as no patch")
            one = one.model_copy(update={"patch": ""})  # noqa: PLW2901
        made.append(one)
    return made


def cases_digest(cases: Mapping[str, InstanceCase]) -> str:
    """SHA-256 over all imported candidates with their trajectories.

    The sources count: they name the author, whose class decides how a verdict is weighed.
    """

    def parts(case: InstanceCase) -> object:
        sources = [one.attempt.source for one in (*case.outcomes, *case.peers)]
        return [case.digest(), sources, dict(case.names), dict(case.models)]

    return digest_of({name: parts(case) for name, case in cases.items()})


def imported_cases(run: RunFolder) -> dict[str, InstanceCase]:
    """The imported candidates of a run, by instance id."""
    found = (
        (one.id, imported_candidates.load_case(run.attempt_folder(one.id)))
        for one in run.instances()
    )
    return {name: case for name, case in found if case is not None}


def has_unverified(run: RunFolder, instance: Instance) -> bool:
    """Whether the instance has imported candidates that are still to be verified."""
    folder = run.attempt_folder(instance.id)
    return (folder / imported_candidates.CASE_FILE).exists() and InstanceLog(
        folder
    ).verified_imports() is None


def require_same_candidates(run: RunFolder, header: Header) -> None:
    """Raise ``UsageError`` when the run's folder does not hold the candidates it began with."""
    if (
        header.settings.source
        and cases_digest(imported_cases(run)) != header.settings.source_digest
    ):
        raise UsageError(
            f"run {run.name} does not hold the candidates that it began with (it was killed while"
            " it was created, or they were changed): begin it anew with --from"
        )
