"""``clean`` and ``doctor``: the commands about this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.candidates_flags import chosen
from swe_router.cli.options import Json, Overrides, SandboxKind
from swe_router.cli.output import dollars, emit, ids, pairs

AS_RUN = "As for run."
Text = Annotated[str | None, typer.Option(help=AS_RUN)]


def clean(as_json: Json = False) -> int:
    """Remove containers and sandboxes that a killed run left behind; spares those of live runs."""
    from swe_router.commands import doctor as doctor_command

    done = doctor_command.remove_leftovers()
    emit(done.facts, as_json=as_json, view=done.view)
    return 0


def doctor(
    preset: Text = None,
    split: Text = None,
    budget: Text = None,
    sets: Overrides = None,
    policy: Text = None,
    policy_set: Annotated[list[str] | None, typer.Option(help=AS_RUN)] = None,
    instances: Annotated[list[str] | None, typer.Option("--instances", "-i", help=AS_RUN)] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help=AS_RUN)] = None,
    slice_: Annotated[str | None, typer.Option("--slice", help=AS_RUN)] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help=AS_RUN)] = False,
    seed: Annotated[int | None, typer.Option(help=AS_RUN)] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-w", min=0, help=AS_RUN)] = None,
    candidates: Annotated[int | None, typer.Option(min=1, help=AS_RUN)] = None,
    source: Annotated[str | None, typer.Option("--from", help=AS_RUN)] = None,
    failed: Annotated[bool, typer.Option("--failed", help=AS_RUN)] = False,
    trajectories: Text = None,
    rest: Annotated[bool, typer.Option("--rest", help=AS_RUN)] = False,
    no_grade: Annotated[bool, typer.Option("--no-grade", help=AS_RUN)] = False,
    sandbox: SandboxKind = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help=AS_RUN)] = False,
    repos: Text = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for runs.")] = Path("runs"),
    as_json: Json = False,
) -> int:
    """Check what run with the same options needs: sandbox, images, disk, keys, model servers.

    Exit code 0 when it could begin, else 1.
    """
    from swe_router import settings
    from swe_router.commands import doctor as doctor_command
    from swe_router.commands.run import run_header

    only = ids(instances)
    only, split, source = chosen(only, split, source, failed, out, trajectories, rest)
    resolved = settings.load(
        preset or settings.preset_of(split),
        sets=sets or (),
        split=split,
        budget=dollars(budget),
        policy__name=policy,
        policy__knobs=pairs(policy_set or [], "--policy-set") or None,
        instances=only,
        filter=filter_,
        slice=slice_,
        shuffle=shuffle or None,
        seed=seed,
        workers=workers,
        candidates=candidates,
        source=source,
        trajectories=trajectories,
        rest=rest or None,
        grade__enabled=False if no_grade else None,
        sandbox__kind=sandbox,
        sandbox__unsafe=unsafe or None,
        repos=repos,
    )
    report = doctor_command.doctor(resolved, out, run_header.resolved_header)
    emit(report.facts, as_json=as_json, view=report.view)
    return report.exit_code
