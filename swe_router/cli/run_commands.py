"""``run``, ``resume`` and ``grade``: the commands that work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.candidates_flags import chosen
from swe_router.cli.options import (
    Batch,
    BatchOrLive,
    CancelBatches,
    DataSet,
    IdFilter,
    InstanceIds,
    Json,
    Overrides,
    RunsOut,
    SandboxKind,
)
from swe_router.cli.output import dollars, emit, ids, pairs, talk
from swe_router.cli.own_issue_flags import own_issue, own_split
from swe_router.errors import UsageError
from swe_router.lazy_imports import uncollected_loading

Hours = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=8760.0,
        help="Stop after so many hours as Ctrl-C does; `resume` finishes the rest.",
    ),
]
Notify = Annotated[
    str | None,
    typer.Option(
        help="URL to POST to, or command to run with JSON on stdin, at the end and when 80% of"
        " the budget is spent. Default: $SWE_ROUTER_NOTIFY.",
        metavar="CMD_OR_URL",
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Resume a run of unknown origin that loads code by name, sends a key to an"
        " address of its own or works without a sandbox.",
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", "-w", min=0, help="Ray workers; 0 runs in-process.")
]


def run(
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            "--subset",
            help="demo, lite, verified, … (docs/datasets.md), a file, a folder, or ORG/NAME of the"
            " hub. Default: the preset's.",
        ),
    ] = None,
    dataset_reader: DataSet = None,
    budget: Annotated[
        str | None,
        typer.Option(help="US dollars the run may never exceed. Default: the preset's."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Tiers and limits: a name in eval/presets or a .toml.")
    ] = None,
    sets: Overrides = None,
    policy: Annotated[str | None, typer.Option(help="Routing policy; see `policies`.")] = None,
    policy_set: Annotated[
        list[str] | None, typer.Option("--policy-set", help="A knob of the policy: key=value.")
    ] = None,
    instances: InstanceIds = None,
    filter_: IdFilter = None,
    slice_: Annotated[
        str | None, typer.Option("--slice", help="Only positions A:B, after filter and shuffle.")
    ] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Seeded random order.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is drawn.")] = None,
    workers: Workers = None,
    batch: Batch = False,
    hours: Hours = None,
    notify: Notify = None,
    candidates: Annotated[
        int | None, typer.Option(min=1, help="Candidates per instance to choose from.")
    ] = None,
    sandbox: SandboxKind = None,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="With --sandbox local: run unisolated if need be.")
    ] = False,
    repos: Annotated[
        str | None, typer.Option(help="Folder of git repositories to route from (read only).")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start from predictions, a file or a RUN: verified first; only instances whose"
            " prediction is rejected are attempted. Others are skipped unless --rest.",
        ),
    ] = None,
    failed: Annotated[
        bool,
        typer.Option(
            "--failed",
            help="With --from RUN: its officially unresolved instances, tried afresh.",
        ),
    ] = False,
    source_trajectories: Annotated[
        str | None,
        typer.Option("--trajectories", help="With --from: folder of the trajectories behind it."),
    ] = None,
    rest: Annotated[
        bool, typer.Option("--rest", help="With --from: also instances that it lacks.")
    ] = False,
    runs_folder: RunsOut = Path("runs"),
    resume_run: Annotated[
        str | None,
        typer.Option(
            "--resume",
            help="Go on with this run under the same settings;"
            " `swe-router resume RUN --budget USD` also raises its cap.",
        ),
    ] = None,
    no_grade: Annotated[bool, typer.Option("--no-grade", help="Do not grade at the end.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and say the plan; spend nothing.")
    ] = False,
    knock: Annotated[
        bool,
        typer.Option(
            "--knock", help="With --dry-run: send each tier one short call; a cent in all."
        ),
    ] = False,
    outcomes: Annotated[
        str | None,
        typer.Option(
            help="With --dry-run: outcome table behind the estimate. Default: the shipped one."
        ),
    ] = None,
    repo: Annotated[
        str | None,
        typer.Option(help="An issue of your own: folder or address of its repository."),
    ] = None,
    issue: Annotated[
        str | None, typer.Option(help="With --repo: file with its text, - for stdin, or the text.")
    ] = None,
    commit: Annotated[
        str | None, typer.Option(help="With --repo: commit, branch or tag. Default: HEAD.")
    ] = None,
    test_command: Annotated[
        str | None, typer.Option(help="With --repo: command that exits 0 once it is resolved.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(help="With --repo: Docker image that holds it. Default: a local sandbox."),
    ] = None,
    workdir: Annotated[
        str | None, typer.Option(help="With --image: where the image holds it.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Solve a split under a budget: route, work, verify, escalate, select, grade.

    The whole run, its resumes included, never spends more than --budget. Examples:
    swe-router run --split verified --budget 150 --workers 8;
    swe-router run --repo . --issue bug.md --test-command 'pytest tests/test_x.py' --budget 2
    """
    with uncollected_loading("swe_router.settings"):
        from swe_router import settings
        from swe_router.commands.run import notifier as notifying

    if (knock or outcomes) and not dry_run:
        raise UsageError("--knock and --outcomes go with --dry-run")
    if dry_run and resume_run is not None:
        raise UsageError("--dry-run plans a new run; `swe-router show RUN` says what one owes")
    ends = _positive_hours(hours)
    notifying.hook_of(notify)
    own = own_issue(repo, issue, commit, test_command, image, workdir)
    if own is not None:
        split, sandbox = own_split(own, split, source, sandbox, runs_folder)
    only = ids(instances)
    only, split, source = chosen(
        only, split, source, failed, runs_folder, source_trajectories, rest
    )
    if failed and (source_trajectories is not None or rest):
        raise UsageError("--failed begins afresh: --trajectories and --rest do not go with it")
    knobs = pairs(policy_set or [], "--policy-set")
    resolved = settings.load(
        preset or settings.preset_of(split),
        sets=sets or (),
        split=split,
        dataset=dataset_reader,
        budget=dollars(budget),
        policy__name=policy,
        policy__knobs=knobs or None,
        instances=only,
        filter=filter_,
        slice=slice_,
        shuffle=shuffle or None,
        seed=seed,
        workers=0 if batch and workers is None else workers,
        batch__enabled=batch or None,
        candidates=candidates,
        sandbox__kind=sandbox,
        sandbox__unsafe=unsafe or None,
        repos=repos,
        source=source,
        trajectories=source_trajectories,
        rest=rest or None,
        grade__enabled=False if no_grade else None,
    )
    if dry_run:
        with uncollected_loading("swe_router.commands.run.dry_run_report"):
            from swe_router.commands.run import dry_run_report

        plan = dry_run_report.dry_run(
            resolved, talk, runs_folder=runs_folder, calls_tiers=knock,
            outcome_table_path=outcomes or "",
        )  # fmt: skip
        return _finish(plan, as_json)
    with uncollected_loading("swe_router.commands.run.run_driver"):
        from swe_router.commands.run import run_driver as launch

    waits: list[str] = []
    if resume_run is not None:
        folder = launch.find_to_resume(resume_run, runs_folder, requested_settings=resolved)
        waits = launch.require_same_settings(folder, resolved, sets or ())
    else:
        folder = launch.create_run(resolved, runs_folder, talk)
    retry = "none" if resume_run is None else "infra"
    done = launch.drive_run(
        folder, workers=resolved.workers if batch else workers, retry_kind=retry, say=talk,
        hours=ends, notify_hook=notify, wait_settings=waits, batch=batch or None,
    )  # fmt: skip
    return _finish(done, as_json)


