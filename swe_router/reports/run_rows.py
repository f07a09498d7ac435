"""A run as rows, one per instance, with its attempts, tokens and verdicts; plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from swe_router.estimates.caching.cache_use import CacheUse
from swe_router.records import Outcome, TierShare, Usage
from swe_router.reports.run_summary import RunFacts, standing_of, submitted_tier


def token_totals(usages: Iterable[Usage]) -> dict[str, Any]:
    """Tokens of calls by kind, and the share of the prompts that came from the cache.

    ``cache_share`` is null without a prompt; ``reasoning`` is a part of ``output``.
    """
    whole = sum(usages, start=Usage())
    return {
        "input": whole.input_tokens,
        "cache_read": whole.cache_read_tokens,
        "cache_write": whole.cache_write_tokens,
        "output": whole.output_tokens,
        "reasoning": whole.reasoning_tokens,
        "cache_share": round(whole.cache_read_tokens / whole.prompt_tokens, 4)
        if whole.prompt_tokens
        else None,
    }


def cache_row(use: CacheUse) -> dict[str, Any]:
    """What prompt caches did in some calls; ``saved_usd`` is null where no price is known."""
    return {
        "share": None if use.share is None else round(use.share, 4),
        "saved_usd": None if use.saved_usd is None else float(use.saved_usd),
        "breaks": use.breaks,
        "break_tokens": use.break_tokens,
        "break_usd": float(use.break_usd),
    }


def cache_facts(facts: RunFacts) -> dict[str, Any]:
    """What prompt caches did in all calls, and by tier."""
    return {
        **cache_row(facts.cache.whole),
        "by_tier": {name: cache_row(use) for name, use in facts.cache.by_tier.items()},
    }


def instance_rows(facts: RunFacts) -> list[dict[str, Any]]:
    """One row per instance, in the run's order; ``attempts`` holds one row per attempt."""
    return [_instance_row(facts, name) for name in facts.instances]


def cache_of_attempt(facts: RunFacts, outcome: Outcome) -> CacheUse:
    """What prompt caches did in one attempt."""
    one = outcome.attempt
    return facts.cache.by_conversation.get(f"{one.instance_id}/{one.id}", CacheUse())


def _instance_row(facts: RunFacts, name: str) -> dict[str, Any]:
    record = facts.records.get(name)
    if record is None:
        return {"instance": name, "standing": "owed", "status": None, "tier": None, "usd": 0.0,
                "stop": "", "attempts": []}  # fmt: skip
    return {
        "instance": name,
        "standing": standing_of(facts, name),
        "status": record.status,
        "tier": submitted_tier(record),
        "chosen": record.chosen,
        "usd": float(record.whole_usd),
        "seconds": record.seconds,
        "stop": record.stop,
        "tokens": token_totals(o.attempt.trajectory.usage for o in record.outcomes),
        "attempts": [_attempt_row(one, facts) for one in record.outcomes],
    }


def _attempt_row(outcome: Outcome, facts: RunFacts) -> dict[str, Any]:
    one = outcome.attempt
    return {
        "id": one.id,
        "tier": outcome.arm.model,
        "exit": one.trajectory.exit,
        "failure": one.failure.kind if one.failure is not None else None,
        "steps": one.trajectory.steps,
        "usd": float(one.trajectory.usd),
        "seconds": one.seconds,
        "patch": bool(outcome.candidate is not None and outcome.candidate.patch),
        "accepted": outcome.accepted,
        "verdicts": {v.verifier: v.outcome for v in outcome.verdicts},
        "tokens": token_totals([one.trajectory.usage]),
        "cache": cache_row(cache_of_attempt(facts, outcome)),
        **({"phases": _phase_rows(outcome)} if one.plan.phases else {}),
    }


def _phase_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """What each other tier could do in an attempt, and what its calls came to."""
    shares = outcome.attempt.trajectory.tiers
    rows = []
    for phase in outcome.attempt.plan.phases:
        share = shares.get(phase.tier, TierShare())
        rows.append(
            {
                "role": phase.role,
                "tier": phase.tier,
                "max_usd": float(phase.usd),
                "calls": share.calls,
                "usd": float(share.usd),
                "tokens": token_totals([share.usage]),
            }
        )
    return rows
