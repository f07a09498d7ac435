"""``leaderboard``: every routing policy over recorded outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.options import Json, RunsFolder
from swe_router.cli.output import comma_words, dollars, emit, talk

Verifier = Annotated[
    str,
    typer.Option(help="perfect, existing-tests, hybrid, recorded, tpr=.9,fpr=.3, or RUN[:TIER]."),
]
Folder = Annotated[
    Path | None,
    typer.Option(help="Folder for leaderboard.csv, .html, .json, .png, verifier-map.png."),
]


def leaderboard(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Graded runs; or --outcomes.")
    ] = None,
    outcomes: Annotated[
        Path | None, typer.Option(help="Outcome table; without one, the table that ships.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", "--subset", help="Split or file with the issue texts.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Features of the issues (swe-router features).")
    ] = None,
    weak: Annotated[str, typer.Option(help="System of the cheap tier, or a part of it.")] = "",
    strong: Annotated[str, typer.Option(help="System of the strong tier.")] = "",
    models: Annotated[str | None, typer.Option(help="Systems of the ladder: A,B,C.")] = None,
    verifier: Verifier = "hybrid",
    budget: Annotated[
        str | None, typer.Option(help="Hard cap in USD for all issues together.")
    ] = None,
    policies: Annotated[str | None, typer.Option(help="Only these policies: A,B.")] = None,
    out: Folder = None,
    bootstraps: Annotated[int, typer.Option(min=100, max=200_000, help="Resamples.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the resamples.")] = 0,
    random_cv: Annotated[
        bool, typer.Option("--random-cv", help="Also fit by random folds: a gauge of leakage.")
    ] = False,
    runs_in: RunsFolder = Path("runs"),
    as_json: Json = False,
) -> int:
    """Compare routing policies on recorded outcomes, with intervals, before any is deployed.

    Example: swe-router leaderboard --outcomes table.csv --split verified --weak deepseek
    --strong sonnet --verifier tpr=.9,fpr=.3 --out board
    """
    from swe_router.commands import leaderboard as leaderboard_command

    wish = leaderboard_command.LeaderboardRequest(
        runs=tuple(runs or ()),
        runs_in=runs_in,
        outcome_table_path=outcomes,
        split=split,
        features_file=features,
        weak=weak,
        strong=strong,
        systems=tuple(comma_words(models, "--models") or ()),
        verifier_rates=verifier,
        budget=dollars(budget),
        policies=tuple(comma_words(policies, "--policies") or ()),
        bootstraps=bootstraps,
        seed=seed,
        uses_random_folds=random_cv,
        output_folder=out,
    )
    made = leaderboard_command.leaderboard(wish, talk)
    emit(made.facts, as_json=as_json, view=made.view)
    return made.exit_code
