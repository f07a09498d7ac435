"""The decision card of one issue: what is known, what each tier may do, what each policy would."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swe_router import plugins
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.estimates.complexity import score
from swe_router.estimates.complexity.score import ComplexityScore
from swe_router.estimates.prediction.intervals import expected_outcomes
from swe_router.features.extraction_steps import score_of
from swe_router.instances import splits
from swe_router.journal.header import Header
from swe_router.models import tier_checks
from swe_router.policy_abilities import Learner
from swe_router.records import Budget, BudgetView, Features, Instance, RouteDecision, Try
from swe_router.records.known_features import require_values
from swe_router.reports import run_text
from swe_router.settings import Settings
from swe_router.wiring import training_data
from swe_router.wiring.repositories import graph_of, repo_cache
from swe_router.wiring.run_wiring import build_policy, features_of

Say = Callable[[str], None]
OF_FITS = ("outcomes", "features", "systems", "verifier")


def route(settings: Settings, say: Say) -> CommandResult:
    """Features, score, estimates and decisions; nothing is spent and no key is needed."""
    instance = splits.load(settings.split, dataset=settings.dataset, ids=settings.instances)[0]
    header = Header(settings, settings.digest(), {}, {}, "none", {}, time.time())
    repos = repo_cache(settings.repos, say)
    graph = graph_of(repos, instance, say)
    features = training_data.judged(features_of(instance, graph, repos, say), settings.policy.knobs)
    purse = BudgetView(budget=settings.budget, spent=Decimal(0), reserved=Decimal(0),
                      instances_left=1, clock=time.time())  # fmt: skip
    policy = build_policy(_own(header), [instance], say)
    decision = policy.prepare([features], Budget(dollars=settings.budget)).decide(
        features, (), purse
    )
    scored = score_of(features)
    tiers, notice = _tiers(header, instance, features)
    rivals = [_rival(name, knobs, header, instance, features, purse)
              for name, knobs in _named(header)]  # fmt: skip
    known = {
        "instance_id": instance.id,
        "policy": settings.policy.name,
        "decision": decision.model_dump(mode="json"),
        "features": dict(require_values(features)),
        "provenance": dict(features.provenance),
        "complexity": {**scored._asdict(), "parts": dict(scored.parts)},
        "graph": graph is not None,
        "tiers": tiers,
        "estimates_from": notice,
        "rivals": rivals,
    }
    title = Text(f"{instance.id} ({instance.repo})", style="bold")
    view = Group(title, Text(f"decision: {decision.why}", style="cyan"), Text(_complexity(scored)),
                 Text(""), _tier_table(tiers), Text(notice), Text(""), _rival_table(rivals),
                 Text(""), _feature_table(features, scored))  # fmt: skip
    return CommandResult(facts=known, view=view)


def _own(header: Header) -> Header:
    """Without the settings of fits where the policy does not learn: they are the card's own."""
    chosen = header.settings.policy
    if issubclass(plugins.load("policies", chosen.name), Learner):
        return header
    knobs = {k: v for k, v in chosen.knobs.items() if not k.startswith(OF_FITS)}
    own = chosen.model_copy(update={"knobs": knobs})
    return dataclasses.replace(header, settings=header.settings.model_copy(update={"policy": own}))


def _tiers(
    header: Header, instance: Instance, features: Features
) -> tuple[list[dict[str, Any]], str]:
    """Each tier with its price and what it may be expected to do, and where that comes from."""
    settings = header.settings
    rows = [_priced(settings, name) for name in settings.ladder]
    _, asked = training_data.split(settings.policy.knobs)
    arms = [str(plan.arm) for plan in header.ladder()]
    try:
        past, notice = training_data.past(asked, arms, [instance])
        for row, one in zip(rows, expected_outcomes(past, features), strict=True):
            row.update(dataclasses.asdict(one))
    except UsageError as error:
        notice = f"no estimates: {error}"
    return rows, notice