def resume(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")],
    budget: Annotated[
        str | None,
        typer.Option(
            help="Raise the run's cap to so many US dollars: what ended for lack of money goes"
            " on. Also while another process drives the run."
        ),
    ] = None,
    retry: Annotated[
        str,
        typer.Option(help="What to try again: infra, limit (out of money, steps or time), all."),
    ] = "infra",
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Wait otherwise for what is away: breaker.KEY=value or"
            " tiers.NAME.give_up_seconds=value. Also while another process drives the run.",
        ),
    ] = None,
    workers: Workers = None,
    batch: BatchOrLive = None,
    cancel_batches: CancelBatches = False,
    hours: Hours = None,
    notify: Notify = None,
    trust: Trust = False,
    runs_folder: RunsOut = Path("runs"),
    as_json: Json = False,
) -> int:
    """Finish exactly what a run owes: never a finished instance again, never a dollar twice."""
    with uncollected_loading("swe_router.commands.run.run_driver"):
        from swe_router.commands.run import run_driver as launch

    if retry not in {"infra", "limit", "all"}:
        raise UsageError(f"--retry {retry!r}: say infra, limit or all")
    folder = launch.find_to_resume(run_name, runs_folder, is_trusted=trust)
    if cancel_batches:
        from swe_router.commands.run import cancelled_batches

        again = launch.resume_command(folder)
        return _finish(cancelled_batches.cancel_batches(folder, talk, again), as_json)
    done = launch.drive_run(
        folder,
        workers=workers,
        retry_kind=retry,
        say=talk,
        budget=dollars(budget),
        hours=_positive_hours(hours),
        notify_hook=notify,
        wait_settings=sets or (),
        batch=batch,
    )
    return _finish(done, as_json)


