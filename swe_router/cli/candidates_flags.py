"""Which instances and predictions a run begins with, from ``--from`` and ``--failed``."""

from __future__ import annotations

from pathlib import Path

from swe_router.cli.output import talk
from swe_router.errors import UsageError


def chosen(
    only: list[str] | None,
    split: str | None,
    source: str | None,
    failed: bool,
    runs_folder: Path,
    source_trajectories: str | None,
    rest: bool,
) -> tuple[list[str] | None, str | None, str | None]:
    """Instance ids, split and predictions, from ``--from`` and ``--failed``."""
    if source is None:
        if source_trajectories is not None or rest:
            raise UsageError("--trajectories and --rest go with --from PREDICTIONS")
        if failed:
            raise UsageError("--failed goes with --from RUN: a graded run")
        return only, split, None
    from swe_router.commands.run import failed_instances as graded

    if not failed:
        return only, split, graded.predictions_file(source, runs_folder)
    found = graded.failed_instances(source, runs_folder)
    talk(found.note)
    wished = [name for name in found.instance_ids if only is None or name in only]
    if not wished:
        raise UsageError(f"--failed and --instances have none in common: {source} failed others")
    return wished, split or found.split, None
