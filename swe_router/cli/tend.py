"""``clean`` and ``doctor``: the commands around the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.out import dollars, emit, pairs

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]


def clean(as_json: Json = False) -> int:
    """Remove containers and boxes that a killed run left behind; spares those of live runs."""
    from swe_router.assemble import machine

    done = machine.clean()
    emit(done.facts, as_json=as_json, view=done.view)
    return 0


def doctor(
    preset: Annotated[
        str | None, typer.Option(help="Tiers and limits, as for run. Default: as for run.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split, as for run.")] = None,
    budget: Annotated[str | None, typer.Option(help="US dollars, as for run.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: a.b=value.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Routing policy, as for run.")] = None,
    policy_set: Annotated[
        list[str] | None, typer.Option("--policy-set", help="A knob of the policy: key=value.")
    ] = None,
    instances: Annotated[
        list[str] | None, typer.Option("--instances", "-i", help="Only these instance ids.")
    ] = None,
    sandbox: Annotated[str | None, typer.Option(help="auto, docker or local.")] = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="As for run.")] = False,
    repos: Annotated[str | None, typer.Option(help="Folder of repositories, as for run.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for runs.")] = Path("runs"),
    as_json: Json = False,
) -> int:
    """Check what run with the same options needs: sandbox, images, disk, keys, model servers.

    Exit code 0 when it could begin, else 1.
    """
    from swe_router import settings
    from swe_router.assemble import machine

    words = [word for value in instances or () for word in value.replace(",", " ").split()]
    resolved = settings.load(
        preset or ("demo" if split in (None, "demo") else "hybrid"),
        sets=sets or (),
        split=split,
        budget=dollars(budget),
        policy__name=policy,
        policy__knobs=pairs(policy_set or [], "--policy-set") or None,
        instances=words or None,
        sandbox__kind=sandbox,
        sandbox__unsafe=unsafe or None,
        repos=repos,
    )
    report = machine.doctor(resolved, out)
    emit(report.facts, as_json=as_json, view=report.view)
    return report.code
