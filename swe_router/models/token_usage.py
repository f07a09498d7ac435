"""The tokens of an answer, from the usage as each provider and gateway words it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_router.records import Usage

_MAX_TOKENS = 10**9
_WRITES = (
    "cache_write_tokens",  # OpenAI, OpenRouter, LiteLLM
    "cache_creation_input_tokens",  # Qwen at Alibaba; at the top: LiteLLM, Portkey
    "cache_creation_tokens",  # LiteLLM
    "created_cache_tokens",
)
_READS_AT_TOP = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_tokens",  # Kimi
    "cache_read_input_tokens",  # Portkey, LiteLLM
)
_WRITES_BY_LIFE = ("cache_creation", "cache_creation_token_details")
_1H = "ephemeral_1h_input_tokens"


_LISTED_TERMS = {
    "inference_geo": ("global", "not_available"),
    "speed": ("standard",),
    "service_tier": ("standard", "batch"),
}
"""Terms of an Anthropic usage that the price table has; others cost more (``us``: 1.1 times)."""


class InvalidUsage(ValueError):
    """A usage that is nonsense counts as none: the answer stays, charged as reserved."""


def first_token_count(table: Any, *names: str) -> int:
    """The first of these counts that is given, else 0. Raises ``InvalidUsage`` for nonsense."""
    for name in names:
        value = table.get(name) if isinstance(table, Mapping) else None
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_TOKENS:
            raise InvalidUsage(f"the usage says {name} = {str(value)[:40]}")
        return value
    return 0


def anthropic_usage(usage: Any, seconds: float, ttl: str) -> Usage:
    """``input_tokens`` of this API leaves the cached tokens out already.

    A server that does not say for how long the cache keeps what was written is taken to have done
    as the marks asked (``ttl``).
    """
    details = usage.get("output_tokens_details") if isinstance(usage, Mapping) else None
    writes = usage.get("cache_creation") if isinstance(usage, Mapping) else None
    try:
        written = first_token_count(usage, "cache_creation_input_tokens")
        kept_1h = first_token_count(writes, _1H)
        kept = kept_1h + first_token_count(writes, "ephemeral_5m_input_tokens")
        if not isinstance(writes, Mapping) and ttl == "1h":
            kept_1h = written
        return Usage(
            input_tokens=first_token_count(usage, "input_tokens"),
            cache_read_tokens=first_token_count(usage, "cache_read_input_tokens"),
            cache_write_tokens=max(written, kept, kept_1h),
            cache_write_1h_tokens=kept_1h,
            output_tokens=first_token_count(usage, "output_tokens"),
            reasoning_tokens=first_token_count(details, "thinking_tokens"),
            seconds=seconds,
        )
    except InvalidUsage:
        return Usage(seconds=seconds)


def unlisted_terms(usage: Any) -> str:
    """Terms of a call, as Anthropic's usage has them, at which the price table does not hold."""
    table = usage if isinstance(usage, Mapping) else {}
    found = {name: table.get(name) for name in _LISTED_TERMS}
    return ", ".join(
        f"{name} {value[:20]!r}"
        for name, value in found.items()
        if isinstance(value, str) and value and value not in _LISTED_TERMS[name]
    )


def chat_usage(usage: Any, seconds: float) -> Usage:
    """Of Chat Completions, whose ``prompt_tokens`` includes the cached tokens mostly."""
    return _openai_usage(
        usage, seconds, ("prompt", "prompt_tokens"), ("completion", "completion_tokens")
    )


def responses_usage(usage: Any, seconds: float) -> Usage:
    """Of Responses, whose ``input_tokens`` includes the cached tokens."""
    return _openai_usage(usage, seconds, ("input", "input_tokens"), ("output", "output_tokens"))


def _openai_usage(
    usage: Any, seconds: float, asked: tuple[str, str], answered: tuple[str, str]
) -> Usage:
    """The counts of one of OpenAI's two dialects, taken apart once."""
    table = usage if isinstance(usage, Mapping) else {}
    details = table.get(f"{asked[0]}_tokens_details")
    spent = table.get(f"{answered[0]}_tokens_details")
    try:
        return _disjoint(
            prompt=first_token_count(table, asked[1]),
            read=first_token_count(details, "cached_tokens")
            or first_token_count(table, *_READS_AT_TOP),
            write=first_token_count(details, *_WRITES) or first_token_count(table, *_WRITES),
            kept_1h=_kept_1h(details) or _kept_1h(table),
            output=first_token_count(table, answered[1]),
            reasoning=first_token_count(spent, "reasoning_tokens"),
            total=first_token_count(table, "total_tokens"),
            seconds=seconds,
        )
    except InvalidUsage:
        return Usage(seconds=seconds)


def _kept_1h(table: Any) -> int:
    found = (table.get(name) for name in _WRITES_BY_LIFE) if isinstance(table, Mapping) else ()
    return max((first_token_count(one, _1H) for one in found), default=0)


def _disjoint(
    *,
    prompt: int,
    read: int,
    write: int,
    kept_1h: int,
    output: int,
    reasoning: int,
    total: int,
    seconds: float,
) -> Usage:
    """The kinds apart from each other.

    The prompt includes what was cached, and the output the reasoning; but gateways to Anthropic
    leave the first out, and Gemini and Grok the second. The ``total`` tells (0: not given): what
    it has and no kind has is prompt where it is as many as the cached tokens, or these cannot be
    in the prompt; else it is thinking, which is output.
    """
    left = max(0, total - prompt - output)
    if reasoning > output or 0 < reasoning in (left, left - read - write):
        output += reasoning
        left -= reasoning
    if 0 < read + write == left or read > prompt:
        prompt += left
    elif left > 0:
        output += left
    read = min(read, prompt)
    write = min(write, prompt - read)
    return Usage(
        input_tokens=prompt - read - write,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=min(kept_1h, write),
        output_tokens=output,
        reasoning_tokens=reasoning,
        seconds=seconds,
    )
