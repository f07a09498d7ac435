"""``swe-router runs``: the run folders of a folder, newest first; a damaged one is said to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from swe_router.commands import run_facts
from swe_router.commands.result import CommandResult
from swe_router.errors import SweRouterError, UsageError
from swe_router.integrity import consistency
from swe_router.journal.header import OtherVersion, of_run
from swe_router.journal.run_folder import RunFolder, runs_in
from swe_router.reports import exit_status
from swe_router.reports.fitted_table import Fitted
from swe_router.reports.run_text import usd
from swe_router.safe_files import check_plain

USUAL = Path("runs")
"""Where runs go: who has made none yet has no such folder."""
STATES = {"done": "done", "infra": "owed", "budget": "money ended"}


def listed(folder: Path) -> CommandResult:
    """One row a run. A run that cannot be read has ``error`` in the place of its figures.

    Raises ``UsageError`` where there is no such folder.
    """
    if not folder.is_dir() and folder != USUAL:
        what = "is no folder" if folder.exists() else "there is no such folder"
        raise UsageError(f"--out {folder}: {what}; it is the one that holds the run folders")
    found = [_row(path) for path in runs_in(folder)]
    rows = sorted(found, key=lambda row: (-row["created"], row["run"]))
    if not rows:
        return CommandResult(facts=[], view=Text(f"there are no runs in {folder}"))
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True, min_width=max(len(row["run"]) for row in rows))
    for name in ("concluded", "resolved", "USD", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("state", "split", "policy"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    return CommandResult(facts=rows, view=Fitted(table))


def _row(path: Path) -> dict[str, Any]:
    run = RunFolder(path.resolve())
    row: dict[str, Any] = {"run": path.name, "path": str(path), "created": 0.0}
    try:
        check_plain(path)
        header = of_run(run)
        row |= {"created": header.created, "split": header.settings.split,
                "policy": header.settings.policy.name}  # fmt: skip
        consistency.check(run)  # figures that the files do not bear out are none
        known = run_facts.of(run)
    except (SweRouterError, OSError, ValueError, KeyError, TypeError) as error:
        kind = "other" if isinstance(error, OtherVersion) else "damaged"
        return {**row, "state": kind, "error": f"{error}" or type(error).__name__}
    said = run_facts.summary(known)
    return {
        **row,
        "instances": len(known.instances),
        "concluded": len(known.records),
        "resolved": said["resolved"],
        "usd": said["usd"],
        "budget": said["budget"],
        "ended": exit_status.ended(known.instances, known.records),
    }


def _cells(row: dict[str, Any]) -> list[Any]:
    if "error" in row:
        said = row["error"] if row["state"] == "other" else f"damaged: {row['error']}"
        return [row["run"], "", "", "", "", Text(said, "red"), "", ""]
    state = STATES[row["ended"]]
    return [
        row["run"], f"{row['concluded']}/{row['instances']}", str(row["resolved"]),
        usd(row["usd"]), usd(row["budget"]), Text(state, "" if state == "done" else "yellow"),
        row["split"], row["policy"],
    ]  # fmt: skip
