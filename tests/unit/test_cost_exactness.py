"""What calls cost, to the last digit, against sums by hand from published price rows.

Each row names the page, as it was in November 2026. ``paid`` is tokens and USD per million of
them; ``usd`` their sum, worked out by hand. genai-prices prices the same tokens as a second check.
"""

from __future__ import annotations

import datetime
import functools
import gzip
import json
import random
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from swe_router import prices
from swe_router.models import token_usage

D = Decimal
DAY = datetime.date(2026, 11, 24)
AT_ITS_DEAREST = datetime.datetime(2026, 11, 24, 2, tzinfo=datetime.UTC)
"""A Tuesday: peak hours of DeepSeek (01:00 to 04:00 UTC), whose price holds for the whole day."""
TRAJECTORIES = Path(__file__).parents[3] / "shared" / "data" / "trajectories"
ANTHROPIC = "https://platform.claude.com/docs/en/about-claude/pricing"
OPENAI = "https://developers.openai.com/api/docs/pricing"


@dataclass(frozen=True)
class PublishedCall:
    """One call: its usage in the provider's words, and what that costs by the provider's page."""

    page: str
    model: str
    provider: str
    usage: dict
    paid: tuple
    usd: str
    base_url: str = ""
    service: str = "standard"

    @property
    def dialect(self):
        return "anthropic" if self.provider == "anthropic" else "openai"

    def rate(self):
        return prices.rate_for(
            self.model,
            dialect=self.dialect,
            base_url=self.base_url,
            on=DAY,
            service=self.service,
            hour=self.dialect == "anthropic",
        )

    def used(self):
        if self.dialect == "anthropic":
            return token_usage.anthropic_usage(self.usage, 0.0, "5m")
        if "input_tokens" in self.usage:
            return token_usage.responses_usage(self.usage, 0.0)
        return token_usage.chat_usage(self.usage, 0.0)


def claude(fresh, read, written, hour, output):
    return {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written + hour,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written,
            "ephemeral_1h_input_tokens": hour,
        },
        "output_tokens": output,
    }


def gpt(prompt, read, written, output, reasoning):
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + output,
    }


def chat(prompt, output, **more):
    total = {"total_tokens": prompt + output}
    return {"prompt_tokens": prompt, "completion_tokens": output, **total, **more}


def cached(count):
    return {"prompt_tokens_details": {"cached_tokens": count}}


