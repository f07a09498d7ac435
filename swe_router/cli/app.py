"""The commands and their order in ``--help``; each imports what it needs only when it runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import typer

from swe_router.cli import (
    features_command,
    leaderboard_command,
    look_commands,
    machine_commands,
    outcomes_commands,
    report_commands,
    run_commands,
    serve_command,
    verify_command,
)
from swe_router.errors import UsageError

COMMANDS: dict[str, tuple[Callable[..., int], ...]] = {
    "Solve": (run_commands.run, run_commands.resume, run_commands.grade, verify_command.verify),
    "Look": (
        look_commands.show,
        look_commands.runs,
        look_commands.replay,
        report_commands.report,
        report_commands.export,
        look_commands.route,
        look_commands.policies,
    ),
    "Compare": (
        leaderboard_command.leaderboard,
        features_command.features,
        report_commands.calibrate,
    ),
    "This machine": (serve_command.serve, machine_commands.doctor, machine_commands.clean),
}
"""Panel of ``--help`` -> its commands."""

OUTCOMES = "outcomes"
"""Name of the group of commands about recorded outcomes."""
EXITS = (
    "Exit codes: 0 all concluded; 1 something could not be concluded and is owed; 3 the money ended"
    " with work left; 2 usage; 130 stopped. Of several, 130 before 1 before 3."
    " A patch that could not be graded changes none of them: it is counted as ungraded."
)
EPILOGS: dict[Callable[..., int], str] = {run_commands.run: EXITS, run_commands.resume: EXITS}


def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from swe_router import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def build_app(only: str = "") -> typer.Typer:
    """The command line; with ``only`` this one command, since building all takes time."""
    app = typer.Typer(
        name="swe-router",
        help="Solve SWE-bench issues with a fleet of model tiers, never over the budget.",
        epilog="Start with: swe-router run --split demo --budget 1",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    for panel, commands in COMMANDS.items():
        for command in commands:
            if only in {"", command.__name__}:
                app.command(rich_help_panel=panel, epilog=EPILOGS.get(command))(command)
    if only in {"", OUTCOMES}:
        app.add_typer(outcomes_commands.app, rich_help_panel="Look")
    app.callback(invoke_without_command=True)(_root)
    return app


def app_of(words: list[str]) -> typer.Typer:
    """The part of the command line that these words need; all of it where no command comes first.

    A shell that asks for completions passes no words here.
    """
    names = {OUTCOMES, *(one.__name__ for commands in COMMANDS.values() for one in commands)}
    return build_app(words[0]) if words and words[0] in names else app


app = build_app()


MANY = ("--instances", "-i")
"""Options that take several words, as in ``--instances A B``."""


def gather(words: list[str]) -> list[str]:
    """``--instances A B`` as ``--instances A --instances B``.

    Raises ``UsageError`` for ``--out -``: no command means a file or folder of that name.
    """
    if "--out=-" in words or ("--out", "-") in itertools.pairwise(words):
        raise UsageError("--out - names no file: name one, or a folder (--json goes to stdout)")
    out: list[str] = []
    flag = ""
    for word in words:
        if word.startswith("-"):
            flag = word if word in MANY else ""
            out.append(word)
        elif flag and out[-1] != flag:
            out += [flag, word]
        else:
            out.append(word)
    return out
