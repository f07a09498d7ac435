"""What prompt caching is worth on 65 recorded runs, by the rules and prices of six models.

Usage: python benchmarks/caching.py [--trajectories FOLDER] [--limit N] [--json]

The runs are mini-swe-agent 1.15 with Gemini 3 Pro (`*.traj.json.gz`): their messages, the tokens
that the provider counted and the times of the calls. Each is sent again to a simulated cache of a
provider (`swe_router.estimates.caching.provider_cache`), all on one account and in order of time.
Compared are: no cache; one mark on the last message, as mini-swe-agent sets it (automatic caches
need none); the requests that swe-router sends, with its own marks; and the floor, where every token
that an earlier prompt began with is read, whatever the provider's rules. ``possible`` is ours over
the floor without the prefixes that are too short for the provider: no client can have these read.

Not simulated: machines of a provider that have no copy of a prefix (`prompt_cache_key` is for
these), prefixes that are dropped before their time, other tokenizers (all tokens are as Gemini
counted them). The scenarios after the first change the recorded runs: many calls in one turn, slow
commands, a small window.

Rules, as read in November 2026:
  Anthropic  platform.claude.com/docs/en/build-with-claude/prompt-caching: marks, 20 blocks back,
             5 min or 1 h from the last use, 1,024 tokens (Haiku 4.5: 4,096)
  OpenAI     developers.openai.com/api/docs/guides/prompt-caching: from 1,024 tokens in steps of
             128, 24 h (openai 3.57: the default of prompt_cache_retention; 5 to 10 min with zero
             data retention); GPT-5.6: at breakpoints, 30 min, writes at 1.25 times input
  DeepSeek   api-docs.deepseek.com/guides/kv_cache: ends of requests and answers, hours to days
  Gemini     ai.google.dev/gemini-api/docs/caching: implicit, Gemini 3 Pro from 4,096 tokens (no
             time is given: 5 min are taken)
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from caching_runs import ANSWER, SCENARIOS, Call, Talk, read_talk

from swe_router import prices
from swe_router.estimates.caching.provider_cache import (
    CacheRules,
    PromptBlock,
    ProviderCache,
    SentPrompt,
    least_usages,
)
from swe_router.models import cache_lifetime, cache_marks
from swe_router.models.anthropic import AnthropicModel
from swe_router.prices import PriceRate
from swe_router.records import CallLimits, Usage
from swe_router.settings import Tier

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared" / "data" / "trajectories"
DAY = datetime.date(2026, 12, 1)


@dataclass(frozen=True)
class Priced:
    """A model with its provider's rules."""

    name: str
    rules: CacheRules
    dialect: str = "openai"
    base_url: str = ""
    marks: str = ""
    """``anthropic`` or ``openai`` (GPT-5.6): what a request can mark; empty: nothing."""

    def rate(self) -> PriceRate:
        """Its list price."""
        return prices.rate_for(
            self.name,
            dialect=self.dialect,
            base_url=self.base_url,
            on=DAY,
            hour=self.dialect == "anthropic",
        )


ANTHROPIC = CacheRules("marks", min_tokens=1024, look_back=cache_marks.LOOK_BACK, writes=True)
MODELS = (
    Priced("claude-sonnet-4-5", ANTHROPIC, "anthropic", marks="anthropic"),
    Priced("claude-haiku-4-5", replace(ANTHROPIC, min_tokens=4096), "anthropic", marks="anthropic"),
    Priced("gpt-5.4", CacheRules("everything", min_tokens=1024, granule=128, seconds=86_400.0)),
    Priced(
        "gpt-5.6", CacheRules("ends", min_tokens=1024, seconds=1800.0, writes=True), marks="openai"
    ),
    Priced(
        "deepseek-v4-flash",
        CacheRules("ends", seconds=3600.0),
        base_url="https://api.deepseek.com",
    ),
    Priced(
        "gemini-3-pro-preview",
        CacheRules("everything", min_tokens=4096),
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
    ),
)


@dataclass(frozen=True)
class Sent:
    """A request with the marks of both ways."""

    at: float
    blocks: tuple[PromptBlock, ...]
    output_tokens: int
    answer: PromptBlock | None
    last_mark: dict[int, float]
    """As mini-swe-agent marks: the last block."""
    our_marks: dict[int, float]


def sent_requests(talks: Sequence[Talk]) -> list[Sent]:
    """All requests of a fleet in order of time, as the product's own adapter makes them."""
    tier = Tier(model="m", dialect="anthropic", api_key_env="K", window=200_000, attempt_usd=1)
    adapter = AnthropicModel(tier, session="s", key="k")
    found = [one for talk in talks for one in _requests(talk, adapter)]
    return sorted(found, key=lambda one: one.at)


