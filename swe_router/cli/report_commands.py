"""``report``, ``calibrate`` and ``export``: what a run says of its own verifiers, and hands out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.options import Json, RunName, RunsFolder
from swe_router.cli.output import emit
from swe_router.errors import UsageError

Verdicts = Annotated[
    list[Path] | None, typer.Option(help="Rows of `verify --json`, with --labels.")
]
Labels = Annotated[
    list[Path] | None,
    typer.Option(help="Official results: instance_id, candidate, resolved; .jsonl or .csv."),
]


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Graded runs; several are pooled."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for report.html, .json, .md and .png.")
    ] = None,
    verdicts: Verdicts = None,
    labels: Labels = None,
    runs_in: RunsFolder = Path("runs"),
    as_json: Json = False,
) -> int:
    """How often the verifiers were wrong: each verdict against the official result.

    By tier and verifier: right patches accepted (TPR), wrong ones accepted (FPR), AUC,
    calibration, with 95% intervals, compared with what a cascade needs. Every candidate counts, not
    only those handed in. Rows of `verify` are reported by class of author, with their labels.
    Example: swe-router report latest --out report
    """
    from swe_router.commands.report import error_rates

    shown = error_rates.report_error_rates(runs or (), runs_in, out, verdicts or (), labels or ())
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0


def calibrate(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Graded runs of your own.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write.")] = None,
    verdicts: Verdicts = None,
    labels: Labels = None,
    false_accepts: Annotated[
        float, typer.Option(help="Share of wrong patches that may be accepted.")
    ] = 0.28,
    confidence: Annotated[float, typer.Option(help="Confidence of that bound.")] = 0.95,
    stop_loss: Annotated[
        bool, typer.Option("--stop-loss", help="Fit when an attempt is given up, instead.")
    ] = False,
    outcomes: Annotated[
        Path | None, typer.Option(help="For --stop-loss: outcome table with steps and USD.")
    ] = None,
    value: Annotated[
        float | None, typer.Option(help="For --stop-loss: USD that a resolved issue is worth.")
    ] = None,
    systems: Annotated[
        list[str] | None, typer.Option(help="For --stop-loss: TIER=SYSTEM of the table.")
    ] = None,
    runs_in: RunsFolder = Path("runs"),
    as_json: Json = False,
) -> int:
    """Refit what accepts a patch, or gives up an attempt, on your own graded runs.

    The bound on false accepts is Clopper-Pearson's on repositories that the fit never saw; where
    the data is too small for it, a message says so and no bound is claimed. Examples:
    swe-router calibrate RUN1 RUN2 --out mine.json, then
    swe-router run --set verify.calibration=mine.json;
    swe-router calibrate --stop-loss --outcomes table.csv --value 2 --systems local=devstral
    --out stop.json, then swe-router run --set stop_loss=stop.json
    """
    from swe_router.commands.calibrate import acceptance_calibration, stop_loss_calibration

    if out is None:
        raise UsageError("say --out FILE: the file to write")
    if stop_loss:
        if runs or verdicts or labels:
            raise UsageError("--stop-loss is fitted on --outcomes, not on runs or verdicts")
        if outcomes is None or value is None:
            raise UsageError("--stop-loss needs --outcomes FILE and --value USD")
        shown = stop_loss_calibration.calibrate_stop_loss(outcomes, value, systems or (), out)
    else:
        if outcomes is not None or value is not None or systems:
            raise UsageError("--outcomes, --value and --systems go with --stop-loss")
        wish = acceptance_calibration.CalibrateRequest(
            out, tuple(runs or ()), runs_in, tuple(verdicts or ()), tuple(labels or ()),
            false_accepts, confidence,
        )  # fmt: skip
        shown = acceptance_calibration.calibrate(wish)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return shown.exit_code


def export(
    run_name: RunName,
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
    runs_in: RunsFolder = Path("runs"),
    as_json: Json = False,
) -> int:
    """Hand a run out: its predictions, a leaderboard submission, or how it came about.

    The statement is written from the run's own records: attempts an instance, every test that a
    verdict rests on with its source and results, leak guard, audit, network. What they do not
    establish it says so. Example: swe-router export latest --format statement --out statement
    """
    from swe_router.commands.export import formats

    shown = formats.export_run(run_name, runs_in, form, out, allow_partial=partial)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0
