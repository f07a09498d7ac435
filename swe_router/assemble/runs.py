"""``swe-router runs``: the run folders of a folder, newest first; a damaged one is said to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from swe_router.assemble import facts, sound
from swe_router.assemble.header import OtherVersion, of_run
from swe_router.assemble.shown import Shown
from swe_router.errors import SweRouterError, UsageError
from swe_router.files import check_plain
from swe_router.journal.folder import RunFolder, runs_in
from swe_router.reports import ending
from swe_router.reports.fitted import Fitted
from swe_router.reports.text import usd

USUAL = Path("runs")
"""Where runs go: who has made none yet has no such folder."""
STATES = {"done": "done", "infra": "owed", "budget": "money ended"}


def listed(folder: Path) -> Shown:
    """One row a run. A run that cannot be read has ``error`` in the place of its figures.

    Raises ``UsageError`` where there is no such folder.
    """
    if not folder.is_dir() and folder != USUAL:
        what = "is no folder" if folder.exists() else "there is no such folder"
        raise UsageError(f"--out {folder}: {what}; it is the one that holds the run folders")
    found = [_row(path) for path in runs_in(folder)]
    rows = sorted(found, key=lambda row: (-row["created"], row["run"]))
    if not rows:
        return Shown(facts=[], view=Text(f"there are no runs in {folder}"))
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True, min_width=max(len(row["run"]) for row in rows))
    for name in ("concluded", "resolved", "USD", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("state", "split", "policy"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    return Shown(facts=rows, view=Fitted(table))


def _row(path: Path) -> dict[str, Any]:
    run = RunFolder(path.resolve())
    row: dict[str, Any] = {"run": path.name, "path": str(path), "created": 0.0}
    try:
        check_plain(path)
        header = of_run(run)
        row |= {"created": header.created, "split": header.settings.split,
                "policy": header.settings.policy.name}  # fmt: skip
        sound.check(run)  # figures that the files do not bear out are none
        known = facts.of(run)
    except (SweRouterError, OSError, ValueError, KeyError, TypeError) as error:
        kind = "other" if isinstance(error, OtherVersion) else "damaged"
        return {**row, "state": kind, "error": f"{error}" or type(error).__name__}
    said = facts.summary(known)
    return {
        **row,
        "instances": len(known.instances),
        "concluded": len(known.records),
        "resolved": said["resolved"],
        "usd": said["usd"],
        "budget": said["budget"],
        "ended": ending.ended(known.instances, known.records),
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
