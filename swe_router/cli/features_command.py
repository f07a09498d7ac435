"""``features``: what a split's issues look like, in a file for the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swe_router.cli.options import DataSet, IdFilter, InstanceIds, Overrides, Repositories
from swe_router.cli.output import dollars, emit, ids, pairs, talk
from swe_router.errors import UsageError

if TYPE_CHECKING:
    from swe_router.commands.features.judge_ratings import IssueRater as Judge


def features(
    out: Annotated[Path, typer.Option("--out", help="JSON lines file to write or go on with.")],
    split: Annotated[
        str,
        typer.Option(
            "--split", "--subset", help="demo, lite, verified, …, a file, or ORG/NAME of the hub."
        ),
    ] = "demo",
    dataset_reader: DataSet = None,
    repos: Repositories = None,
    instances: InstanceIds = None,
    filter_: IdFilter = None,
    slice_: Annotated[str | None, typer.Option("--slice", help="Only positions A:B.")] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="Tier of the preset that also rates each issue by a fixed rubric."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="US dollars that the ratings may never exceed.")
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(help="NAME=description: a preference route to choose (policy arch-router)."),
    ] = None,
    preset: Annotated[str, typer.Option(help="Preset or .toml that has the judge's tier.")] = (
        "hybrid"
    ),
    sets: Overrides = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="With --judge: ask through the provider's batch API."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the counts as one JSON value on stdout.")
    ] = False,
) -> int:
    """Write the features of a split: issue text, code graph and history; no model, no cost.

    Rows that FILE holds already are kept, so a call that was cut off is simply made again.
    With --judge a model also rates each issue (features judge.…, for routellm-causal and
    arch-router); its answers and its ledger are kept in FILE.judge, and nothing is paid twice.
    Example: swe-router features --split verified --repos ~/repos --out features.jsonl
    """
    from swe_router.commands.features import extraction

    rater = _judge(judge, budget, route, preset, sets, out, batch)
    done = extraction.make_features(
        split, out, dataset_reader=dataset_reader or "", repos=repos or "",
        instance_ids=ids(instances) or [], id_pattern=filter_ or "", id_slice=slice_ or "",
        say=talk, judge=rater,
    )  # fmt: skip
    emit(done.facts, as_json=as_json, view=done.view)
    return 0


def _judge(
    tier: str | None,
    budget: str | None,
    route: list[str] | None,
    preset: str,
    sets: list[str] | None,
    out: Path,
    batch: bool,
) -> Judge | None:
    from swe_router import settings
    from swe_router.commands.features.judge_ratings import IssueRater as Judge

    if tier is None:
        if budget or route:
            raise UsageError("--budget and --route are for --judge TIER")
        if batch:
            raise UsageError("--batch is for --judge TIER: nothing else is asked")
        return None
    money = dollars(budget)
    if money is None:
        raise UsageError("--judge asks a model: say what it may cost with --budget USD")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    routes = {name: str(text) for name, text in pairs(route or [], "--route").items()}
    place = out.with_name(f"{out.name}.judge")
    known = settings.load(preset, sets=sets or ())
    return Judge(
        known, tier, budget=money, folder=place, model_routes=routes, say=talk, in_batches=batch
    )
