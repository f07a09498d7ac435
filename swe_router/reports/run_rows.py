"""A run as rows, one per instance, with its attempts, tokens and verdicts; plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from swe_router.records import Outcome, Usage
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


def instance_rows(facts: RunFacts) -> list[dict[str, Any]]:
    """One row per instance, in the run's order; ``attempts`` holds one row per attempt."""
    return [_instance_row(facts, name) for name in facts.instances]


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
        "attempts": [_attempt_row(one) for one in record.outcomes],
    }


def _attempt_row(outcome: Outcome) -> dict[str, Any]:
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
    }
