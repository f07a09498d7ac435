"""The routing policy of a run, and the features that it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from swe_router import plugins
from swe_router.codegraph.graph import CodeGraph
from swe_router.codegraph.repo_cache import RepoCache
from swe_router.errors import UsageError
from swe_router.features.extraction_steps import extract_features
from swe_router.journal.header import Header
from swe_router.policies.base import validated_knobs
from swe_router.policy_abilities import DeclaresKnobs
from swe_router.records import Features, Instance
from swe_router.seams import (
    Policy,
)
from swe_router.settings import Settings
from swe_router.wiring import ensemble, training_data
from swe_router.wiring.repositories import past_commits_of

Say = Callable[[str], None]


def _quiet(message: str) -> None:
    """Workers have no terminal; what they meet is in the records."""


def build_policy(header: Header, issues: Sequence[Instance] = (), say: Say | None = None) -> Policy:
    """The policy of a run over ``issues``, fitted when it learns.

    Raises ``UsageError`` for a knob that it does not have, and for outcomes that do not serve.
    """
    settings = header.settings
    knobs, asked = training_data.split_knobs(settings.policy.knobs)
    if settings.candidates > 1:
        knobs.setdefault("candidates", settings.candidates)
    if settings.seed:
        knobs.setdefault("seed", settings.seed)
    knobs = {**header.knobs, **knobs}
    kind = plugins.load_plugin("policies", settings.policy.name)
    try:
        inspect.signature(kind).bind(header.ladder(), **knobs)
    except TypeError as error:
        raise UsageError(f"policy {settings.policy.name!r}: its knobs: {error}") from None
    made = kind(header.ladder(), **knobs)
    policy = training_data.fit_policy(made, asked, issues, say or _quiet)
    return ensemble.with_variation(policy, settings, header.ladder())


def knobs_of(settings: Settings) -> dict[str, Any]:
    """Knobs of the policy, defaults included, as JSON; empty for one that declares none.

    Raises ``UsageError`` for a knob that it does not have.
    """
    kind = plugins.load_plugin("policies", settings.policy.name)
    if not isinstance(kind, DeclaresKnobs):
        return {}
    own, _ = training_data.split_knobs(settings.policy.knobs)
    return dict(validated_knobs(settings.policy.name, kind.knobs_type, own).model_dump(mode="json"))


def features_of(
    instance: Instance, graph: CodeGraph | None, repos: RepoCache | None = None, say: Say = _quiet
) -> Features:
    """What is known of an instance before anything is spent; ``repos`` tells its history."""
    past = past_commits_of(repos, instance, say) if graph is not None and repos is not None else ()
    return extract_features(instance, graph, past)
