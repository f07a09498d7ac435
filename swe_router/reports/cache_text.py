"""What prompt caches did, as words that fit on a line."""

from __future__ import annotations

from decimal import Decimal

from swe_router.estimates.caching.cache_use import BreakCause, CacheBreak, CacheUse
from swe_router.reports.sentences import counted_noun

CAUSES: dict[BreakCause, str] = {
    "elided": "the conversation was elided",
    "late": "the call before was over five minutes ago",
    "not read": "the provider did not find it",
}


def _usd(value: Decimal) -> str:
    return f"${abs(float(value)):.4f}"


def cache_sentence(use: CacheUse) -> str:
    """``82% of the prompts read from the cache, $1.2000 saved; 2 breaks cost $0.0100``.

    Empty where nothing was read, nothing was saved or lost, and nothing broke.
    """
    if not use.prompt_tokens or not (use.read_tokens or use.saved_usd or use.breaks):
        return ""
    parts = [f"{use.share:.0%} of the prompts read from the cache"]
    if use.saved_usd:
        word = "saved" if use.saved_usd > 0 else "lost to writes"
        parts.append(f"{_usd(use.saved_usd)} {word}")
    text = ", ".join(parts)
    if use.breaks:
        text += f"; {counted_noun(use.breaks, 'break')} cost {_usd(use.break_usd)}"
    return text


def saved_cell(use: CacheUse) -> str:
    """USD saved by the cache as a cell of a table; blank where no price is known."""
    if use.saved_usd is None or not use.prompt_tokens:
        return ""
    return f"{'-' if use.saved_usd < 0 else ''}{_usd(use.saved_usd)}"


def break_sentence(found: CacheBreak) -> str:
    """``cache break: 12,000 tokens were paid again, $0.0300 (the conversation was elided)``."""
    return (
        f"cache break: {found.tokens:,} tokens were paid again, {_usd(found.usd)}"
        f" ({CAUSES[found.cause]})"
    )