CALLS = {
    # 246.00 + 1234.50 + 7500.00 + 16000.00 + 7890.00 = 32870.50 millionths
    "sonnet 5.5, writes of 5 min and 1 h": PublishedCall(
        ANTHROPIC, "claude-sonnet-5-5", "anthropic", claude(123, 12345, 3000, 4000, 789),
        ((123, "2"), (12345, "0.10"), (3000, "2.50"), (4000, "4"), (789, "10")), "0.0328705"),
    # 123.00 + 617.25 + 3750.00 + 8000.00 + 3945.00 = 16435.25 millionths
    "sonnet 5.5, in a batch": PublishedCall(
        ANTHROPIC, "claude-sonnet-5-5", "anthropic", claude(123, 12345, 3000, 4000, 789),
        ((123, "1"), (12345, "0.05"), (3000, "1.25"), (4000, "2"), (789, "5")), "0.01643525",
        service="batch"),
    # 28.00 + 8000.00 + 1720.00 + 9600.00 + 20020.00 = 39368.00 millionths
    "opus 5.5, writes of 1 h": PublishedCall(
        ANTHROPIC, "claude-opus-5-5", "anthropic", claude(7, 40000, 344, 1200, 1001),
        ((7, "4"), (40000, "0.20"), (344, "5"), (1200, "8"), (1001, "20")), "0.039368"),
    # prompt of 100000: 1000.00 + 700.00 + 1250.00 + 2000.00 + 1000.00 = 5950.00 millionths
    "haiku 5.5, at the end of its first band": PublishedCall(
        ANTHROPIC, "claude-haiku-5-5", "anthropic", claude(10000, 70000, 10000, 10000, 2000),
        ((10000, "0.10"), (70000, "0.01"), (10000, "0.125"), (10000, "0.20"), (2000, "0.50")),
        "0.00595"),
    # prompt of 100001: 5000.50 + 3500.00 + 6250.00 + 10000.00 + 5000.00 = 29750.50 millionths
    "haiku 5.5, a token further": PublishedCall(
        ANTHROPIC, "claude-haiku-5-5", "anthropic", claude(10001, 70000, 10000, 10000, 2000),
        ((10001, "0.50"), (70000, "0.05"), (10000, "0.625"), (10000, "1"), (2000, "2.50")),
        "0.0297505"),
    # half of that: 14875.25 millionths
    "haiku 5.5, long and in a batch": PublishedCall(
        ANTHROPIC, "claude-haiku-5-5", "anthropic", claude(10001, 70000, 10000, 10000, 2000),
        ((10001, "0.25"), (70000, "0.025"), (10000, "0.3125"), (10000, "0.50"), (2000, "1.25")),
        "0.01487525", service="batch"),
    # 86.00 + 96.00 + 80.00 + 6000.00 = 6262.00 millionths
    "gpt-6.1 terra, reads and a write": PublishedCall(
        OPENAI, "gpt-6.1-terra", "openai", gpt(2070, 1920, 64, 1200, 900),
        ((86, "1"), (1920, "0.05"), (64, "1.25"), (1200, "5")), "0.006262"),
    # 43.00 + 48.00 + 40.00 + 3000.00 = 3131.00 millionths
    "gpt-6.1 terra, in a batch": PublishedCall(
        OPENAI, "gpt-6.1-terra", "openai", gpt(2070, 1920, 64, 1200, 900),
        ((86, "0.50"), (1920, "0.025"), (64, "0.625"), (1200, "2.50")), "0.003131",
        service="batch"),
    # prompt of 272001: 4000.00 + 26000.10 + 25000.00 + 7500.00 = 62500.10 millionths
    "gpt-6.1 terra, over 272k": PublishedCall(
        OPENAI, "gpt-6.1-terra", "openai", gpt(272001, 260001, 10000, 1000, 0),
        ((2000, "2"), (260001, "0.10"), (10000, "2.50"), (1000, "7.50")), "0.0625001"),
    # 904.00 + 512.00 + 4000.00 = 5416.00 millionths
    "o3": PublishedCall(
        OPENAI, "o3", "openai",
        chat(1476, 500, **cached(1024), completion_tokens_details={"reasoning_tokens": 448}),
        ((452, "2"), (1024, "0.50"), (500, "8")), "0.005416"),
    # 1476.00 + 2000.00 = 3476.00 millionths
    "o3, in a batch": PublishedCall(
        OPENAI, "o3", "openai", chat(1476, 500), ((1476, "1"), (500, "4")), "0.003476",
        service="batch"),
    # 628.32 + 45.056 + 792.00 = 1465.376 millionths
    "deepseek v4 pro, at peak": PublishedCall(
        "https://api-docs.deepseek.com/quick_start/pricing", "deepseek-v4-pro", "deepseek",
        chat(1500, 200, prompt_cache_hit_tokens=1024, prompt_cache_miss_tokens=476),
        ((476, "1.32"), (1024, "0.044"), (200, "3.96")), "0.001465376",
        base_url="https://api.deepseek.com"),
    # 363.00 + 384.00 + 600.00 = 1347.00 millionths
    "kimi k3": PublishedCall(
        "https://platform.kimi.ai/docs/pricing/chat-k3", "kimi-k3", "moonshotai",
        chat(1401, 40, cached_tokens=1280), ((121, "3"), (1280, "0.30"), (40, "15")), "0.001347",
        base_url="https://api.moonshot.ai/v1"),
    # 560.00 + 208.00 + 1320.00 = 2088.00 millionths
    "glm 5.3": PublishedCall(
        "https://docs.z.ai/guides/overview/pricing", "GLM-5.3", "zai",
        chat(1200, 300, **cached(800)), ((400, "1.40"), (800, "0.26"), (300, "4.40")), "0.002088",
        base_url="https://api.z.ai/api/paas/v4"),
    # prompt of 200001: 400004.00 + 40000.00 + 10800.00 = 450804.00 millionths
    "gemini 3.1 pro, over 200k, thoughts in the total alone": PublishedCall(
        "https://ai.google.dev/gemini-api/docs/pricing", "gemini-3.1-pro-preview", "google",
        {**chat(200001, 100, **cached(100000)), "total_tokens": 200601},
        ((100001, "4"), (100000, "0.40"), (600, "18")), "0.450804",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai"),
}  # fmt: skip


def listed_usd(call, used):
    """What genai-prices makes of the same tokens; its input includes what was cached."""
    counts = {
        "input_tokens": used.prompt_tokens,
        "cache_read_tokens": used.cache_read_tokens,
        "cache_write_tokens": used.cache_write_tokens,
        "cache_write_1h_tokens": used.cache_write_1h_tokens,
        "output_tokens": used.output_tokens,
    }
    context = {"processing": "batch"} if call.service == "batch" else None
    return calc_price(
        ListedUsage(**{name: count for name, count in counts.items() if count}),
        call.model,
        provider_id=call.provider,
        genai_request_timestamp=AT_ITS_DEAREST,
        price_context=context,
    ).total_price


@pytest.mark.parametrize("name", CALLS)
def test_a_call_costs_what_the_published_prices_say(name):
    call = CALLS[name]
    by_hand = sum(tokens * D(price) for tokens, price in call.paid) / 1_000_000
    assert by_hand == D(call.usd), "the sum of the row itself"
    used = call.used()
    assert call.rate().usd(used) == D(call.usd)
    assert listed_usd(call, used) == D(call.usd)


@pytest.mark.parametrize("name", CALLS)
def test_no_split_of_a_prompt_costs_more_than_what_is_reserved(name):
    rate = CALLS[name].rate()
    pick = random.Random(11)
    for _ in range(200):
        prompt, output = pick.randrange(1, 400_000), pick.randrange(1, 20_000)
        cuts = sorted(pick.randrange(prompt + 1) for _ in range(3))
        read, five, hour = cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]
        used = token_usage.anthropic_usage(
            claude(prompt - cuts[2], read, five, hour, output), 0.0, "5m"
        )
        assert used.prompt_tokens == prompt
        assert rate.usd(used) <= rate.max_usd(prompt, output, 0.0)
    assert rate.usd(rate.max_usage(prompt, output, 0.0)) <= rate.max_usd(prompt, output, 0.0)


@functools.cache
def gemini_rate(day):
    url = "https://generativelanguage.googleapis.com/v1beta/openai"
    return prices.rate_for("gemini-3-pro-preview", base_url=url, on=day)


@pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="the recorded trajectories are not here")
def test_every_recorded_call_costs_what_its_provider_charged():
    """Gemini 3 Pro through OpenRouter on two days of November 2025: 2, 0.20 and 12 USD."""
    calls = runs = 0
    for file in sorted(TRAJECTORIES.glob("*.traj.json.gz")):
        whole = json.loads(gzip.decompress(file.read_bytes()))
        spent = D(0)
        for message in whole["messages"]:
            reply = message.get("extra", {}).get("response")
            if reply is None:
                continue
            made = datetime.datetime.fromtimestamp(reply["created"], datetime.UTC).date()
            usd = gemini_rate(made).usd(token_usage.chat_usage(reply["usage"], 0.0))
            assert usd == D(str(reply["usage"]["cost"])), reply["id"]
            spent += usd
            calls += 1
        assert float(spent) == pytest.approx(whole["info"]["model_stats"]["instance_cost"])
        runs += 1
    assert (runs, calls) == (65, 3055)
