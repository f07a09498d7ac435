"""Numbers for display."""

from __future__ import annotations


def distinct_decimals(score: float, bar: float) -> tuple[str, str]:
    """A score and its threshold, with enough digits to differ."""
    if score == bar:
        return f"{score:.4g}", f"{bar:.4g}"
    digits = next((n for n in range(2, 9) if f"{score:.{n}f}" != f"{bar:.{n}f}"), 9)
    return f"{score:.{digits}f}", f"{bar:.{digits}f}"
