"""``calibrate --stop-loss``: from which step or dollar on an attempt is not worth going on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.out import emit
from swe_router.errors import UsageError


def calibrate(
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    stop_loss: Annotated[
        bool, typer.Option("--stop-loss", help="Fit when an attempt is given up.")
    ] = False,
    outcomes: Annotated[Path | None, typer.Option(help="Outcome table with steps and USD.")] = None,
    value: Annotated[
        float | None, typer.Option(help="USD that a resolved issue is worth to you.")
    ] = None,
    systems: Annotated[
        list[str] | None, typer.Option(help="TIER=SYSTEM of the table; once a tier.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> int:
    """Fit thresholds to recorded runs.

    Example: swe-router calibrate --stop-loss --outcomes table.csv --value 2 --systems
    local=devstral --out stop.json, then: swe-router run --set stop_loss=stop.json
    """
    from swe_router.assemble import stoploss

    if not stop_loss:
        raise UsageError("say what is to be calibrated: --stop-loss")
    if outcomes is None or value is None:
        raise UsageError("--stop-loss needs --outcomes FILE and --value USD")
    shown = stoploss.calibrate(outcomes, value, systems or (), out)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return shown.code
