"""``swe-router runs``: the run folders of a folder, newest first; a damaged one is marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swe_router.commands import run_facts
from swe_router.commands.result import CommandResult
from swe_router.errors import SweRouterError, UsageError
from swe_router.integrity import consistency
from swe_router.journal.header import OtherVersion, header_of_run
from swe_router.journal.run_folder import RunFolder, runs_in
from swe_router.reports import exit_status
from swe_router.reports.run_list import runs_view
from swe_router.reports.view_parts import text_view
from swe_router.safe_files import check_plain_folder

DEFAULT_RUNS_FOLDER = Path("runs")
"""Where runs go; it does not exist before the first run."""


def list_runs(folder: Path) -> CommandResult:
    """One row per run. A run that cannot be read has ``error`` in the place of its figures.

    Raises ``UsageError`` where there is no such folder.
    """
    if not folder.is_dir() and folder != DEFAULT_RUNS_FOLDER:
        what = "is no folder" if folder.exists() else "there is no such folder"
        raise UsageError(f"--out {folder}: {what}; it is the one that holds the run folders")
    found = [_run_row(path) for path in runs_in(folder)]
    rows = sorted(found, key=lambda row: (-row["created"], row["run"]))
    if not rows:
        return CommandResult(facts=[], view=text_view(f"there are no runs in {folder}"))
    return CommandResult(facts=rows, view=runs_view(rows))


def _run_row(path: Path) -> dict[str, Any]:
    run = RunFolder(path.resolve())
    row: dict[str, Any] = {"run": path.name, "path": str(path), "created": 0.0}
    try:
        check_plain_folder(path)
        header = header_of_run(run)
        row |= {"created": header.created, "split": header.settings.split,
                "policy": header.settings.policy.name}  # fmt: skip
        consistency.check_run(run)  # figures that the files do not bear out are none
        known = run_facts.read_run_facts(run)
    except (SweRouterError, OSError, ValueError, KeyError, TypeError) as error:
        kind = "other" if isinstance(error, OtherVersion) else "damaged"
        return {**row, "state": kind, "error": f"{error}" or type(error).__name__}
    totals = run_facts.run_summary(known)
    return {
        **row,
        "instances": len(known.instances),
        "concluded": len(known.records),
        "resolved": totals["resolved"],
        "usd": totals["usd"],
        "budget": totals["budget"],
        "ended": exit_status.run_ending(known.instances, known.records),
    }
