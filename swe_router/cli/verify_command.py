"""``verify``: how far to trust patches that exist, without the answer key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.options import DataSet, IdFilter, InstanceIds, Repositories, SandboxKind
from swe_router.cli.output import comma_words, dollars, emit, ids, talk
from swe_router.errors import UsageError


def verify(
    predictions: Annotated[
        Path,
        typer.Option(help="Candidates (.json, .jsonl, .gz of them); several an instance allowed."),
    ],
    split: Annotated[
        str,
        typer.Option(
            "--split",
            "--subset",
            help="Split that they are of: demo, lite, verified, ..., or a file.",
        ),
    ],
    dataset_reader: DataSet = None,
    trajectories: Annotated[
        Path | None,
        typer.Option(help="Folder of mini-swe-agent, SWE-agent or our own runs of these issues."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Tier that writes tests from the issue (and judges); needs --budget."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="US dollars that the model may cost in this call.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="Verifiers, in order: applies,repo-tests,acceptance,…")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Time limit of all verdicts on one candidate.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, help="Instances at a time.")
    ] = 1,
    repos: Repositories = None,
    sandbox: SandboxKind = None,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="With --sandbox local: a plain process if need be.")
    ] = False,
    instances: InstanceIds = None,
    filter_: IdFilter = None,
    slice_: Annotated[
        str | None, typer.Option("--slice", help="Only positions A:B of those with candidates.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="JSON lines file that rows are added to; call again to go on."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Tiers and limits, as for run.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: verify.threshold=0.5")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON list of rows on stdout.")
    ] = False,
) -> int:
    """Verify existing patches by the verifier stack alone; no model is called without --model.

    Of the file instance_id, candidate, model_patch and model_name_or_path are read, nothing else.
    Example: swe-router verify --predictions preds.json --split verified --out rows.jsonl
    """
    from swe_router import recorded_verdicts, settings
    from swe_router.commands.verify import verify_candidates as verifying

    if model is not None and budget is None:
        raise UsageError("--model costs money: say how much it may be with --budget USD")
    given = comma_words(names, "--names")
    judges = model is not None and (
        given is None or recorded_verdicts.any_asks_role(given, "judge")
    )
    resolved = settings.load(
        preset or settings.preset_of(split),
        sets=sets or (),
        split=split,
        dataset=dataset_reader,
        budget=dollars(budget),
        verify__names=given,
        verify__seconds=seconds,
        verify__writer=model or "",
        verify__judge=model if judges else "",
        repos=repos,
        sandbox__kind=sandbox,
        sandbox__unsafe=unsafe or None,
        instances=ids(instances),
        filter=filter_,
        slice=slice_,
    )
    if resolved.verify.tiers and budget is None:
        raise UsageError("verify.tiers costs money: say how much it may be with --budget USD")
    wish = verifying.VerifyRequest(predictions, trajectories, out, workers)
    shown = verifying.verify_candidates(resolved, wish, talk)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return shown.exit_code
