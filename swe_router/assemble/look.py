"""What the looking commands show: a run, an instance, an attempt, a replay, a route, policies."""

from __future__ import annotations

import datetime
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router import assets, plugins
from swe_router.agents import manifest, rerun
from swe_router.agents.dialogue import Setup
from swe_router.assemble import facts
from swe_router.assemble.header import Header, is_whole, of_run
from swe_router.assemble.repositories import graph_of, repo_cache
from swe_router.assemble.shown import Shown
from swe_router.assemble.wire import build_policy, desk_of, features_of
from swe_router.errors import UsageError
from swe_router.instances import splits
from swe_router.journal.folder import RunFolder
from swe_router.journal.tape import Tape
from swe_router.ledger import reading
from swe_router.models import checks
from swe_router.records import Outcome, Plan, PurseView, RunRecord, Step
from swe_router.replay.record import Count, Means, check
from swe_router.reports import text
from swe_router.settings import Settings

SAMPLE = "sample"
"""Name of the recorded demo run that ships with the package."""


def find(name: str, out: Path) -> RunFolder:
    """A run by name or path; ``sample`` is the one that ships, unless there is one in ``out``."""
    shipped = assets.root() / "runs" / SAMPLE
    if name == SAMPLE and not (out / SAMPLE).exists() and shipped.exists():
        return RunFolder(shipped)
    return RunFolder.find(name, out)


def show(name: str, out: Path, instance: str | None, attempt: str | None) -> Shown:
    """A run, one instance of it, or one attempt."""
    run = find(name, out)
    known = facts.of(run)
    if instance is None:
        view = Group(text.instances_table(known), Text(""), text.closing(known))
        return Shown(facts=facts.summary(known), view=view)
    record = known.records.get(instance)
    if record is None:
        there = ", ".join(known.records) or "none yet"
        raise UsageError(f"run {run.name} has no record of {instance!r}: there is {there}")
    if attempt is None:
        return Shown(facts=record.model_dump(mode="json"), view=text.record_view(record, known))
    steps = Tape(run.attempt_folder(instance)).steps(attempt)
    if not steps:
        ids = ", ".join(o.attempt.id for o in record.outcomes)
        raise UsageError(f"{instance} has no steps of attempt {attempt!r}: there is {ids}")
    return Shown(facts=[s.model_dump(mode="json") for s in steps], view=text.steps_view(steps))


def replay(name: str, out: Path) -> Shown:
    """Make every record of a run again; exit code 1 when something comes out otherwise."""
    run = find(name, out)
    header = of_run(run)
    means = _means(run, header)
    rows, broken = {}, []
    whole = is_whole(run) and header.digest == header.settings.digest()
    if not whole:
        broken.append(f"{run.settings_file.name}: a setting, rate or digest was changed")
    for instance_id, record in run.records().items():
        count = Count()
        check(record, means, count)
        _moves(run, record, count)
        said = [
            f"{d.where}: recorded {d.recorded}, recomputed {d.recomputed}"
            for d in count.divergences
        ]
        share = 1 - len(said) / max(1, count.compared)
        rows[instance_id] = {
            "identical_share": max(0.0, share),
            "divergences": said,
            "patch_identical": not any("patch" in line or "chosen" in line for line in said),
        }
        broken += [f"{instance_id}: {line}" for line in said]
    verdict = f"{len(rows)} instances replayed: " + (
        "all as recorded" if not broken else f"{len(broken)} divergences"
    )
    view = Group(Text(verdict, style="bold"), *(Text(line, style="red") for line in broken))
    settings_row = {"settings_intact": whole}
    return Shown(facts={**rows, **({} if whole else {"settings": settings_row})},
                 view=view, code=1 if broken else 0)  # fmt: skip