def grade(
    run_name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's name or folder.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="A predictions file (.json, .jsonl) instead of a run.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", "--subset", help="Split of --predictions.")
    ] = None,
    dataset_reader: DataSet = None,
    sandbox: Annotated[
        str, typer.Option(help="auto, docker (the official harness) or local.")
    ] = "auto",
    unsafe: Annotated[bool, typer.Option("--unsafe", help="As for run.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one evaluation.")] = 1800.0,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="At a time.")] = 2,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Host that evaluations which need one may reach; * is any."),
    ] = None,
    code: Annotated[
        str, typer.Option(help="Copy of the data set's own repository (docs/datasets.md).")
    ] = "",
    candidates: Annotated[
        bool | None,
        typer.Option("--candidates/--no-candidates", help="Of a run: also patches not handed in."),
    ] = None,
    trust: Trust = False,
    runs_folder: RunsOut = Path("runs"),
    as_json: Json = False,
) -> int:
    """Official verdicts, through swebench: resolved, unresolved, or ungraded with the reason.

    Of a run every other patch that an attempt left is graded too (grade.candidates), for
    `report` and `calibrate`; printed are the verdicts on what is handed in.
    """
    from swe_router.commands.grade import grading_run
    from swe_router.reports.grade_table import grades_view

    if (run_name is None) == (predictions is None):
        raise UsageError("grade a RUN, or --predictions FILE --split NAME")
    if predictions is not None:
        if split is None:
            raise UsageError("--predictions needs --split: the split that the ids belong to")
        grades = grading_run.grade_file(
            predictions, split, dataset_reader=dataset_reader or "", sandbox=sandbox, unsafe=unsafe,
            timeout=timeout, workers=workers, network=network or (), code=code, say=talk,
        )  # fmt: skip
        gold = grading_run.gold_outcomes_of_file(split, dataset_reader or "", list(grades))
    else:
        from swe_router.commands.run import run_driver as launch

        run_ = launch.find_to_resume(
            run_name or "", runs_folder, is_trusted=trust, sandbox_risks_only=True
        )
        grades = grading_run.grade_run(run_, say=talk, grade_all_candidates=candidates)
        gold = grading_run.gold_outcomes_of_run(run_, list(grades))
    emit(grading_run.grade_facts(grades, gold), as_json=as_json, view=grades_view(grades, gold))
    return 0


def _finish(done: object, as_json: bool) -> int:
    from swe_router.commands.result import CommandResult

    assert isinstance(done, CommandResult)
    emit(done.facts, as_json=as_json, view=done.view)
    return done.exit_code


def _positive_hours(hours: float | None) -> float | None:
    """A positive number of hours. Raises ``UsageError`` for 0 and for what is no number."""
    from swe_router.commands import signals

    signals.require_positive_hours(hours)
    return hours
