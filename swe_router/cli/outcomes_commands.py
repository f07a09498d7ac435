"""``outcomes import``, ``audit``, ``export`` and ``list``: recorded outcomes for the board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swe_router.cli.options import Json, RunName
from swe_router.cli.output import emit
from swe_router.errors import UsageError

if TYPE_CHECKING:
    import datetime

app = typer.Typer(name="outcomes", no_args_is_help=True, add_completion=False)

Table = Annotated[Path, typer.Option("--out", help="The table to write: a .csv or .csv.gz.")]
System = Annotated[str, typer.Option(help="Name of the system, instead of the files' own.")]


@app.callback()
def _root() -> None:
    """Outcome tables: which system solved what at which cost; import, audit, export."""


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders.")],
    out: Table,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, experiments, jsonl, mini, per-instance, run, swe-agent, swe-effi"
            " or verdicts ({id: bool}); auto goes by what a path looks like.",
        ),
    ] = "auto",
    system: System = "",
    reports: Annotated[
        Path | None, typer.Option(help="Official verdicts: a report .json, or a folder of them.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="For csv: our column=theirs.")
    ] = None,
    prices_at: Annotated[
        str | None, typer.Option(help="Price tokens at this day (YYYY-MM-DD) where no cost is.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Prices that go before the shipped ones, as a .toml.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Read runs of others, or our own, into one tidy table; a missing cost stays missing."""
    from swe_router.commands import outcome_tables as outcome_tables_command
    from swe_router.outcomes.importers.gathering import ImportOptions

    given = ImportOptions(
        system=system,
        reports=reports,
        columns=_pairs(columns or []),
        prices_at=_day(prices_at),
        prices=prices,
    )
    shown = outcome_tables_command.import_table(form, paths, given, out)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0


@app.command()
def audit(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A table; the shipped one without.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Published rates: .csv (system, rate) or .json.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="A table to agree with, instead of the shipped one.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split that the instance ids must be of.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Find permuted ids, wrong columns, missing or zero costs; exit 1 when refused."""
    from swe_router.commands import outcome_tables as outcome_tables_command

    shown = outcome_tables_command.audit_table(
        file, published_scores=published, reference_table=reference, split=split
    )
    emit(shown.facts, as_json=as_json, view=shown.view)
    return shown.exit_code


@app.command()
def export(
    run_name: RunName,
    out: Annotated[
        Path | None, typer.Option("--out", help="The table to write: a .csv or .csv.gz.")
    ] = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(help="Also one row per verdict, to a .csv or .jsonl."),
    ] = None,
    system: System = "",
    runs: Annotated[Path, typer.Option(help="Folder that holds the run folders.")] = Path("runs"),
    as_json: Json = False,
) -> int:
    """A run of ours as an outcome table: the run itself and each graded attempt.

    With --verdicts a second table has one row per verdict: instance, attempt, tier, verifier,
    outcome, score and the official result on the same patch.
    """
    from swe_router.commands import outcome_tables as outcome_tables_command

    shown = outcome_tables_command.export_run_table(run_name, runs, system, out, verdicts)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0


@app.command("list")
def list_(as_json: Json = False) -> int:
    """The table that ships, and the forms that can be imported."""
    from swe_router.commands import outcome_tables as outcome_tables_command

    shown = outcome_tables_command.list_tables()
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0


def _pairs(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not (ours and equals and theirs):
            raise UsageError(f"--map {text!r}: write it as our-column=their-column")
        found[ours.strip()] = theirs.strip()
    return found


def _day(text: str | None) -> datetime.date | None:
    import datetime

    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--prices-at {text!r}: write a day as YYYY-MM-DD") from None