def _means(run: RunFolder, header: Header) -> Means:
    charged: dict[str, Decimal] = {}
    for call in reading.read(run.ledger_file).calls.values():
        if call.fate == "settled":
            charged[call.key] = charged.get(call.key, Decimal(0)) + call.charged
    settings = header.settings

    def conversation(
        record: RunRecord, outcome: Outcome, steps: Sequence[Step], notes: str
    ) -> Iterator[tuple[str, str, str]]:
        plan = outcome.attempt.plan
        for one in rerun.recompute(
            manifest.read(plan.arm.scaffold),
            record.instance,
            steps,
            setup_of(settings, plan, notes),
            recorded=outcome.attempt.trajectory,
            budget=plan.budget,
        ):
            yield one.where, one.recorded, one.recomputed

    return Means(
        policy=build_policy(header),
        selector=plugins.load("selectors", settings.selector)(),
        verifiers={n: plugins.load("verifiers", n)(settings.verify) for n in settings.verify.names},
        rates=header.rates,
        conversation=conversation,
        steps=lambda instance_id, attempt_id: Tape(run.attempt_folder(instance_id)).steps(
            attempt_id
        ),
        charged=charged,
    )


def setup_of(settings: Settings, plan: Plan, notes: str) -> Setup:
    """What shaped the requests of an attempt."""
    desk = replace(desk_of(settings, plan), handover=notes, seed=plan.seed, variant=plan.variant)
    box = settings.sandbox
    return Setup.of(desk, box.command_timeout, box.command_timeout_max)


def _moves(run: RunFolder, record: RunRecord, count: Count) -> None:
    """The moves as they fell must be those of the record."""
    moves = Tape(run.attempt_folder(record.instance.id)).moves()
    count.same(record.instance.id, "moves: decisions", record.decisions,
               tuple(move.decided for move in moves))  # fmt: skip
    fell = tuple(outcome for move in moves for outcome in move.outcomes or ())
    count.same(record.instance.id, "moves: outcomes", record.outcomes, fell)


def route(settings: Settings, say: Callable[[str], None]) -> Shown:
    """The decision card of one instance; nothing is spent and no key is needed."""
    instance = splits.load(settings.split, ids=settings.instances)[0]
    header = Header(settings, settings.digest(), {}, {}, "none", {}, time.time())
    graph = graph_of(repo_cache(settings.repos, say), instance, say)
    features = features_of(instance, graph)
    purse = PurseView(
        budget=settings.budget,
        spent=Decimal(0),
        reserved=Decimal(0),
        instances_left=1,
        clock=time.time(),
    )
    decision = build_policy(header).decide(features, (), purse)
    table = Table(box=None, pad_edge=False)
    for column in ("feature", "value", "from"):
        table.add_column(column)
    for name, value in sorted(features.values.items()):
        table.add_row(name, f"{value:.4g}", features.provenance.get(name, ""))
    tiers = _tier_table(settings)
    view = Group(
        Text(f"{instance.id} ({instance.repo})", style="bold"),
        Text(f"decision: {decision.why}", style="cyan"),
        tiers,
        table,
    )
    known = {
        "instance_id": instance.id,
        "policy": settings.policy.name,
        "decision": decision.model_dump(mode="json"),
        "features": dict(features.values),
        "provenance": dict(features.provenance),
        "graph": graph is not None,
    }
    return Shown(facts=known, view=view)


def _tier_table(settings: Settings) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("tier", "model", "limit per attempt", "price"):
        table.add_column(column)
    for name in settings.ladder:
        tier = settings.tiers[name]
        try:
            day = settings.prices.date or datetime.datetime.now(datetime.UTC).date()
            rate = checks.rate_of(name, tier, settings.prices.usd_per_gpu_hour, day)
            price = rate.source
        except UsageError as error:
            price = str(error)
        table.add_row(name, tier.model, text.usd(tier.attempt_usd), price)
    return table


def policies() -> Shown:
    """Every policy plugin: what it is, its knobs with defaults, its source and maturity."""
    rows: list[Mapping[str, Any]] = []
    table = Table(box=None, pad_edge=False)
    for column in ("policy", "what it does", "knobs"):
        table.add_column(column, overflow="fold")
    for name in plugins.names("policies"):
        kind = plugins.load("policies", name)
        knobs = {
            key: str(field.get_default(call_default_factory=True))
            for key, field in kind.knobs_type.model_fields.items()
        }
        idea = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
        rows.append({"policy": name, "idea": idea, "knobs": knobs,
                     "source": getattr(kind, "source", ""),
                     "maturity": getattr(kind, "maturity", "")})  # fmt: skip
        table.add_row(name, idea, ", ".join(f"{k}={v}" for k, v in knobs.items()))
    return Shown(facts=rows, view=table)
