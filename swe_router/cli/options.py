"""Options that several commands share: one wording each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run; latest is the newest.")]
RunsOut = Annotated[Path, typer.Option("--out", help="Folder that holds the run folders.")]
RunsFolder = Annotated[Path, typer.Option("--runs", help="Folder that holds the run folders.")]
InstanceIds = Annotated[
    list[str] | None,
    typer.Option("--instances", "-i", help="Only these instance ids, or @FILE of them."),
]
IdFilter = Annotated[
    str | None, typer.Option("--filter", help="Only ids that match this regular expression.")
]
DataSet = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Data set that reads the split, where neither name nor columns tell"
        " (docs/datasets.md).",
    ),
]
Repositories = Annotated[str | None, typer.Option(help="Folder of git repositories (read only).")]
SandboxKind = Annotated[str | None, typer.Option(help="auto, docker or local.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a setting: a.b=value.")
]
Batch = Annotated[
    bool,
    typer.Option(
        "--batch",
        help="Send each step of all instances together through the provider's batch API: half the"
        " price, hours instead of minutes. --dry-run weighs them.",
    ),
]
BatchOrLive = Annotated[
    bool | None,
    typer.Option(
        "--batch/--live",
        help="Send calls in batches, or at once, from now on. Default: as the run began.",
    ),
]
CancelBatches = Annotated[
    bool,
    typer.Option(
        "--cancel-batches",
        help="Only end the batches that are out and settle what they cost; answers that came by"
        " then are kept for the resume.",
    ),
]
