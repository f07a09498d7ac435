"""What a run begins with: its header and its instances, checked on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable

from swe_router.commands.run import candidate_import
from swe_router.grading import graders
from swe_router.journal.header import Header
from swe_router.policy_abilities import needs_of
from swe_router.records import Budget
from swe_router.settings import Settings
from swe_router.wiring import (
    acceptance_thresholds,
    batch_prices,
    preflight,
    stop_loss,
    training_data,
)
from swe_router.wiring.policy_wiring import build_policy, features_of, knobs_of

Say = Callable[[str], None]


def resolved_header(settings: Settings, say: Say) -> tuple[Header, candidate_import.RunInputs]:
    """What a run begins with, checked on this machine. Raises ``UsageError``."""
    start = candidate_import.read_run_inputs(settings, say)
    settings, instances = acceptance_thresholds.with_thresholds(start.settings), start.instances
    if settings.grade.enabled:
        ids = tuple(one.id for one in instances)
        graders.check_answer_key(settings.split, ids, settings.dataset, code=settings.grade.code)
    ready = preflight.run_preflight(settings, instances, say)
    header = Header(
        settings=settings,
        digest=settings.digest(),
        rates=ready.rates,
        batch_rates=batch_prices.batch_rates(settings, ready.rates)
        if settings.batch.enabled
        else {},
        skipped_tiers=ready.skipped_tiers,
        sandbox=ready.sandbox_kind,
        prompts=ready.prompt_digests,
        created=time.time(),
        stop_loss=stop_loss.read_profiles(settings.stop_loss, settings.ladder),
        knobs=knobs_of(settings),
    )
    policy = build_policy(header, instances, say)
    if needs_of(policy):
        knobs = settings.policy.knobs
        batch = [training_data.with_ratings(features_of(one, None), knobs) for one in instances]
        policy.prepare(batch, Budget(dollars=settings.budget))
    return header, start
