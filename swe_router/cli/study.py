"""``features``: what a split's issues look like, in a file for the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.out import emit, talk


def features(
    out: Annotated[Path, typer.Option("--out", help="JSON lines file to write or go on with.")],
    split: Annotated[
        str, typer.Option(help="demo, lite, verified, full, multilingual, or a file.")
    ] = "demo",
    repos: Annotated[
        str | None, typer.Option(help="Folder of git repositories (read only).")
    ] = None,
    instances: Annotated[
        list[str] | None, typer.Option("--instances", "-i", help="Only these instance ids.")
    ] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", help="Only ids that match this regular expression.")
    ] = None,
    slice_: Annotated[str | None, typer.Option("--slice", help="Only positions A:B.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the counts as one JSON value on stdout.")
    ] = False,
) -> int:
    """Write the features of a split: issue text, code graph and history, no model, no cost.

    Rows that FILE holds already are kept, so a call that was cut off is simply made again.
    Example: swe-router features --split verified --repos ~/repos --out features.jsonl
    """
    from swe_router.assemble import featuring

    ids = [word for value in instances or () for word in value.replace(",", " ").split()]
    done = featuring.make(
        split, out, repos=repos or "", ids=ids, pattern=filter_ or "", cut=slice_ or "", say=talk
    )
    emit(done.facts, as_json=as_json, view=done.view)
    return 0