def _priced(settings: Settings, name: str) -> dict[str, Any]:
    tier = settings.tiers[name]
    try:
        day = settings.prices.date or datetime.datetime.now(datetime.UTC).date()
        price = tier_checks.rate_of(name, tier, settings.prices.usd_per_gpu_hour, day).source
    except UsageError as error:
        price = str(error)
    return {"tier": name, "model": tier.model, "limit_usd": float(tier.attempt_usd), "price": price}


def _named(header: Header) -> list[tuple[str, dict[str, Any]]]:
    """Every policy with what it must be told; ``fixed`` once for each tier."""
    made: list[tuple[str, dict[str, Any]]] = []
    for name in plugins.names("policies"):
        if name == "fixed":
            made += [(name, {"tier": str(plan.arm)}) for plan in header.ladder()]
        elif name == header.settings.policy.name:
            made.append((name, {k: v for k, v in header.settings.policy.knobs.items()
                                if not k.startswith(OF_FITS)}))  # fmt: skip
        else:
            made.append((name, {}))
    return made


def _rival(
    name: str,
    knobs: Mapping[str, Any],
    header: Header,
    instance: Instance,
    features: Features,
    purse: BudgetView,
) -> dict[str, Any]:
    """What a policy would do first, or why it cannot say."""
    label = f"always-{knobs['tier']}" if name == "fixed" else name
    try:
        kind = plugins.load("policies", name)
        bare = kind(header.ladder(), **knobs)
        fits = {k: v for k, v in header.settings.policy.knobs.items() if k.startswith(OF_FITS)}
        _, asked = training_data.split(fits if isinstance(bare, Learner) else {})
        policy = training_data.fitted(bare, asked, [instance], lambda line: None)
        policy = policy.prepare([features], Budget(dollars=purse.budget))
        decision: RouteDecision = policy.decide(features, (), purse)
    except UsageError as error:
        return {"policy": label, "first": None, "why": "", "propensity": None,
                "surrogate": None, "unavailable": str(error)}  # fmt: skip
    tried = [str(plan.arm) for plan in decision.plans] if isinstance(decision, Try) else []
    return {
        "policy": label,
        "first": tried,
        "why": decision.why,
        "propensity": decision.propensity if isinstance(decision, Try) else 1.0,
        "surrogate": getattr(kind, "surrogate", "") or None,
        "unavailable": None,
    }


def _complexity(scored: ComplexityScore) -> str:
    fit = "a fit without its repository" if scored.held_out else "the shipped fit"
    return (
        f"complexity: {scored.complexity:.1f} of 10; {scored.solve_rate:.0%} of the systems that"
        f" it was fitted on are expected to solve it ({fit}, model {scored.model!r});"
        f" {score.NO_POWER}"
    )


def _tier_table(rows: list[dict[str, Any]]) -> Table:
    table = _table("tier", "model", "P(resolves)", "90% of fits", "USD a run", "80% of runs",
                   "limit", "price")  # fmt: skip
    for row in rows:
        told = ["", "", "", ""]
        if "p" in row:
            told = [f"{row['p']:.2f}", f"{row['p_low']:.2f}-{row['p_high']:.2f}",
                    f"{row['usd']:.3f}", f"{row['usd_low']:.3f}-{row['usd_high']:.3f}"]  # fmt: skip
        limit = run_text.usd(Decimal(str(row["limit_usd"])))
        table.add_row(row["tier"], row["model"], *told, limit, row["price"])
    return table


def _rival_table(rows: list[dict[str, Any]]) -> RenderableType:
    table = _table("policy", "first", "why")
    for row in rows:
        if row["unavailable"]:
            table.add_row(row["policy"], "-", f"unavailable: {row['unavailable']}", style="dim")
        else:
            table.add_row(row["policy"], ", ".join(row["first"]) or "stop", row["why"])
    return table


def _feature_table(features: Features, scored: ComplexityScore) -> Table:
    table = _table("feature", "value", "from", "moved the complexity by")
    values = require_values(features)
    order = sorted(values, key=lambda name: (-abs(scored.parts.get(name, 0.0)), name))
    for name in order:
        moved = f"{scored.parts[name]:+.2f}" if scored.parts.get(name) else ""
        value = f"{values[name]:.4g}"
        table.add_row(name, value, features.provenance.get(name, ""), moved)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
