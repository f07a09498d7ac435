"""``report``, ``calibrate`` and ``export``: what a run says of its own verifiers, and hands out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.out import emit

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
RunsIn = Annotated[Path, typer.Option("--runs", help="Folder that holds the run folders.")]


def report(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Graded runs; several are pooled.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for report.html, .json, .md and .png.")
    ] = None,
    runs_in: RunsIn = Path("runs"),
    as_json: Json = False,
) -> int:
    """How often the verifiers were wrong: each verdict against the official result.

    By tier and verifier: right patches accepted (TPR), wrong ones accepted (FPR), AUC,
    calibration, with 95% intervals, beside what a cascade needs. Every candidate counts, not
    only those handed in. Example: swe-router report latest --out report
    """
    from swe_router.assemble import accounting

    shown = accounting.report(runs, runs_in, out)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0


def export(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run; latest is the newest.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="preds (for swebench and sb-cli), experiments (a leaderboard folder: predictions,"
            " metadata, README, trajectories, logs) or statement.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write into; for preds also a .json or .jsonl.")
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Also a run that is not finished.")
    ] = False,
    runs_in: RunsIn = Path("runs"),
    as_json: Json = False,
) -> int:
    """Hand a run out: its predictions, a leaderboard submission, or how it came about.

    The statement is written from the run's own records: attempts an instance, every test that a
    verdict rests on with its source and results, leak guard, audit, network. What they do not
    establish it says so. Example: swe-router export latest --format statement --out statement
    """
    from swe_router.assemble import exports

    shown = exports.export(run_name, runs_in, form, out, partial=partial)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0
