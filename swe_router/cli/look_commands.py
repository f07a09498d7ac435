"""``show``, ``replay``, ``route`` and ``policies``: the commands that only look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swe_router.cli.options import DataSet, Json, Overrides, RunName, RunsOut
from swe_router.cli.output import emit, pairs, talk
from swe_router.lazy_imports import uncollected_loading


def show(
    run_name: RunName,
    instance: Annotated[
        str | None, typer.Argument(metavar="[INSTANCE]", help="Every decision on this one.")
    ] = None,
    attempt: Annotated[
        str | None, typer.Argument(metavar="[ATTEMPT]", help="Every step of this attempt.")
    ] = None,
    out: RunsOut = Path("runs"),
    as_json: Json = False,
) -> int:
    """Who solved what, why it was routed so, and what it cost."""
    with uncollected_loading("swe_router.commands.show"):
        from swe_router.commands import show as show_command

    shown = show_command.show_run(run_name, out, instance, attempt)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0


def runs(out: RunsOut = Path("runs"), as_json: Json = False) -> int:
    """The runs in a folder, newest first: how far each is, what it solved, what it cost."""
    from swe_router.commands import list_runs

    listed = list_runs.list_runs(out)
    emit(listed.facts, as_json=as_json, view=listed.view)
    return 0


def replay(
    run_name: RunName,
    selector: Annotated[
        list[str] | None,
        typer.Option(help="Say what this selector would hand in (oracle too; all: every one)."),
    ] = None,
    out: RunsOut = Path("runs"),
    as_json: Json = False,
) -> int:
    """Re-run a run's orchestration from its recorded answers: no model, no key, no cost.

    Decisions, requests, prices, verdicts and the choice are computed again from what was
    recorded; the first thing that differs is named, and the exit code is 1. With --selector
    nothing is re-run: selectors are compared over the run's graded candidates.
    """
    if selector:
        from swe_router.commands import compare_selectors

        shown = compare_selectors.compare_selectors(run_name, out, selector)
        emit(shown.facts, as_json=as_json, view=shown.view)
        return shown.exit_code
    with uncollected_loading("swe_router.commands.replay"):
        from swe_router.commands import replay as replay_command

    done = replay_command.replay_run(run_name, out)
    emit(done.facts, as_json=as_json, view=done.view)
    return done.exit_code


def route(
    instance: Annotated[str, typer.Argument(metavar="ID", help="An instance id.")],
    split: Annotated[
        str, typer.Option("--split", "--subset", help="Split or file it belongs to.")
    ] = "demo",
    dataset_reader: DataSet = None,
    preset: Annotated[str | None, typer.Option(help="Tiers and limits.")] = None,
    sets: Overrides = None,
    policy: Annotated[str | None, typer.Option(help="Routing policy.")] = None,
    policy_set: Annotated[
        list[str] | None, typer.Option("--policy-set", help="A knob of the policy.")
    ] = None,
    repos: Annotated[str | None, typer.Option(help="Folder of git repositories.")] = None,
    outcomes: Annotated[
        Path | None, typer.Option(help="Recorded outcomes that the estimates are fitted on.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Features file or split of the issues in --outcomes.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Explain how one instance would be routed: features, score, odds and costs, every policy.

    The odds of the tiers come from recorded outcomes of other repositories (--outcomes, else the
    table that ships; --policy-set systems.TIER=SYSTEM says which system a tier is like).
    """
    from swe_router import settings
    from swe_router.commands import route as route_command

    knobs = pairs(policy_set or [], "--policy-set")
    given = {"outcomes": outcomes, "features": features}
    knobs |= {name: str(path) for name, path in given.items() if path is not None}
    resolved = settings.load(
        preset or settings.preset_of(split),
        sets=sets or (),
        split=split,
        dataset=dataset_reader,
        instances=[instance],
        policy__name=policy,
        policy__knobs=knobs or None,
        repos=repos,
    )
    shown = route_command.route_issue(resolved, talk)
    emit(shown.facts, as_json=as_json, view=shown.view)
    return 0


def policies(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only this policy, in full.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Every routing policy with its source, knobs and maturity."""
    from swe_router.commands import policies as policies_command

    listed = policies_command.list_policies(name)
    emit(listed.facts, as_json=as_json, view=listed.view)
    return 0
