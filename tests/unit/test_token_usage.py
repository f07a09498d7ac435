"""Usages in the words of each provider and gateway, as their references and code have them."""

from __future__ import annotations

import pytest

from swe_router.models import token_usage
from swe_router.records import Usage

READERS = {
    "chat": token_usage.chat_usage,
    "responses": token_usage.responses_usage,
    "anthropic": lambda usage, seconds: token_usage.anthropic_usage(usage, seconds, "5m"),
}
SHAPES = {
    # https://docs.claude.com/en/docs/build-with-claude/prompt-caching
    "anthropic, both lives": (
        "anthropic",
        {
            "input_tokens": 2048,
            "cache_read_input_tokens": 1800,
            "cache_creation_input_tokens": 248,
            "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
            "output_tokens": 503,
            "output_tokens_details": {"thinking_tokens": 200},
            "service_tier": "standard",
            "speed": "standard",
        },
        (2048, 1800, 248, 100, 503, 200),
    ),
    "anthropic, by life alone": (
        "anthropic",
        {
            "input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 5,
        },
        (7, 0, 50, 20, 5, 0),
    ),
    # openai.types.CompletionUsage
    "openai": (
        "chat",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 120},
        },
        (22, 1920, 64, 0, 300, 120),
    ),
    # openai.types.responses.ResponseUsage
    "openai, responses": (
        "responses",
        {
            "input_tokens": 2006,
            "input_tokens_details": {
                "cached_tokens": 1920,
                "cache_write_tokens": 64,
                "cache_write_tokens_details": {"ttl_30m_tokens": 64, "ttl_12h_tokens": 0},
            },
            "output_tokens": 300,
            "output_tokens_details": {"reasoning_tokens": 120},
            "total_tokens": 2306,
        },
        (22, 1920, 64, 0, 300, 120),
    ),
    # https://api-docs.deepseek.com/guides/kv_cache
    "deepseek": (
        "chat",
        {
            "prompt_tokens": 1500,
            "completion_tokens": 200,
            "total_tokens": 1700,
            "prompt_cache_hit_tokens": 1024,
            "prompt_cache_miss_tokens": 476,
            "completion_tokens_details": {"reasoning_tokens": 150},
        },
        (476, 1024, 0, 0, 200, 150),
    ),
    # https://platform.kimi.ai/docs/api/chat
    "kimi": (
        "chat",
        {"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40, "cached_tokens": 10},
        (9, 10, 0, 0, 21, 0),
    ),
    # https://docs.z.ai/guides/capabilities/cache
    "glm": (
        "chat",
        {
            "prompt_tokens": 1200,
            "completion_tokens": 300,
            "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 800},
        },
        (400, 800, 0, 0, 300, 0),
    ),
    # https://www.alibabacloud.com/help/en/model-studio/context-cache
    "qwen, explicit cache": (
        "chat",
        {
            "prompt_tokens": 1620,
            "completion_tokens": 100,
            "total_tokens": 1720,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_creation_input_tokens": 1605,
                "cache_creation": {"ephemeral_5m_input_tokens": 1605},
                "cache_type": "ephemeral",
            },
        },
        (15, 0, 1605, 0, 100, 0),
    ),
    # https://github.com/mozilla-ai/any-llm/issues/1290: the total alone has the thoughts
    "gemini, thoughts in the total alone": (
        "chat",
        {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
        (20, 0, 0, 0, 603, 0),
    ),
    # https://github.com/router-for-me/CLIProxyAPI/issues/5733
    "gemini, thoughts apart": (
        "chat",
        {
            "prompt_tokens": 21,
            "completion_tokens": 0,
            "total_tokens": 81,
            "completion_tokens_details": {"reasoning_tokens": 60},
        },
        (21, 0, 0, 0, 60, 60),
    ),
    # https://openrouter.ai/docs/use-cases/usage-accounting
    "openrouter": (
        "chat",
        {
            "prompt_tokens": 10339,
            "completion_tokens": 60,
            "total_tokens": 10399,
            "cost": 0.0181,
            "cost_details": {"upstream_inference_cost": None},
            "prompt_tokens_details": {"cached_tokens": 10318, "cache_write_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
        },
        (11, 10318, 10, 0, 60, 0),
    ),
    # litellm.types.utils.Usage of 1.8x, in front of Anthropic
    "litellm": (
        "chat",
        {
            "prompt_tokens": 1100,
            "completion_tokens": 50,
            "total_tokens": 1150,
            "cache_read_input_tokens": 700,
            "cache_creation_input_tokens": 300,
            "prompt_tokens_details": {
                "cached_tokens": 700,
                "cache_creation_tokens": 300,
                "cache_creation_token_details": {
                    "ephemeral_5m_input_tokens": 200,
                    "ephemeral_1h_input_tokens": 100,
                },
            },
        },
        (100, 700, 300, 100, 50, 0),
    ),
    # @portkey-ai/gateway, src/providers/anthropic/chatComplete.ts: the prompt without the cached
    "portkey": (
        "chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 1150,
            "prompt_tokens_details": {"cached_tokens": 700},
            "cache_read_input_tokens": 700,
            "cache_creation_input_tokens": 300,
        },
        (100, 700, 300, 0, 50, 0),
    ),
    "portkey, strict: writes in the total alone": (
        "chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 1150,
            "prompt_tokens_details": {"cached_tokens": 700},
        },
        (400, 700, 0, 0, 50, 0),
    ),
    "thoughts and cached tokens in the total alone": (
        "chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 1190,
            "cache_read_input_tokens": 700,
            "cache_creation_input_tokens": 300,
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
        (100, 700, 300, 0, 90, 40),
    ),
    "more read from a cache than there was": (
        "chat",
        {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "cached_tokens": 10**9},
        (0, 7, 0, 0, 5, 0),
    ),
    "a total that is less than its parts": (
        "chat",
        {"prompt_tokens": 70, "completion_tokens": 5, "total_tokens": 1},
        (70, 0, 0, 0, 5, 0),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_no_token_of_a_documented_usage_is_lost_or_counted_twice(name):
    dialect, usage, expected = SHAPES[name]
    used = READERS[dialect](usage, 1.5)
    assert (
        used.input_tokens,
        used.cache_read_tokens,
        used.cache_write_tokens,
        used.cache_write_1h_tokens,
        used.output_tokens,
        used.reasoning_tokens,
    ) == expected
    assert used.seconds == 1.5


@pytest.mark.parametrize("dialect", READERS)
@pytest.mark.parametrize("usage", [None, [], "many", 7, {}])
def test_no_usage_is_none(dialect, usage):
    assert READERS[dialect](usage, 1.0) == Usage(seconds=1.0)


@pytest.mark.parametrize("count", [-1, 1.5, True, "12", float("nan"), 10**12])
@pytest.mark.parametrize(
    ("dialect", "places"),
    [
        ("chat", [("total_tokens",), ("cached_tokens",), ("prompt_tokens_details", "cached_tokens"),
                  ("prompt_tokens_details", "cache_creation", "ephemeral_1h_input_tokens")]),
        ("responses", [("input_tokens",), ("output_tokens_details", "reasoning_tokens")]),
        ("anthropic", [("cache_creation", "ephemeral_1h_input_tokens"), ("output_tokens",)]),
    ],
)  # fmt: skip
def test_nonsense_in_any_count_is_no_usage_at_all(dialect, places, count):
    for place in places:
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "input_tokens": 9, "output_tokens": 9}
        table = usage
        for name in place[:-1]:
            table = table.setdefault(name, {})
        table[place[-1]] = count
        assert READERS[dialect](usage, 1.0) == Usage(seconds=1.0), place
