"""``--batch --dry-run``: the hours that batches take against the USD that they save.

A batch costs half, and takes so long that what a live attempt reads from the provider's prompt
cache, at a tenth of the price, may have to be paid whole. Which of the two is cheaper depends on
how long the conversations are: so both ends are given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swe_router.prices import PriceRate
from swe_router.records import Usage

PROMISED_HOURS = 24.0
"""Within which Anthropic and OpenAI end a batch, or let the rest of it expire."""


@dataclass(frozen=True)
class PastTokens:
    """What an attempt of the past used; tokens."""

    steps: int
    prompt_tokens: int
    """Of all calls together, however they were cached."""
    output_tokens: int


def forecast_batches(
    past: Sequence[PastTokens],
    live: PriceRate,
    batched: PriceRate,
    *,
    instances: int,
    at_once: int,
    minutes: float,
) -> dict[str, Any]:
    """Hours and USD of one attempt per instance, live and in batches.

    ``past``: attempts of which these are taken to be like; ``at_once``: instances under way at a
    time; ``minutes``: what a batch is taken to need.
    """
    steps = [one.steps for one in past]
    mean_steps = sum(steps) / len(steps)
    rounds = max(float(max(steps)), instances * mean_steps / max(1, min(at_once, instances)))
    usd = {}
    for name, rate in (("live", live), ("batch", batched)):
        each = [_usd_by_cache(one, rate) for one in past]
        mean = {end: sum(one[end] for one in each) / len(past) for end in ("cached", "uncached")}
        usd[name] = {end: round(instances * value, 4) for end, value in mean.items()}
    return {
        "steps": round(mean_steps, 1),
        "batches": math.ceil(rounds),
        "hours": round(rounds * minutes / 60, 2),
        "hours_at_most": round(rounds * PROMISED_HOURS, 1),
        "usd": usd,
    }


def _usd_by_cache(attempt: PastTokens, rate: PriceRate) -> dict[str, float]:
    """USD of an attempt with every repeated token read from the cache, and with none.

    Its prompts grow evenly: the last one holds all that was ever new.
    """
    steps = max(1, attempt.steps)
    whole = min(attempt.prompt_tokens, round(2 * attempt.prompt_tokens / (steps + 1)))
    one = Usage(
        input_tokens=attempt.prompt_tokens // steps, output_tokens=attempt.output_tokens // steps
    )
    kept = Usage(
        cache_write_tokens=whole // steps,
        cache_read_tokens=(attempt.prompt_tokens - whole) // steps,
        output_tokens=attempt.output_tokens // steps,
    )
    return {"cached": steps * float(rate.usd(kept)), "uncached": steps * float(rate.usd(one))}


def batch_forecast_lines(found: Mapping[str, Any], minutes: float) -> list[str]:
    """The same for people."""
    live, batch = found["usd"]["live"], found["usd"]["batch"]
    return [
        f"in batches: about {found['batches']} of them one after another, at {minutes:g} minutes"
        f" each (batch.expected_minutes) {found['hours']:.1f} hours; providers promise no more than"
        f" {PROMISED_HOURS:g} hours for each ({found['hours_at_most']:.0f} in all)",
        f"first attempts of all, about {found['steps']:g} steps each: in batches"
        f" ${batch['cached']:.2f} if every repeated token is read from the cache,"
        f" ${batch['uncached']:.2f} if none is; live ${live['cached']:.2f} and"
        f" ${live['uncached']:.2f}"
        + (
            "; batches in which the cache does not hold cost more than live calls in which it does"
            if batch["uncached"] > live["cached"]
            else ""
        ),
    ]
