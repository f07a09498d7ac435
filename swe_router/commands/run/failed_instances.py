"""``--from RUN``: a run's predictions; ``--failed``: the instances that it officially failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_router.errors import UsageError
from swe_router.journal.header import header_of_run
from swe_router.journal.run_folder import RunFolder


@dataclass(frozen=True)
class FailedInstances:
    """Instances of a graded run whose official outcome is not ``resolved``."""

    split: str
    instance_ids: tuple[str, ...]
    note: str
    """What was taken, as one sentence for people."""


def predictions_file(run_or_file: str, runs_folder: Path) -> str:
    """The file that ``--from`` names: itself, or the predictions of the run of that name."""
    if Path(run_or_file).is_file():
        return run_or_file
    try:
        return str(RunFolder.find(run_or_file, runs_folder).predictions_file)
    except UsageError:
        return run_or_file  # reading it raises the error


def failed_instances(run_or_file: str, runs_folder: Path) -> FailedInstances:
    """What a graded run failed; its own ``preds.json`` may be named for it.

    Without a grade, or with one that says ``ungraded``, an instance has no official outcome: it
    is left out. Raises ``UsageError`` when there is no such run, or nothing that it failed.
    """
    path = Path(run_or_file)
    if path.is_file():
        if not (path.parent / "settings.json").is_file():
            raise UsageError(
                f"--failed needs official outcomes, and {run_or_file} lies in no run: name a"
                " graded RUN"
            )
        run = RunFolder.find(str(path.parent), runs_folder)
    else:
        run = RunFolder.find(run_or_file, runs_folder)
    grades = run.grades()
    names = [one.id for one in run.instances()]
    graded = [name for name in names if name in grades and grades[name].outcome != "ungraded"]
    found = tuple(name for name in graded if grades[name].outcome != "resolved")
    without = len(names) - len(graded)
    if not found:
        hint = f" and {without} have no official outcome (`swe-router grade`)" if without else ""
        raise UsageError(f"run {run.name} failed none of {len(graded)} graded instances{hint}")
    note = (
        f"{len(found)} of {len(names)} instances of {run.name} are officially not resolved"
        + (f", {without} without an outcome are left out" if without else "")
        + "; the answer key chose them, so what this run resolves is no score of the split"
    )
    return FailedInstances(header_of_run(run).settings.split, found, note)
