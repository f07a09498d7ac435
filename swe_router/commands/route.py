"""``route``: the decision card of one issue, with features, estimates per tier and all policies."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from swe_router import plugins
from swe_router.commands.result import CommandResult
from swe_router.errors import UsageError
from swe_router.estimates.prediction.intervals import expected_outcomes
from swe_router.features.extraction_steps import score_of
from swe_router.instances import splits
from swe_router.journal.header import Header
from swe_router.models import tier_checks
from swe_router.policy_abilities import Learner, surrogate_of
from swe_router.records import (
    Budget,
    BudgetView,
    Features,
    Instance,
    RouteDecision,
    Try,
    label_with_phases,
)
from swe_router.records.known_features import require_values
from swe_router.reports.route_card import route_view
from swe_router.settings import Settings
from swe_router.wiring import training_data
from swe_router.wiring.policy_wiring import build_policy, features_of
from swe_router.wiring.repositories import graph_of, repo_cache

Say = Callable[[str], None]
FITTED_POLICY_KNOBS = ("outcomes", "features", "systems", "verifier")


def route_issue(settings: Settings, say: Say) -> CommandResult:
    """Features, score, estimates and decisions; nothing is spent and no key is needed."""
    instance = splits.load_instances(
        settings.split, dataset_reader=settings.dataset, ids=settings.instances
    )[0]
    header = Header(settings, settings.digest(), {}, {}, "none", {}, time.time())
    repos = repo_cache(settings.repos, say)
    graph = graph_of(repos, instance, say)
    features = training_data.with_ratings(
        features_of(instance, graph, repos, say), settings.policy.knobs
    )
    budget = BudgetView(budget=settings.budget, spent=Decimal(0), reserved=Decimal(0),
                      instances_left=1, clock=time.time())  # fmt: skip
    policy = build_policy(_without_unused_fits(header), [instance], say)
    decision = policy.prepare([features], Budget(dollars=settings.budget)).decide(
        features, (), budget
    )
    score = score_of(features)
    tiers, notice = _tier_rows(header, instance, features)
    rivals = [_rival_row(name, knobs, header, instance, features, budget)
              for name, knobs in _policies_with_knobs(header)]  # fmt: skip
    known = {
        "instance_id": instance.id,
        "policy": settings.policy.name,
        "decision": decision.model_dump(mode="json"),
        "features": dict(require_values(features)),
        "provenance": dict(features.provenance),
        "complexity": {**score._asdict(), "parts": dict(score.parts)},
        "graph": graph is not None,
        "tiers": tiers,
        "estimates_from": notice,
        "rivals": rivals,
    }
    view = route_view(
        instance,
        decision.why,
        features=features,
        scored=score,
        tiers=tiers,
        notice=notice,
        rivals=rivals,
    )
    return CommandResult(facts=known, view=view)


def _without_unused_fits(header: Header) -> Header:
    """Without the knobs of fits where the policy does not learn: only the card uses them."""
    chosen = header.settings.policy
    if issubclass(plugins.load_plugin("policies", chosen.name), Learner):
        return header
    knobs = {k: v for k, v in chosen.knobs.items() if not k.startswith(FITTED_POLICY_KNOBS)}
    own = chosen.model_copy(update={"knobs": knobs})
    return dataclasses.replace(header, settings=header.settings.model_copy(update={"policy": own}))


def _tier_rows(
    header: Header, instance: Instance, features: Features
) -> tuple[list[dict[str, Any]], str]:
    """Each tier with its price and its expected results, and the source of these."""
    settings = header.settings
    rows = [_tier_price_row(settings, name) for name in settings.ladder]
    _, asked = training_data.split_knobs(settings.policy.knobs)
    arms = [str(plan.arm) for plan in header.ladder()]
    try:
        past, notice = training_data.training_of_ladder(asked, arms, [instance])
        for row, one in zip(rows, expected_outcomes(past, features), strict=True):
            row.update(dataclasses.asdict(one))
    except UsageError as error:
        notice = f"no estimates: {error}"
    return rows, notice


def _tier_price_row(settings: Settings, name: str) -> dict[str, Any]:
    tier = settings.tiers[name]
    try:
        day = settings.prices.date or datetime.datetime.now(datetime.UTC).date()
        price = tier_checks.rate_of(name, tier, settings.prices, day).source
    except UsageError as error:
        price = str(error)
    return {"tier": name, "model": tier.model, "limit_usd": float(tier.attempt_usd), "price": price}


def _policies_with_knobs(header: Header) -> list[tuple[str, dict[str, Any]]]:
    """Every policy with the knobs it needs; ``fixed`` once per tier."""
    made: list[tuple[str, dict[str, Any]]] = []
    for name in plugins.plugin_names("policies"):
        if name == "fixed":
            made += [(name, {"tier": str(plan.arm)}) for plan in header.ladder()]
        elif name == header.settings.policy.name:
            made.append((name, {k: v for k, v in header.settings.policy.knobs.items()
                                if not k.startswith(FITTED_POLICY_KNOBS)}))  # fmt: skip
        else:
            made.append((name, {}))
    return made


def _rival_row(
    policy_name: str,
    knobs: Mapping[str, Any],
    header: Header,
    instance: Instance,
    features: Features,
    budget: BudgetView,
) -> dict[str, Any]:
    """What a policy would do first, or why it cannot say."""
    label = f"always-{knobs['tier']}" if policy_name == "fixed" else policy_name
    try:
        kind = plugins.load_plugin("policies", policy_name)
        bare = kind(header.ladder(), **knobs)
        fits = {
            k: v
            for k, v in header.settings.policy.knobs.items()
            if k.startswith(FITTED_POLICY_KNOBS)
        }
        _, asked = training_data.split_knobs(fits if isinstance(bare, Learner) else {})
        policy = training_data.fit_policy(bare, asked, [instance], lambda line: None)
        policy = policy.prepare([features], Budget(dollars=budget.budget))
        decision: RouteDecision = policy.decide(features, (), budget)
    except UsageError as error:
        return {"policy": label, "first": None, "why": "", "propensity": None,
                "surrogate": None, "unavailable": str(error)}  # fmt: skip
    plans = decision.plans if isinstance(decision, Try) else ()
    tried = [label_with_phases(plan.arm, plan.phases) for plan in plans]
    return {
        "policy": label,
        "first": tried,
        "why": decision.why,
        "propensity": decision.propensity if isinstance(decision, Try) else 1.0,
        "surrogate": surrogate_of(kind) or None,
        "unavailable": None,
    }
