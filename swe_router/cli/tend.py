"""``clean`` and ``doctor``: the commands around the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.out import emit

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]


def clean(as_json: Json = False) -> int:
    """Remove containers and boxes that a killed run left behind; spares those of live runs."""
    from swe_router.assemble import machine

    done = machine.clean()
    emit(done.facts, as_json=as_json, view=done.view)
    return 0


def doctor(
    preset: Annotated[str, typer.Option(help="Tiers whose keys and servers to check.")] = "hybrid",
    out: Annotated[Path, typer.Option("--out", help="Folder for runs.")] = Path("runs"),
    as_json: Json = False,
) -> int:
    """Check what a run needs: sandbox, disk, open files, keys, prices, model servers."""
    from swe_router.assemble import machine

    report = machine.doctor(preset, out)
    emit(report.facts, as_json=as_json, view=report.view)
    return report.code