def _requests(talk: Talk, adapter: AnthropicModel) -> Iterator[Sent]:
    gaps: list[float] = []
    for number, call in enumerate(talk.calls):
        limits = CallLimits(max_output_tokens=ANSWER, gaps=tuple(gaps))
        ttl = cache_lifetime.chosen_ttl(call.messages, limits.gaps)
        body = adapter._body(call.messages, (), limits, ttl)
        rows = [*body["system"], *(b for turn in body["messages"] for b in turn["content"])]
        marks = {
            at: cache_lifetime.SECONDS[row["cache_control"]["ttl"]]
            for at, row in enumerate(rows)
            if "cache_control" in row
        }
        after = talk.calls[number + 1] if number + 1 < len(talk.calls) else None
        if after is not None:
            gaps.append(after.at - call.at)
        blocks = tuple(_block(row, talk.tokens) for row in rows)
        last = {len(blocks) - 1: cache_lifetime.SECONDS["5m"]}
        answer = _answer(call, after, talk)
        yield Sent(call.at, blocks, call.output_tokens, answer, last, marks)


def marked_for(model: Priced, sent: Sequence[Sent]) -> Sequence[Sent]:
    """The requests with the marks that the model's API takes."""
    if model.marks == "anthropic":
        return sent
    # GPT-5.6: system text and issue (``cache_marks.opening_ends``); the end is marked by the API.
    opening = dict.fromkeys((0, 1), model.rules.seconds) if model.marks else {}
    return [replace(one, last_mark={}, our_marks=opening) for one in sent]


def _answer(call: Call, after: Call | None, talk: Talk) -> PromptBlock | None:
    """The answer, where it goes back as one block."""
    if after is None or len(after.messages) <= len(call.messages):
        return None
    said = after.messages[len(call.messages)]
    if said.role != "assistant" or said.tool_calls:
        return None
    return _block({"type": "text", "text": said.content}, talk.tokens)


def _block(row: dict[str, Any], tokens: dict[str, int]) -> PromptBlock:
    if row["type"] == "tool_use":
        text = f"{row['id']} {row['input']['command']}"
        return PromptBlock(f"call {text}", tokens.get(text, 1))
    if row["type"] == "tool_result":
        name = f"result {row['tool_use_id']} {row['content']}"
        return PromptBlock(name, tokens.get(row["content"], 1))
    return PromptBlock(row["text"], tokens.get(row["text"], 1))


@dataclass(frozen=True)
class Bill:
    """USD of a fleet by one way, and the share of its prompts that was read."""

    usd: Decimal
    input_usd: Decimal
    share: float


def _bill(sent: Sequence[Sent], usages: Sequence[Usage], rate: PriceRate) -> Bill:
    usd = input_usd = Decimal(0)
    for one, usage in zip(sent, usages, strict=True):
        input_usd += rate.usd(usage)
        usd += rate.usd(usage.model_copy(update={"output_tokens": one.output_tokens}))
    whole = sum(usage.prompt_tokens for usage in usages)
    return Bill(usd, input_usd, sum(u.cache_read_tokens for u in usages) / whole)


def _simulated(sent: Sequence[Sent], rules: CacheRules, *, ours: bool) -> list[Usage]:
    cache = ProviderCache(rules)
    return [
        cache.call(one.at, one.blocks, one.our_marks if ours else one.last_mark, one.answer)
        for one in sent
    ]


def measure(requests: Sequence[Sent], model: Priced) -> dict[str, Any]:
    """One row of the table: the four bills of one model, and what mini's way loses by cause."""
    rate, sent = model.rate(), marked_for(model, requests)
    whole = [Usage(input_tokens=sum(b.tokens for b in one.blocks)) for one in sent]
    floor = least_usages([SentPrompt(s.at, s.blocks) for s in sent], writes=model.rules.writes)
    possible = least_usages(
        [SentPrompt(s.at, s.blocks) for s in sent],
        writes=model.rules.writes,
        min_tokens=model.rules.min_tokens,
    )
    bills = {
        "none": _bill(sent, whole, rate),
        "mini": _bill(sent, _simulated(sent, model.rules, ours=False), rate),
        "ours": _bill(sent, _simulated(sent, model.rules, ours=True), rate),
        "floor": _bill(sent, floor, rate),
        "possible": _bill(sent, possible, rate),
    }
    row: dict[str, Any] = {"model": model.name}
    for name, bill in bills.items():
        row[name] = round(float(bill.usd), 4)
        row[f"{name}_input"] = round(float(bill.input_usd), 4)
        row[f"{name}_share"] = round(bill.share, 4)
    for name in ("mini", "ours"):
        row[f"{name}_over_floor"] = round(row[name] / row["floor"], 4)
        row[f"{name}_input_over_floor"] = round(row[f"{name}_input"] / row["floor_input"], 4)
    row["ours_over_possible"] = round(row["ours"] / row["possible"], 4)
    if model.marks == "anthropic":
        row["mini_losses"] = mini_losses(sent, model, rate, bills)
    return row


