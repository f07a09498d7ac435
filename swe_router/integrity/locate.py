"""A run by name or path."""

from __future__ import annotations

from pathlib import Path

from swe_router import assets
from swe_router.integrity import consistency
from swe_router.journal.run_folder import RunFolder

SAMPLE_RUN = "sample"
"""Name of the recorded demo run that ships with the package."""


def find_run(name: str, runs_folder: Path, *, exact: bool = True) -> RunFolder:
    """A run by name or path; ``sample`` is the one that ships, unless ``runs_folder`` has one.

    Raises ``UsageError`` for one whose files do not belong together (``consistency.check_run``).
    """
    shipped = assets.assets_root() / "runs" / SAMPLE_RUN
    if name == SAMPLE_RUN and not (runs_folder / SAMPLE_RUN).exists() and shipped.exists():
        run = RunFolder(shipped)
        consistency.check_run(run, exact=exact)
        return run
    run = RunFolder.find(name, runs_folder)
    consistency.check_run(run, exact=exact)
    return run
