"""What the looking commands show: a run, an instance, an attempt, a route, policies."""

from __future__ import annotations

import datetime
import inspect
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swe_router import assets, plugins
from swe_router.assemble import facts
from swe_router.assemble.header import Header
from swe_router.assemble.repositories import graph_of, repo_cache
from swe_router.assemble.shown import Shown
from swe_router.assemble.wire import build_policy, features_of
from swe_router.errors import UsageError
from swe_router.estimates.complexity import Score
from swe_router.features.extract import score_of
from swe_router.instances import splits
from swe_router.journal.folder import RunFolder
from swe_router.journal.tape import Tape
from swe_router.models import checks
from swe_router.records import PurseView
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


def route(settings: Settings, say: Callable[[str], None]) -> Shown:
    """The decision card of one instance; nothing is spent and no key is needed."""
    instance = splits.load(settings.split, ids=settings.instances)[0]
    header = Header(settings, settings.digest(), {}, {}, "none", {}, time.time())
    repos = repo_cache(settings.repos, say)
    graph = graph_of(repos, instance, say)
    features = features_of(instance, graph, repos, say)
    scored = score_of(features)
    purse = PurseView(
        budget=settings.budget,
        spent=Decimal(0),
        reserved=Decimal(0),
        instances_left=1,
        clock=time.time(),
    )
    decision = build_policy(header).decide(features, (), purse)
    table = Table(box=None, pad_edge=False)
    for column in ("feature", "value", "from", "moved the complexity by"):
        table.add_column(column)
    order = sorted(features.values, key=lambda name: (-abs(scored.parts.get(name, 0.0)), name))
    for name in order:
        moved = f"{scored.parts[name]:+.2f}" if scored.parts.get(name) else ""
        value = f"{features.values[name]:.4g}"
        table.add_row(name, value, features.provenance.get(name, ""), moved)
    tiers = _tier_table(settings)
    view = Group(
        Text(f"{instance.id} ({instance.repo})", style="bold"),
        Text(f"decision: {decision.why}", style="cyan"),
        Text(_complexity_line(scored)),
        tiers,
        table,
    )
    known = {
        "instance_id": instance.id,
        "policy": settings.policy.name,
        "decision": decision.model_dump(mode="json"),
        "features": dict(features.values),
        "provenance": dict(features.provenance),
        "complexity": {**scored._asdict(), "parts": dict(scored.parts)},
        "graph": graph is not None,
    }
    return Shown(facts=known, view=view)


def _complexity_line(scored: Score) -> str:
    fit = "a fit without its repository" if scored.held_out else "the shipped fit"
    return (
        f"complexity: {scored.complexity:.1f} of 10; {scored.solve_rate:.0%} of the systems that"
        f" it was fitted on are expected to solve it ({fit}, model {scored.model!r})"
    )


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