def mini_losses(
    sent: Sequence[Sent], model: Priced, rate: PriceRate, bills: dict[str, Bill]
) -> dict[str, float]:
    """USD that mini's way would save if a rule did not hold, one rule taken away after the other.

    ``beginning``: with marks on system text and issue too, as ours has them, which an elision
    leaves and which other runs share. What is left over the floor is ``rest``.
    """
    freed = replace(model.rules, look_back=0)
    timeless = replace(freed, seconds=math.inf)
    endless = [replace(one, last_mark=dict.fromkeys(one.last_mark, math.inf)) for one in sent]
    opened = [
        replace(one, last_mark=dict.fromkeys((0, 1, len(one.blocks) - 1), math.inf)) for one in sent
    ]
    steps = {
        "look_back": _bill(sent, _simulated(sent, freed, ours=False), rate),
        "time": _bill(sent, _simulated(endless, timeless, ours=False), rate),
        "beginning": _bill(sent, _simulated(opened, timeless, ours=False), rate),
    }
    found, before = {}, bills["mini"].usd
    for name, bill in steps.items():
        found[name] = round(float(before - bill.usd), 4)
        before = bill.usd
    return {**found, "rest": round(float(before - bills["floor"].usd), 4)}


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The rows as text, USD with the output."""
    yield (
        f"{'model':22}{'no cache':>10}{'mini':>10}{'ours':>10}{'floor':>10}"
        f"{'mini/floor':>12}{'ours/floor':>12}{'(input)':>9}{'possible':>10}{'read':>7}"
    )
    for row in rows:
        yield (
            f"{row['model']:22}{row['none']:10.2f}{row['mini']:10.2f}{row['ours']:10.2f}"
            f"{row['floor']:10.2f}{row['mini_over_floor']:12.3f}{row['ours_over_floor']:12.3f}"
            f"{row['ours_input_over_floor']:9.3f}{row['ours_over_possible']:10.3f}"
            f"{row['ours_share']:7.1%}"
        )
    for row in rows:
        if "mini_losses" in row:
            parts = ", ".join(f"{name} ${usd:.2f}" for name, usd in row["mini_losses"].items())
            yield f"  mini's way over the floor, {row['model']}: {parts}"


def _scenarios(talks: Sequence[Talk]) -> Iterator[tuple[str, list[Sent]]]:
    for name, change in SCENARIOS.items():
        yield name, sent_requests([change(talk) for talk in talks])


def main() -> int:
    """Print the tables; status 2 without the recorded runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trajectories", type=Path, default=SHARED)
    parser.add_argument("--limit", type=int, default=0, help="runs to take; 0: all")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    paths = sorted(given.trajectories.glob("*.traj.json.gz"))[: given.limit or None]
    if not paths:
        print(
            f"caching.py: no *.traj.json.gz in {given.trajectories}: give --trajectories FOLDER",
            file=sys.stderr,
        )
        return 2
    talks = [read_talk(path) for path in paths]
    calls = sum(len(talk.calls) for talk in talks)
    gaps = [b.at - a.at for talk in talks for a, b in zip(talk.calls, talk.calls[1:], strict=False)]
    facts: dict[str, Any] = {
        "runs": len(talks),
        "calls": calls,
        "longest_gap": max(gaps, default=0.0),
        "gaps_over_300_s": sum(gap > 300 for gap in gaps),
        "recorded_share": round(sum(t.cached for t in talks) / sum(t.prompt for t in talks), 4),
        "scenarios": {
            name: [measure(requests, model) for model in MODELS]
            for name, requests in _scenarios(talks)
        },
    }
    if given.json:
        print(json.dumps(facts, indent=1))
        return 0
    print(
        f"{facts['runs']} runs, {calls} calls; longest time between two calls"
        f" {facts['longest_gap']:.0f} s, over 300 s: {facts['gaps_over_300_s']};"
        f" the real provider read {facts['recorded_share']:.1%} of the prompts from its cache"
    )
    for name, rows in facts["scenarios"].items():
        print(f"\n{name}", *table(rows), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
